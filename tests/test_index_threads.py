# SPDX-License-Identifier: Apache-2.0
"""One plain file that several threads index: the same index as of one thread."""

import json
import random

import epoch_files
import pytest
from indexes import MEBIBYTE, build, kept

from fast_axolotl import StreamingDataset, count_rows, streaming_dataset_reader

LEAST = 8 * MEBIBYTE  # a smaller file is one thread's


def random_lines(seed: int, size: int) -> bytes:
    """Lines of JSON about as long as ``size``, short and long, blank ones among them."""
    chance = random.Random(seed)
    lines = []
    written = 0
    while written < size:
        kind = chance.random()
        if kind < 0.05:
            line = chance.choice(["", "", " \t", "\r"])
        else:
            long = 2_600_000 if kind > 0.98 else 60_000
            length = chance.randrange(long if kind > 0.8 else 3_000)
            line = json.dumps({"id": len(lines), "text": "\u00fc x" * (length // 4)})
        lines.append(line.encode())
        written += len(lines[-1]) + 1
    end = chance.choice([b"", b"\n", b"\n\n \n"])
    return chance.choice([b"", b"\xef\xbb\xbf"]) + b"\n".join(lines) + end


def padded(size: int) -> bytes:
    """Rows of exactly so many bytes."""
    row = b'{"id": 1}\n'
    rows = row * (size // len(row))
    return rows + b"\n" * (size - len(rows))


ROW = b'{"id": 1}\n'
FILES = {
    f"random {seed}": lambda seed=seed: random_lines(seed, 14_000_000)
    for seed in range(5)
}
FILES |= {
    "blank lines": lambda: ROW * 100_000 + b"\n" * 9_000_000 + ROW * 300_000,
    "blank at the end": lambda: ROW + b"\n" * 9_000_000,
    "one long line": lambda: b'{"id": "' + b"x" * 9_000_000 + b'"}',
    "a line over a cut": lambda: (b'{"id": "' + b"x" * 500_000 + b'"}\n') * 40,
    "lines over spans": lambda: (b'{"id": "' + b"x" * 4_194_290 + b'"}\n') * 4,
    "an array": lambda: b"[" + b'{"id": 1},\n' * 900_000 + b'{"id": 1}]',
    "just too small": lambda: padded(LEAST - 1),
    "just large enough": lambda: padded(LEAST),
    "one byte more": lambda: padded(LEAST + 1),
}


def same_index(path, tmp_path, **options):
    """Index with one thread and with several; returns the rows there are."""
    size = path.stat().st_size
    found = []
    for threads in (1, 2, 5):
        seen = []
        index = build(path, tmp_path / str(threads), seen.append, threads, **options)
        (file,) = kept(tmp_path / str(threads))
        found.append((index.rows, index.fragments, file.read_bytes()))
        # Not read again, as after a fault.
        assert seen[-1] == size
    assert found[0] == found[1] == found[2]
    rows, fragments, _ = found[0]
    assert rows == sum(count for _, _, _, count in fragments)
    return rows


@pytest.mark.parametrize("suffix", [".jsonl", ".txt", ".json"])
@pytest.mark.parametrize("name", FILES)
def test_the_same_index(tmp_path, name, suffix):
    path = tmp_path / f"data{suffix}"
    path.write_bytes(FILES[name]())
    rows = same_index(path, tmp_path)
    assert count_rows(path) == rows
    batches = streaming_dataset_reader(path, 10_000, num_threads=2)
    assert sum(len(next(iter(batch.values()))) for batch in batches) == rows


def test_rows_that_are_not_lines(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"id,text\n" + b'1,"two\nlines, ""quoted"""\n' * 500_000)
    assert same_index(path, tmp_path) == 500_000
    path = tmp_path / "object" / "data.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"id": list(range(900_000))}, indent=1))
    assert same_index(path, path.parent) == 1


def test_rows_without_columns_and_bad_ones(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"{}\n" * 1_500_000 + b"{]\n" + b"{}\n" * 1_500_000)
    assert same_index(path, tmp_path) == 3_000_001


def test_only_blank_lines(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"\n" * 9_000_000)
    assert same_index(path, tmp_path) == 0
    path = path.rename(tmp_path / "data.json")
    for threads in (1, 5):
        with pytest.raises(OSError, match="empty"):
            build(path, tmp_path, threads=threads)


def test_fewer_files_than_threads(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(2):
        (folder / f"{i}.jsonl").write_bytes(
            epoch_files.lines(range(300 * i, 900), 40_000)
        )
    alone = build(folder, tmp_path / "1", threads=1)
    several = build(folder, tmp_path / "5", threads=5)
    assert several.fragments == alone.fragments
    assert several.rows == alone.rows == 1500


def test_lines_are_counted_across_the_cuts(tmp_path, cache):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"id": 1}\n\n' * 1_500_000 + b"{]\n" + ROW * 900_000)
    dataset = StreamingDataset(path, 1_000, shuffle=True, num_threads=4)
    with pytest.raises(OSError, match=r"data\.jsonl: line 3000001\b"):
        list(dataset)


def test_a_line_too_long_is_named_as_by_one_thread(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(b"short\n" * 2_000_000 + b"x" * 3_000_000 + b"\n" + b"short\n" * 9)
    limits = {"row_bytes": 2 * MEBIBYTE}
    told = []
    for threads in (1, 5):
        with pytest.raises(OSError, match="line 2000001") as caught:
            build(path, tmp_path, threads=threads, limits=limits)
        told.append(str(caught.value))
    assert told[0] == told[1]
    left_out = [
        build(
            path, tmp_path / str(threads), threads=threads, limits=limits, on_error="skip"
        )
        for threads in (1, 5)
    ]
    assert left_out[0].rows == left_out[1].rows == 2_000_000


def test_progress_can_end_it(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(b"line\n" * 20_000_000)

    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(path, tmp_path / "index", stop, threads=4)
    assert kept(tmp_path / "index") == []
