# SPDX-License-Identifier: Apache-2.0
"""`fast-axolotl index`, and `build_index()`, which it calls."""

import gzip
import json
import os

import make_sample_data as maker
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import ROWS, error_line, json_lines, output
from indexes import kept

import fast_axolotl
from fast_axolotl import _core


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv.gz", ".txt.zst", ".arrow"])
def test_index_keeps_one_index_a_file(tmp_path, cache, suffix):
    maker.write_parts(tmp_path / "parts", suffix, ROWS, 3)
    for _ in range(2):
        (told,) = json_lines("index", tmp_path / "parts")
        assert told.keys() == {"rows", "files", "seconds"}
        assert (told["rows"], told["files"]) == (25, 3)
        assert len(kept(cache)) == 3
    assert "25" in output("index", tmp_path / "parts")


def test_parquet_needs_no_index(tmp_path, cache):
    maker.write(tmp_path / "rows.parquet", ROWS)
    (told,) = json_lines("index", tmp_path / "rows.parquet")
    assert told["rows"] == 25
    assert kept(cache) == []


def test_an_index_makes_the_length_exact(tmp_path):
    path = tmp_path / "long.jsonl"
    line = json.dumps({"text": "words " * 200})
    path.write_text(f"{line}\n" * 5000)
    dataset = fast_axolotl.StreamingDataset(path, batch_size=100)
    assert not dataset.len_is_exact
    output("index", path)
    dataset = fast_axolotl.StreamingDataset(path, batch_size=100)
    assert dataset.len_is_exact
    assert (dataset.num_rows, len(dataset)) == (5000, 50)


def test_count_takes_the_index_that_exists(tmp_path):
    """Shown by a change that nothing but reading the file tells: see its times."""
    path = tmp_path / "rows.jsonl"
    line = json.dumps({"text": "x" * 1000}) + "\n"
    path.write_text(line * 6000)
    times = path.stat()
    assert json_lines("index", path)[0]["rows"] == 6000
    path.write_text(line * 5998 + line[:-1] + " " + line)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert json_lines("count", path)[0]["rows"] == 6000
    with path.open("a") as file:
        file.write(line)
    assert json_lines("count", path)[0]["rows"] == 6000
    with path.open("a") as file:
        file.write(line)
    assert json_lines("count", path)[0]["rows"] == 6001


def test_a_file_that_cannot_be_indexed_leaves_nothing(tmp_path, cache):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": 1}\n' * 1000)[:-20])
    assert "rows.jsonl.gz" in error_line("index", path)
    assert kept(cache) == []


@pytest.fixture
def token_parts(tmp_path):
    folder = tmp_path / "tokens"
    folder.mkdir()
    for part in range(3):
        rows = [[*range(1 + i % 7)] for i in range(part * 10, part * 10 + 10)]
        table = pa.table({"input_ids": rows, "id": [*range(10)]})
        pq.write_table(table, folder / f"{part}.parquet", row_group_size=4)
    return folder


def test_index_keeps_lengths(token_parts, cache):
    """What a run that needs them names is what has to be called."""
    data = fast_axolotl.StreamingDataset(
        token_parts, 2, pack=fast_axolotl.PackOptions(8), distributed=(0, 2)
    )
    with pytest.raises(ValueError, match="on several ranks") as refused:
        next(iter(data))
    command = str(refused.value).split("`")[1].split()
    assert command == ["fast-axolotl", "index", "--lengths", "input_ids", "PATH"]
    for _ in range(2):
        (told,) = json_lines(*command[1:-1], token_parts)
        assert (told["rows"], told["files"]) == (30, 3)
        assert [p.suffix for p in kept(cache)] == [".lengths"] * 3
    assert len(list(data)) == len(data) > 0
    assert "30" in output(*command[1:-1], token_parts)


def test_lengths_of_what_has_none(token_parts, cache):
    assert '"tokens" is not in the data' in error_line(
        "index", "--lengths", "tokens", token_parts
    )
    assert '"id" holds no lists' in error_line("index", "--lengths", "id", token_parts)
    (token_parts / "1.parquet").write_bytes(b"PAR1" + b"x" * 100)
    line = error_line("index", "--lengths", "input_ids", token_parts)
    assert "1.parquet" in line
    assert kept(cache) == []


def test_measuring_tells_its_progress_and_passes_errors_on(tmp_path, cache, monkeypatch):
    # Long enough for progress to be told before it is done.
    lists = pa.ListArray.from_arrays(range(0, 32_000_001, 32), pa.repeat(7, 32_000_000))
    pq.write_table(pa.table({"input_ids": lists}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"input_ids": [[1]]}), tmp_path / "1.parquet")
    files = str(tmp_path / "*.parquet")
    build = _core.build_index
    # So that all that is told is of the lengths.
    monkeypatch.setattr(_core, "build_index", lambda *args: build(*args[:-1], None))

    def refuse(done, total):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        fast_axolotl.build_index(files, lengths="input_ids", progress=refuse)
    assert kept(cache) == []
    calls = []
    fast_axolotl.build_index(
        files, lengths="input_ids", progress=lambda *told: calls.append(told)
    )
    assert {total for _, total in calls} == {
        sum(path.stat().st_size for path in tmp_path.glob("*.parquet"))
    }
    assert calls == sorted(calls)
    assert len(kept(cache)) == 2


def test_build_index_tells_its_progress_and_passes_errors_on(long_work, cache):
    calls = []

    def progress(done, total):
        calls.append((done, total))
        if done > 0:
            raise InterruptedError("that is enough")

    with pytest.raises(InterruptedError, match="that is enough"):
        fast_axolotl.build_index(long_work, progress=progress)
    size = long_work.stat().st_size
    assert 0 < calls[-1][0] <= size
    assert {total for _, total in calls} == {size}
    assert kept(cache) == []
