# SPDX-License-Identifier: Apache-2.0
"""While an index is built: others that wait, signals, progress, faults."""

import subprocess
import sys
import textwrap
import time

import epoch_files
import pytest
from formats import to_gzip, to_zstd
from indexes import build, kept, slow_file, write_lines

from fast_axolotl import StreamingDataset

# --- several at once ------------------------------------------------------------------

BUILDER = """
    import os, sys
    from fast_axolotl import StreamingDataset, _core
    opened = StreamingDataset(sys.argv[1])._open()
    print("ready", flush=True)
    sys.stdin.readline()
    seen = [0]
    index = _core.build_index(opened, _core.index_folder(), 1, seen.append)
    print(index.rows, max(seen))
"""


def builder(path):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(BUILDER), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_one_process_builds_while_others_wait(tmp_path, cache):
    path = slow_file(tmp_path / "data.jsonl.gz", 100)
    processes = [builder(path) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    found = [process.communicate(timeout=60)[0].split() for process in processes]
    assert {rows for rows, _ in found} == {str(250 * 100)}
    read = sorted(int(done) for _, done in found)
    assert read[0] == 0
    assert read[1] > 0
    assert len(kept(cache)) == 1


def test_a_builder_that_is_killed_blocks_nobody(tmp_path, cache):
    path = slow_file(tmp_path / "data.jsonl.gz", 100)
    process = builder(path)
    process.stdout.readline()
    process.stdin.write("\n")
    process.stdin.flush()
    deadline = time.monotonic() + 10
    while not list(cache.glob("*.lock")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert kept(cache) == []
    small = write_lines(tmp_path / "small.jsonl", rows=10)
    assert build(small).rows == 10
    assert build(path).rows == 250 * 100


# --- while it is built ----------------------------------------------------------------


def test_ctrl_c_while_indexing(tmp_path, cache):
    path = slow_file(tmp_path / "data.jsonl.gz")
    code = """
        import os, signal, sys, threading, time
        from fast_axolotl import StreamingDataset, _core
        opened = StreamingDataset(sys.argv[1])._open()
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        start = time.monotonic()
        try:
            _core.build_index(opened, _core.index_folder(), 2, None)
        except KeyboardInterrupt:
            print(time.monotonic() - start)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert 0.05 < float(done.stdout) < 1.5
    assert kept(cache) == []


def test_ctrl_c_while_waiting_for_another(tmp_path, cache):
    import fcntl

    path = write_lines(tmp_path / "data.jsonl", rows=10)
    build(path)
    (file,) = kept(cache)
    file.unlink()

    class EnoughError(Exception):
        pass

    def progress(done):
        raise EnoughError

    with open(f"{file}.lock", "w") as lock:  # noqa: PTH123
        fcntl.flock(lock, fcntl.LOCK_EX)
        start = time.monotonic()
        with pytest.raises(EnoughError):
            build(path, progress=progress)
        assert time.monotonic() - start < 2
    assert build(path).rows == 10


def test_progress_counts_bytes_and_may_stop_it(tmp_path, cache):
    path = slow_file(tmp_path / "data.jsonl.gz")
    seen = []

    def progress(done):
        seen.append(done)
        if len(seen) == 2:
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        build(path, progress=progress)
    assert seen == sorted(seen)
    assert 0 < seen[-1] < path.stat().st_size
    assert kept(cache) == []


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.json", b'[{"id": 1}, {"id": 2}', "a.json"),
        ("a.jsonl.gz", to_gzip(b'{"id": 1}\n' * 1000)[:-9], "a.jsonl.gz: gzip data at"),
        ("a.jsonl.zst", to_zstd(b'{"id": 1}\n' * 1000)[:-3], "a.jsonl.zst: zstd data at"),
        ("a.jsonl.gz", to_gzip(b'{"id": 1}\n') + b"oops", "a.jsonl.gz: gzip data at"),
    ],
)
def test_a_fault_while_indexing_names_its_place(tmp_path, cache, name, content, place):
    (tmp_path / "0.jsonl").write_text('{"id": 0}\n')
    (tmp_path / name).write_bytes(content)
    files = [str(tmp_path / "0.jsonl"), str(tmp_path / name)]
    for _ in range(2):
        with pytest.raises(OSError, match=place) as error:
            StreamingDataset(files, shuffle=True).state_dict()
        assert str(error.value).count(name) == 1
    assert len(kept(cache)) <= 1


@pytest.mark.parametrize("options", [{"shuffle": True}, {"distributed": (0, 2)}], ids=str)
@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"id,te\xffxt", "expected valid UTF-8 in the column names"),
        (b'id,"text', "a quoted cell is not closed"),
    ],
)
def test_a_header_that_cannot_be_read_is_no_file_of_no_rows(
    tmp_path, cache, options, header, reason
):
    path = tmp_path / "data.csv"
    path.write_bytes(header + b"\n" + b"1,one\n" * 20)
    with pytest.raises(OSError, match=reason) as plain:
        list(StreamingDataset(path, 5))
    data = StreamingDataset(path, 5, **options)
    for _ in range(2):
        with pytest.raises(OSError, match=r"data\.csv: line 1 ") as error:
            list(data)
        assert str(error.value) == str(plain.value)
    assert kept(cache) == []


def test_the_first_faulty_file_is_named(tmp_path, cache):
    for i in range(20):
        good = i not in {7, 11, 19}
        data = epoch_files.lines(range(2000 - 100 * i), 200)
        compressed = to_gzip(data)
        (tmp_path / f"{i:02}.jsonl.gz").write_bytes(
            compressed if good else compressed[:-5]
        )
    for _ in range(3):
        with pytest.raises(OSError, match=r"07\.jsonl\.gz"):
            build(tmp_path, threads=4)


def test_a_bad_row_is_no_fault_of_the_index(tmp_path, cache):
    """It has its place; reading it is what fails, by its line."""
    path = tmp_path / "data.jsonl"
    path.write_bytes(
        epoch_files.lines(range(60), 40_000) + b"oops\n" + epoch_files.lines(range(9), 60)
    )
    assert build(path).rows == 70
    data = StreamingDataset(path, 10, num_lanes=1, shuffle=True, shuffle_window=10)
    with pytest.raises(OSError, match=r"data\.jsonl: line 61, column 1 \(byte offset"):
        list(data)
