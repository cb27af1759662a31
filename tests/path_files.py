# SPDX-License-Identifier: Apache-2.0
"""Files whose rows say where they come from."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
from formats import read_rows


def put(path, *values):
    """A JSONL or text file whose rows say where they come from."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if ".jsonl" in path.name:
        path.write_text("".join(f'{{"x": {json.dumps(v)}}}\n' for v in values))
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"x": list(values)}), path)
    elif path.suffix == ".csv":
        path.write_text("x\n" + "".join(f"{v}\n" for v in values))
    else:
        path.write_text("".join(f"{v}\n" for v in values))
    return path


def tree(folder, *names):
    """JSONL files, each with its own name as its row."""
    for name in names:
        put(folder / name, name)
    return folder


def read(path, **options):
    return [next(iter(row.values())) for row in read_rows(path, **options)]
