# SPDX-License-Identifier: Apache-2.0
"""Files of every kind that the plan cuts into fragments; each row has a number, `id`.

The first row of a file is `first`, and the rows follow each other: what a plan gives can
be told by the numbers alone.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from formats import skippable, to_gzip_members, to_zstd

FILLER = "some words that make a row as long as rows of text are. "


def json_rows(ids: Iterable[int], filler: int) -> list[str]:
    text = (FILLER * (filler // len(FILLER) + 1))[:filler]
    return [json.dumps({"id": i, "text": text[: filler - i % 50]}) for i in ids]


def lines(ids: range, filler: int) -> bytes:
    return "".join(row + "\n" for row in json_rows(ids, filler)).encode()


def array(ids: range, filler: int) -> bytes:
    return ("[" + ",\n ".join(json_rows(ids, filler)) + "]\n").encode()


def csv(ids: range, filler: int) -> bytes:
    """Every cell of text has line ends and quotes in it."""
    text = (FILLER * (filler // len(FILLER) + 1))[:filler]
    rows = (f'{i},"{text}\n1,""2"",\r\n3"\r\n' for i in ids)
    return ("id,text\r\n" + "".join(rows)).encode()


def frames(data: bytes, size: int) -> bytes:
    """zstd frames that do not care where rows end, with skippable ones between."""
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(to_zstd(part) + skippable(b"x" * 3) for part in parts)


def batches(ids: range, step: int) -> list[pa.RecordBatch]:
    """Record batches of uneven lengths, none of which is also one."""
    found = []
    at = ids.start
    while at < ids.stop:
        end = min(ids.stop, at + 1 + (at * 7) % step)
        rows = range(at, end)
        columns = {"id": pa.array(rows), "text": [FILLER] * len(rows)}
        found.append(pa.record_batch(columns))
        found.append(found[0].slice(0, 0))
        at = end
    return found


def write_ipc(path: Path, ids: range, *, stream: bool) -> None:
    found = batches(ids, 9)
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(path, found[0].schema) as writer:
        for batch in found:
            writer.write_batch(batch)


def write_parquet(path: Path, ids: range) -> None:
    found = batches(ids, 30)
    with pq.ParquetWriter(path, found[0].schema) as writer:
        for batch in found:
            writer.write_batch(batch)


@dataclass(frozen=True)
class Kind:
    name: str
    rows: int
    write: Callable[[Path, range], object]

    def path(self, folder: Path, first: int) -> Path:
        path = folder / f"{first}-{self.name}"
        self.write(path, range(first, first + self.rows))
        return path


def _bytes(make: Callable[[range], bytes]) -> Callable[[Path, range], object]:
    return lambda path, ids: path.write_bytes(make(ids))


# A few kilobytes: one fragment each, where a file has no borders of its own.
SMALL = [
    Kind("a.jsonl", 13, _bytes(lambda ids: lines(ids, 60))),
    Kind("b.jsonl", 1, _bytes(lambda ids: lines(ids, 60).rstrip())),
    Kind("c.json", 21, _bytes(lambda ids: array(ids, 60))),
    Kind("d.csv", 17, _bytes(lambda ids: csv(ids, 60))),
    Kind("e.jsonl.gz", 19, _bytes(lambda ids: to_gzip_members(lines(ids, 60)))),
    Kind("f.csv.zst", 11, _bytes(lambda ids: frames(csv(ids, 60), 300))),
    Kind("g.parquet", 90, write_parquet),
    Kind("h.arrow", 40, lambda path, ids: write_ipc(path, ids, stream=False)),
    Kind("i.arrow", 30, lambda path, ids: write_ipc(path, ids, stream=True)),
    Kind(
        "j.parquet.zst",
        30,
        lambda path, ids: (
            write_parquet(path, ids),
            path.write_bytes(to_zstd(path.read_bytes())),
        ),
    ),
]

# Some megabytes: cut by borders in the text or in the compression.
LARGE = [
    Kind("k.jsonl", 90, _bytes(lambda ids: lines(ids, 40_000))),
    Kind("l.json", 90, _bytes(lambda ids: array(ids, 40_000))),
    Kind("m.csv", 90, _bytes(lambda ids: csv(ids, 40_000))),
    Kind("n.jsonl.zst", 90, _bytes(lambda ids: frames(lines(ids, 40_000), 333_333))),
    Kind("o.csv.zst", 90, _bytes(lambda ids: frames(csv(ids, 40_000), 555_555))),
    Kind("p.json.zst", 60, _bytes(lambda ids: to_zstd(array(ids, 40_000)))),
]

# 48 MB of text in which gzip's restart points are 16 MiB apart.
GZIP = Kind(
    "q.jsonl.gz",
    600,
    _bytes(lambda ids: gzip.compress(lines(ids, 80_000), 1, mtime=0)),
)


def write_pool(folder: Path) -> dict[str, tuple[str, range]]:
    """Path and ids of a file of each kind."""
    found = {}
    first = 0
    for kind in [*SMALL, *LARGE, GZIP]:
        ids = range(first, first + kind.rows)
        found[kind.name] = (str(kind.path(folder, first)), ids)
        first += kind.rows
    return found
