# SPDX-License-Identifier: Apache-2.0
"""Real fine-tuning files, row by row against readers of the standard library and pyarrow.

They lie beside the repository and not in it; without them these tests are skipped.
"""

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from formats import exact, read_batches, read_rows, to_gzip, to_zstd

import fast_axolotl

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SUFFIXES = {".json", ".jsonl", ".csv", ".txt", ".parquet", ".arrow", ".gz"}
FILES = sorted(p for p in DATA.glob("*") if p.suffix in SUFFIXES) if DATA.is_dir() else []
pytestmark = pytest.mark.skipif(not FILES, reason=f"there are no files in {DATA}")


def number_or_text(column):
    """The column as the documentation's rules for CSV have it."""

    def int64(text):
        if str(int(text)) != text or not -(2**63) <= int(text) < 2**63:
            raise ValueError
        return int(text)

    def double(text):
        if text.strip() != text or (
            text.lstrip("-").startswith("0") and text[1:2].isdigit()
        ):
            raise ValueError
        return float(text)

    for convert in ({"true": True, "false": False}.__getitem__, int64, double):
        try:
            return [None if text == "" else convert(text) for text in column]
        except (ValueError, KeyError):
            pass
    return [text or None for text in column]


def reference(path):
    """The rows as dicts."""
    raw = path.read_bytes()
    name = path.name
    if name.endswith(".gz"):
        raw, name = gzip.decompress(raw), name.removesuffix(".gz")
    match Path(name).suffix:
        case ".json":
            return json.loads(raw)
        case ".jsonl":
            return [json.loads(line) for line in raw.decode().split("\n") if line.strip()]
        case ".csv":
            header, *rows = csv.reader(raw.decode().splitlines(keepends=True))
            columns = [number_or_text(column) for column in zip(*rows, strict=True)]
            return [
                dict(zip(header, row, strict=True)) for row in zip(*columns, strict=True)
            ]
        case ".txt":
            lines = raw.decode().removesuffix("\n").split("\n")
            return [{"text": line.removesuffix("\r")} for line in lines]
        case ".parquet":
            # Nanoseconds would come as pandas objects; these files hold microseconds.
            found = pq.read_table(path)
            types = [
                pa.timestamp("us", t.tz) if pa.types.is_timestamp(t) else t
                for t in found.schema.types
            ]
            return found.cast(
                pa.schema(list(zip(found.column_names, types, strict=True)))
            ).to_pylist()
        case ".arrow":
            try:
                return pa.ipc.open_file(path).read_all().to_pylist()
            except pa.ArrowInvalid:
                return pa.ipc.open_stream(path).read_all().to_pylist()
    raise AssertionError(name)


def assert_same(rows, wanted):
    assert len(rows) == len(wanted)
    for row, want in zip(rows, wanted, strict=True):
        assert exact({key: row[key] for key in want}) == exact(want)
        assert all(row[key] is None for key in row.keys() - want.keys())


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def path(request):
    return request.param


def test_every_row(path):
    wanted = reference(path)
    assert len(wanted) > 1
    assert_same(read_rows(path), wanted)
    assert_same(read_rows(path, 37, num_threads=4), wanted)
    assert fast_axolotl.count_rows(path) == len(wanted)


def test_compressed(path, tmp_path):
    raw, name = path.read_bytes(), path.name
    if name.endswith(".gz"):
        raw, name = gzip.decompress(raw), name.removesuffix(".gz")
    wanted = read_rows(path)
    for suffix, compress in ((".gz", to_gzip), (".zst", to_zstd)):
        compressed = tmp_path / (name + suffix)
        compressed.write_bytes(compress(raw))
        assert exact(read_rows(compressed, 100)) == exact(wanted)


def test_one_column_and_the_columns_reversed(path):
    with fast_axolotl.streaming_dataset_reader(path) as reader:
        columns = reader.columns[::-1]
    whole = read_rows(path)
    assert exact(read_rows(path, 100, columns=columns)) == exact(
        [{name: row[name] for name in columns} for row in whole]
    )
    one = [value for batch in read_batches(path, 100, columns=columns[:1])
           for value in batch[columns[0]]]  # fmt: skip
    assert exact(one) == exact([row[columns[0]] for row in whole])


def test_all_files_of_a_format_together():
    for suffix in (".json", ".jsonl"):
        paths = [path for path in FILES if path.suffix == suffix]
        wanted = [row for path in paths for row in reference(path)]
        assert_same(read_rows(paths, 501), wanted)
        assert_same(read_rows(str(DATA / f"*{suffix}"), 501), wanted)
