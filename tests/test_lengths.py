# SPDX-License-Identifier: Apache-2.0
"""The length index: what packing on several ranks knows of the rows beforehand."""

import os
import re

import pytest

from fast_axolotl import PackOptions, StreamingDataset, build_index


def write_rows(path, rows):
    path.write_text("".join(f'{{"input_ids": {row}}}\n' for row in rows))


def packed_rows(path, **options):
    data = StreamingDataset(path, 1, pack=PackOptions(4), **options)
    return len(data), [batch["input_ids"].tolist()[0] for batch in data]


def test_lengths_of_a_file_that_changed(tmp_path):
    path = tmp_path / "data.jsonl"
    write_rows(path, [[1, 2], [3, 4], [5]])
    build_index(path, lengths="input_ids")
    assert packed_rows(path) == (2, [[1, 2, 3, 4], [5, 0, 0, 0]])
    write_rows(path, [[1, 2, 3], [4], [5], [6]])
    with pytest.raises(TypeError, match="index --lengths"):
        packed_rows(path)
    build_index(path, lengths="input_ids")
    assert packed_rows(path) == (2, [[1, 2, 3, 4], [5, 6, 0, 0]])


def test_a_file_that_changed_and_looks_the_same(tmp_path):
    """Its rows of other lengths are refused: some would be lost, or given twice."""
    path = tmp_path / "data.jsonl"
    first = [[9] * 4, [1, 2, 3], [4]]
    for changed in ([[9], [9, 9, 9, 1, 2, 3], [4]], [[9] * 4, [1], [2, 3, 4]]):
        write_rows(path, first)
        os.utime(path, ns=(1, 1))
        build_index(path, lengths="input_ids")
        write_rows(path, changed)
        os.utime(path, ns=(1, 1))
        pack = PackOptions(3, "best_fit", 1, eos_token_id=0)
        for rank in range(2):
            data = StreamingDataset(path, 1, pack=pack, distributed=(rank, 2))
            with pytest.raises(
                RuntimeError, match="have changed since they were measured"
            ):
                list(data)


@pytest.mark.parametrize("strategy", ["best_fit", "concat"])
def test_null_and_missing_rows_have_no_length(tmp_path, strategy):
    path = tmp_path / "data.jsonl"
    path.write_text('{"input_ids": [1, 2]}\n{"input_ids": null}\n{"a": 1}\n' * 5)
    assert build_index(path, lengths="input_ids") == 15
    data = StreamingDataset(path, 1, pack=PackOptions(3, strategy, 4))
    assert len(data) == len(list(data)) > 0


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_row_that_is_too_long_fails_all_ranks_at_once(tmp_path, shuffle):
    """And not the one that comes upon it, while the others wait for that."""
    path = tmp_path / "data.jsonl"
    write_rows(path, [[i] for i in range(30)] + [[1, 2, 3, 4]])
    build_index([path, path], lengths="input_ids")
    message = f'{path}: row 31, column "input_ids": a sequence of 4 tokens is longer than'
    pack = PackOptions(4, pack_window=2, too_long="error", eos_token_id=0)
    for rank in range(3):
        data = StreamingDataset(
            [path, path], 1, pack=pack, distributed=(rank, 3), shuffle=shuffle
        )
        for ask in (len, list):
            with pytest.raises(OSError, match=re.escape(message)):
                ask(data)
    # One that just fits.
    pack = PackOptions(5, pack_window=2, too_long="error", eos_token_id=0)
    assert len(StreamingDataset(path, 1, pack=pack)) == 16


def test_what_cannot_be_measured(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"input_ids": [1, 2], "id": 1, "names": ["a"]}\n')
    with pytest.raises(ValueError, match='"tokens" is not in the data'):
        build_index(path, lengths="tokens")
    for column in ("id", "names"):
        with pytest.raises(ValueError, match=f'"{column}" holds no lists of numbers'):
            build_index(path, lengths=column)
    with pytest.raises(TypeError, match="lengths must be a str"):
        build_index(path, lengths=["input_ids"])
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"input_ids": [1]}\noops\n')
    with pytest.raises(OSError, match="line 2"):
        build_index([path, broken], lengths="input_ids")


def test_lengths_that_are_damaged(tmp_path, monkeypatch):
    """Wherever a byte is another, or the file ends: as good as none, and mended."""
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "data.jsonl"
    write_rows(path, [[1, 2], [3, 4], [5]])
    expected = (2, [[1, 2, 3, 4], [5, 0, 0, 0]])
    build_index(path, lengths="input_ids")
    (kept,) = (tmp_path / "cache").rglob("*.lengths")
    data = kept.read_bytes()
    assert packed_rows(path) == expected
    flipped = [
        data[:i] + bytes([data[i] ^ bit]) + data[i + 1 :]
        for i in range(len(data))
        for bit in (1, 128)
    ]
    for bad in [*flipped, *(data[:end] for end in range(len(data))), data + b"x"]:
        kept.write_bytes(bad)
        with pytest.raises(TypeError, match="index --lengths"):
            packed_rows(path)
    build_index(path, lengths="input_ids")
    assert kept.read_bytes() == data
    kept.unlink()
    kept.mkdir()
    with pytest.raises(TypeError, match="index --lengths"):
        packed_rows(path)
    with pytest.raises(OSError, match=r"cannot write .*FAST_AXOLOTL_CACHE"):
        build_index(path, lengths="input_ids")


def test_a_file_that_changes_while_it_is_measured(tmp_path):
    """Its lengths would be kept as those of the file it has become."""
    path = tmp_path / "data.jsonl"
    write_rows(path, [[1] * 100] * 50_000)
    build_index(path)

    def rewrite(done, total):
        os.utime(path)

    with pytest.raises(OSError, match=r"changed while it was read|was written to"):
        build_index(path, lengths="input_ids", progress=rewrite)
    with pytest.raises(TypeError, match="index --lengths"):
        packed_rows(path)


def test_a_list_that_cannot_be_measured_has_a_place(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"input_ids": [1, 2]}\n{"input_ids": [3, null]}\n')
    with pytest.raises(OSError, match=r'data\.jsonl: row 2, column "input_ids": a null'):
        build_index(path, lengths="input_ids")


def test_a_column_that_cannot_be_measured(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"input_ids": [1, 2], "text": "a"}\n')
    for column in ("text", "nope"):
        with pytest.raises(
            ValueError, match=f'"{column}".*lists of numbers are in: "inp'
        ):
            build_index(path, lengths=column)
