# SPDX-License-Identifier: Apache-2.0
"""How many rows there are, known or estimated: `len()`, `num_rows` and `count_rows()`."""

import pytest
from formats import FORMATS, table

import fast_axolotl
from fast_axolotl import StreamingDataset


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.id)
def test_length(format_, tmp_path):
    data = format_.fit(table(text=["a"] * 100, n=list(range(100))))
    path = tmp_path / f"data{format_.suffix}"
    path.write_bytes(format_.write(data))
    dataset = StreamingDataset(path, 7)
    if format_.name == "parquet" or format_.id in {"ipc_file", "feather"}:
        assert dataset.len_is_exact
    if dataset.len_is_exact:
        assert dataset.num_rows == len(data.rows)
    assert len(dataset) == -(-dataset.num_rows // 7)
    if dataset.len_is_exact:
        assert len(dataset) == len(list(dataset))


def test_length_of_a_long_file_is_an_estimate(long_lines):
    dataset = StreamingDataset(long_lines, 100)
    rows = fast_axolotl.count_rows(long_lines)
    assert not dataset.len_is_exact
    assert rows * 0.9 < dataset.num_rows < rows * 1.1
    assert len(dataset) == -(-dataset.num_rows // 100)


def test_iteration_never_stops_by_an_estimate(tmp_path):
    """A sample of long rows, and then a million short ones."""
    path = tmp_path / "data.jsonl"
    with path.open("wb") as file:
        file.write(b'{"i": 1, "t": "%s"}\n' % (b"x" * 5_000_000))
        file.write(b'{"i": 2}\n' * 1_000_000)
    dataset = StreamingDataset(path, 1000)
    assert not dataset.len_is_exact
    assert sum(len(batch["i"]) for batch in dataset) == 1_000_001
    assert fast_axolotl.count_rows(path) == 1_000_001


def test_count_rows_reports_and_passes_on(long_lines):
    calls = []
    rows = fast_axolotl.count_rows(long_lines, progress=lambda *args: calls.append(args))
    assert calls
    assert calls == sorted(calls)
    assert rows == long_lines.read_bytes().count(b"\n")
    assert all(0 <= read <= total for read, total in calls)
    assert {total for _, total in calls} == {long_lines.stat().st_size}

    def stop(*args):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        fast_axolotl.count_rows(long_lines, progress=stop)


def test_count_rows_finds_damage(tmp_path):
    path = tmp_path / "data.jsonl"
    # What tells rows apart is broken; a broken row itself counts.
    path.write_text('[{"a": 1},\n{"a": \n')
    with pytest.raises(OSError, match=r"data\.jsonl"):
        fast_axolotl.count_rows(path)
    path.write_text('{"a": 1}\n{"a": \n')
    assert fast_axolotl.count_rows(path) == 2
