# SPDX-License-Identifier: Apache-2.0
"""Many readers in many threads, and threads that share one."""

import threading
import time

import pytest
from iterators import ROWS, SHARED, numbers, same

from fast_axolotl import streaming_dataset_reader

# --- one reader -----------------------------------------------------------------------


def test_a_reader_shared_by_threads(ten_files):
    """Each batch goes to one of them; who comes while another reads is told so."""
    reader = streaming_dataset_reader(ten_files, 3)
    seen, refused = [], []

    def work():
        while True:
            try:
                batch = next(reader)
            except StopIteration:
                return
            except ValueError as error:
                refused.append(str(error))
            else:
                seen.append(batch["i"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert sorted(i for batch in seen for i in batch) == list(range(1000))
    assert all("thread" in text for text in refused)


def test_a_reader_closed_by_another_thread(long_lines):
    for _ in range(10):
        reader = streaming_dataset_reader(long_lines, 50)
        thread = threading.Thread(target=list, args=[reader])
        thread.start()
        time.sleep(0.01)
        reader.close()
        thread.join(10)
        assert not thread.is_alive()
        assert list(reader) == []


def as_mapping(batch):
    return batch.to_pydict() if hasattr(batch, "to_pydict") else batch


@pytest.mark.parametrize("way", SHARED)
def test_threads_share_an_iterator(way, small_file):  # noqa: C901
    """Each batch goes to one of them; who comes in between is told what to do."""
    if way in ("torch", "numpy", "arrow"):
        pytest.importorskip({"arrow": "pyarrow"}.get(way, way))
    expected = sorted(
        i for batch in SHARED[way](small_file) for i in numbers(as_mapping(batch))
    )
    shared = SHARED[way](small_file)
    seen, others = [], []

    def work():
        while True:
            try:
                batch = next(shared)
            except StopIteration:
                return
            except ValueError as error:
                if "thread" not in str(error):
                    others.append(error)
                    return
            except RuntimeError as error:
                others.append(error)
                return
            else:
                seen.append(batch)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert others == []
    assert sorted(i for batch in seen for i in numbers(as_mapping(batch))) == expected


# --- many readers ---------------------------------------------------------------------


def test_readers_side_by_side(ten_files):
    readers = [streaming_dataset_reader(ten_files, 7, num_threads=2) for _ in range(8)]
    for together in zip(*readers, strict=True):
        assert all(batch == together[0] for batch in together)


def test_two_hundred_readers_in_turn(small_file):
    readers = [
        streaming_dataset_reader(
            small_file, 50, num_threads=1, transform=same if i % 4 == 0 else None
        )
        for i in range(200)
    ]
    expected = list(streaming_dataset_reader(small_file, 50))
    for wanted in expected:
        assert all(next(reader) == wanted for reader in readers)
    assert all(next(reader, None) is None for reader in readers)


def test_two_hundred_readers_in_threads(small_file):
    readers = [
        streaming_dataset_reader(small_file, 50, num_threads=1) for _ in range(200)
    ]
    counts = []

    def work(mine):
        counts.extend(sum(len(batch["i"]) for batch in reader) for reader in mine)

    threads = [
        threading.Thread(target=work, args=[readers[i::8]], daemon=True) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counts == [ROWS] * 200
