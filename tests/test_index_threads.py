# SPDX-License-Identifier: Apache-2.0
"""One plain file that several threads index: the same index as of one thread."""

import json
import random

import pytest
from indexes import MEBIBYTE, build

from fast_axolotl import StreamingDataset, count_rows, streaming_dataset_reader


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


def blank_run() -> bytes:
    """Blank lines for longer than a fragment, across the places where a file is cut."""
    row = b'{"id": 1}\n'
    return row * 100_000 + b"\n" * 9_000_000 + row * 300_000


FILES = {
    f"random {seed}": lambda s=seed: random_lines(s, 14_000_000) for seed in range(8)
}
FILES |= {
    "blank lines": blank_run,
    "only blank lines": lambda: b"\n" * 9_000_000,
    "blank at the end": lambda: b'{"id": 1}\n' + b"\n" * 9_000_000,
    "short lines": lambda: b"{}\n" * 3_000_000,
    "one long line": lambda: b'{"id": "' + b"x" * 9_000_000 + b'"}',
    "long lines at the cuts": lambda: (b'{"id": "' + b"x" * 4_194_290 + b'"}\n') * 4,
    "a bad row": lambda: b"{}\n" * 1_500_000 + b"{]\n" + b"{}\n" * 1_500_000,
    "an array": lambda: b"[" + b'{"id": 1},\n' * 900_000 + b'{"id": 1}]',
}


def of(path, threads, cache):
    index = build(path, cache / str(threads), threads=threads)
    return index.rows, index.fragments


@pytest.mark.parametrize("suffix", [".jsonl", ".txt", ".json"])
@pytest.mark.parametrize("name", FILES)
def test_the_same_fragments(tmp_path, name, suffix):
    path = tmp_path / f"data{suffix}"
    path.write_bytes(FILES[name]())
    if suffix == ".json" and name == "only blank lines":
        for threads in (1, 5):
            with pytest.raises(OSError, match="empty"):
                of(path, threads, tmp_path)
        return
    alone = of(path, 1, tmp_path)
    assert alone[0] == sum(rows for _, _, _, rows in alone[1])
    for threads in (2, 5):
        assert of(path, threads, tmp_path) == alone
    assert count_rows(path) == alone[0]
    if name != "a bad row" or suffix == ".txt":
        batches = streaming_dataset_reader(path, 10_000, num_threads=2)
        assert sum(len(next(iter(batch.values()), ())) for batch in batches) in (
            alone[0],
            0,  # rows without columns
        )


def test_lines_are_counted_across_the_cuts(tmp_path, cache):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"id": 1}\n\n' * 1_500_000 + b"{]\n" + b'{"id": 1}\n' * 900_000)
    dataset = StreamingDataset(path, 1_000, shuffle=True, num_threads=4)
    with pytest.raises(OSError, match=r"data\.jsonl: line 3000001\b"):
        list(dataset)


def test_a_line_too_long_is_named_as_by_one_thread(tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(b"short\n" * 2_000_000 + b"x" * 3_000_000 + b"\n" + b"short\n" * 9)
    told = []
    for threads in (1, 5):
        with pytest.raises(OSError, match="line 2000001") as caught:
            build(path, tmp_path, threads=threads, limits={"row_bytes": 2 * MEBIBYTE})
        told.append(str(caught.value))
    assert told[0] == told[1]
