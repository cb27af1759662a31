# SPDX-License-Identifier: Apache-2.0
"""duckdb: a query over the file, streamed as Arrow batches; lists from these.

Rows as tuples (``fetchmany``) turned into columns were slower on tokens by half.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loaders import pattern

TITLE = "duckdb"
IMPORTS = ("duckdb",)
PACKAGES = ("duckdb",)
_FILES = (
    "*.parquet",
    "*.jsonl",
    "*.jsonl.*",
    "*.json",
    "*.csv",
    "*.txt",
    "*.txt.*",
)
CELLS = {"lists": _FILES, "arrow": _FILES}
_TABLES = {
    "parquet": "read_parquet('{}')",
    "jsonl": "read_ndjson('{}')",
    "json": "read_json('{}', format='array')",
    "csv": "read_csv('{}')",
    # Lines: cells that nothing separates, in a column that nothing quotes.
    "txt": "read_csv('{}', delim='\\x01', quote='', escape='', header=false, "
    "columns={{'text': 'VARCHAR'}})",
}
# Guessed, labels become HUGEINT, which are decimals in Arrow.
_TOKENS = dict.fromkeys(("input_ids", "labels", "attention_mask"), "BIGINT[]")


def arrow(path: str, columns: list[str] | None) -> Iterator[Any]:
    import duckdb

    suffix = path.rpartition("/")[2].split(".")[1]
    table = _TABLES[suffix].format(pattern(path))
    if "/tok.jsonl" in path:
        table = table.replace(")", f", columns={_TOKENS})")
    query = f"SELECT {', '.join(columns or ['*'])} FROM {table}"
    yield from duckdb.connect().execute(query).to_arrow_reader(1000)


def lists(path: str, columns: list[str] | None) -> Iterator[dict[str, list[Any]]]:
    for batch in arrow(path, columns):
        yield batch.to_pydict()
