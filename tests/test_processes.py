# SPDX-License-Identifier: Apache-2.0
"""Interpreters, forks, processes that are started, and exits."""

import subprocess
import sys
import time

import pytest
from iterators import ROWS
from processes import FORK, NO_TORCH, python

# --- interpreters ---------------------------------------------------------------------


SUBINTERPRETER = """
import sys
try:
    import _interpreters as interpreters  # Python 3.13
except ImportError:
    import _xxsubinterpreters as interpreters
path = sys.argv[1]
if sys.argv[2] == "before":
    import fast_axolotl
    reader = fast_axolotl.streaming_dataset_reader(path, 10)
    next(reader)
for _ in range(2):
    other = interpreters.create()
    found = None
    try:
        found = interpreters.run_string(other, "import fast_axolotl")
    except Exception as error:
        found = error
    assert "ImportError" in str(found), found
    assert "subinterpreter" in str(found), found
    interpreters.destroy(other)
import fast_axolotl
assert len(list(fast_axolotl.streaming_dataset_reader(path, 10))) == 20
if sys.argv[2] == "before":
    assert len(list(reader)) == 19
"""


@pytest.mark.parametrize("main", ["before", "after"])
def test_a_subinterpreter_is_refused_and_does_no_harm(main, small_file):
    python(SUBINTERPRETER, small_file, main, seconds=30)


def test_a_python_without_the_gil_is_refused():
    # Such a Python tells it by this letter.
    python("""
        import sys
        sys.abiflags += "t"
        try:
            import fast_axolotl
        except ImportError as error:
            assert "free-threaded" in str(error), error
        else:
            raise AssertionError
    """)


# --- forks ----------------------------------------------------------------------------


FORK_AND_END = """
import os, sys
import fast_axolotl
from fast_axolotl import StreamingDataset, streaming_dataset_reader
path = sys.argv[1]
dataset = StreamingDataset(path, 10)
reader = iter(dataset)
first = next(reader)
child = os.fork()
if child == 0:
    code = 1
    try:
        assert [row["i"] for row in dataset.rows()] == list(range(1000))
        assert next(iter(dataset)) == first
        try:
            next(reader)
        except RuntimeError as error:
            assert "fork" in str(error)
        else:
            raise AssertionError("the parent's reader gave a batch")
        del reader
        code = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        if sys.argv[2] == "exit":
            sys.exit(code)
        os._exit(code)
_, status = os.waitpid(child, 0)
assert status == 0, status
rest = list(reader)
assert len(rest) == 99
assert [i for batch in [first, *rest] for i in batch["i"]] == list(range(1000))
"""


@FORK
@pytest.mark.parametrize("way", ["exit", "_exit"])
def test_fork_with_an_open_reader(way, ten_files):
    for _ in range(2):
        python(FORK_AND_END, ten_files, way, seconds=30)


FORKS = (
    NO_TORCH
    + """
import gc, os, signal, sys, threading, time
import fast_axolotl
from fast_axolotl import PackOptions, StreamingDataset, streaming_dataset_reader

path = sys.argv[1]

def same(batch):
    return batch

def mixed():
    halves = [StreamingDataset(path, 10) for _ in range(2)]
    return fast_axolotl.mix(halves, stop="all")

class Plain:
    def __iter__(self):
        return streaming_dataset_reader(path, 10)

class Transformed:
    def __iter__(self):
        return streaming_dataset_reader(path, 10, transform=same)

pack = PackOptions(tokens="ids", length=4, pack_window=20)
DATASETS = {
    "plain": Plain(),
    "transformed": Transformed(),
    "dataset": StreamingDataset(path, 10),
    "numpy": StreamingDataset(path, 10, output="numpy"),
    "shuffled": StreamingDataset(path, 10, shuffle=True),
    "lanes": StreamingDataset(path, 10, num_lanes=3),
    "mapped": StreamingDataset(path, 10).map(same),
    "packed": StreamingDataset(path, 10, pack=pack, output="numpy"),
    "mixed": mixed(),
}

def half(reader):
    return [next(reader) for _ in range(4)]

def close(reader):
    next(reader)
    reader.close()
    return None

STATES = {
    "new": lambda reader: [],
    "half": half,
    "ended": list,
    "closed": close,
}

def numbers(batches):
    name = "input_ids" if batches and "input_ids" in batches[0] else "i"
    flat = []
    for batch in batches:
        column = batch[name]
        flat += column.ravel().tolist() if hasattr(column, "ravel") else column
    return flat

def in_child(work):
    child = os.fork()
    if child == 0:
        code = 1
        signal.alarm(20)  # what hangs dies
        try:
            work()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            if regular:
                sys.exit(code)
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert status == 0, status

regular = False
for name, dataset in DATASETS.items():
    expected = sorted(numbers(list(dataset)))
    for state, reach in STATES.items():
        regular = not regular
        reader = iter(dataset)
        first = reach(reader)

        def look(depth):
            global reader
            assert sorted(numbers(list(dataset))) == expected
            begun = iter(dataset)
            next(begun)
            if state in ("ended", "closed"):
                assert next(reader, None) is None
            elif state == "half" or name in ("plain", "transformed"):
                for _ in range(2):
                    try:
                        next(reader)
                    except RuntimeError as error:
                        assert "fork" in str(error)
                    else:
                        raise AssertionError("the parent's reader gave a batch")
            reader.stats()
            if depth:
                in_child(lambda: look(depth - 1))
            assert len(list(begun)) > 1
            reader.close()
            del reader
            gc.collect()

        in_child(lambda: look(1 if state == "half" else 0))
        rest = list(reader)
        if first is not None:
            assert sorted(numbers([*first, *rest])) == expected, (name, state)
        reader.close()
"""
)


@FORK
def test_forks_with_a_reader_in_any_state(small_file):
    """Also forks of forks: the child reads anew, the parent goes on."""
    python(FORKS, small_file)


FORK_IN_THREADS = (
    NO_TORCH
    + """
import os, signal, sys, threading
from fast_axolotl import StreamingDataset
dataset = StreamingDataset(sys.argv[1], 10, shuffle=True).map(lambda batch: batch)
list(dataset)
failed = []

def work():
    for _ in range(4):
        reader = iter(dataset)
        given = [next(reader)]
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            try:
                os._exit(len(list(dataset)) != 20)
            finally:
                os._exit(2)
        failed.append(os.waitpid(child, 0)[1])
        given += reader
        failed.append(len(given) != 20)

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert failed == [0] * 32, failed
"""
)


@FORK
def test_forks_of_threads_while_others_read(small_file):
    python(FORK_IN_THREADS, small_file)


# --- processes that are started -------------------------------------------------------


STARTED = (
    NO_TORCH
    + """
import multiprocessing, sys, time
from fast_axolotl import StreamingDataset

def count(dataset, shift):
    return sum(len(batch["i"]) for batch in dataset) + shift

def identity(batch):
    return batch

if __name__ == "__main__":
    dataset = StreamingDataset(sys.argv[1], 10, shuffle=True).map(identity)
    open_one = iter(dataset)
    next(open_one)
    context = multiprocessing.get_context(sys.argv[2])
    with context.Pool(2) as pool:
        found = pool.starmap(count, [(dataset, i) for i in range(4)])
    assert found == [200, 201, 202, 203], found
    child = context.Process(target=count, args=(dataset, 0), daemon=True)
    child.start()
    child.join(30)
    assert child.exitcode == 0, child.exitcode
    assert len(list(open_one)) == 19
"""
)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_dataset_in_processes_that_were_started(method, small_file, tmp_path):
    import multiprocessing

    assert method in multiprocessing.get_all_start_methods()
    python(STARTED, small_file, method, cwd=tmp_path)


WORKERS = """
import json, pathlib, sys
from fast_axolotl import StreamingDataset

def told(row):
    # In the worker; the file takes whole lines.
    with open("told", "a") as file:
        file.write(f"{row.row}\\n")

if __name__ == "__main__":
    path, method = sys.argv[1:]
    dataset = StreamingDataset(path, 4, on_error=told, quarantine="quarantine")
    loader = dataset.loader(num_workers=2, multiprocessing_context=method)
    found = sorted(i for batch in loader for i in batch["i"])
    bad = [i for i in range(200) if i % 10 == 3]
    assert found == [i for i in range(200) if i not in bad], found
    rows = [i + 1 for i in bad]
    assert sorted(map(int, pathlib.Path("told").read_text().split())) == rows
    lines = pathlib.Path("quarantine").read_text().splitlines()
    assert sorted(json.loads(line)["row"] for line in lines) == rows
    assert dataset.stats().rows_skipped == len(bad)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_share_a_quarantine(method, tmp_path):
    pytest.importorskip("torch")
    path = tmp_path / "bad.jsonl"
    path.write_text(
        "".join("{\n" if i % 10 == 3 else f'{{"i": {i}}}\n' for i in range(ROWS))
    )
    python(WORKERS, path, method, cwd=tmp_path)


# --- exits ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "next(reader)",
        "",
        "import threading; threading.Thread(target=reader.__next__, daemon=True).start()",
        "next(reader); sys.keep = reader",
        "next(reader); reader.me = reader",
        "import atexit; atexit.register(lambda: print(len(list(reader)))); next(reader)",
        "next(reader); raise SystemExit(0)",
        "iter(fast_axolotl._dataset.StreamingDataset(sys.argv[1]).rows()).__next__()",
    ],
)
def test_exit_with_an_open_reader(code, long_lines):
    start = time.monotonic()
    python(
        "import sys, fast_axolotl, fast_axolotl._dataset\n"
        "reader = fast_axolotl.streaming_dataset_reader(sys.argv[1], 10)\n" + code,
        long_lines,
        seconds=20,
    )
    assert time.monotonic() - start < 15


DAEMON = """
import sys, threading, time
import fast_axolotl
reader = fast_axolotl.streaming_dataset_reader(sys.argv[1:] * 100, 10, num_threads=2)
def work():
    for batch in reader:
        pass
threading.Thread(target=work, daemon=True).start()
time.sleep(0.05)
"""


def test_exit_while_a_daemon_thread_reads(long_lines):
    for _ in range(8):
        python(DAEMON, long_lines, seconds=20)


EXIT = (
    NO_TORCH
    + """
import atexit, os, sys, threading, time
import fast_axolotl
from fast_axolotl import PackOptions, StreamingDataset, streaming_dataset_reader
path, how = sys.argv[1:]
pack = PackOptions(tokens="ids", length=4, pack_window=20)
half = StreamingDataset(path, 5)
readers = [
    streaming_dataset_reader(path, 5),
    streaming_dataset_reader(path, 5, output="numpy"),
    streaming_dataset_reader(path, 5, transform=lambda batch: batch),
    streaming_dataset_reader(path, 5, pack=pack, output="numpy"),
    iter(StreamingDataset(path, 5, shuffle=True)),
    iter(half.map(lambda batch: batch)),
    iter(fast_axolotl.mix([half, half])),
    half.rows(),
]
readers += [
    streaming_dataset_reader(path, 5),  # not begun
    streaming_dataset_reader(path, 5, transform=lambda batch: batch),
]
for reader in readers[:8]:
    next(reader)
sys.keeps = readers  # longer than this module

def use():
    for reader in readers:
        for _ in reader:
            pass

class Last:
    def __del__(self):
        for reader in sys.keeps:
            next(reader, None)

if how == "sys.exit":
    sys.exit(3)
elif how == "exception":
    raise KeyError("enough")
elif how == "_exit":
    os._exit(3)
elif how == "daemon":
    def forever():
        while True:
            for _ in streaming_dataset_reader(path, 5, transform=lambda batch: batch):
                pass
    threading.Thread(target=forever, daemon=True).start()
    time.sleep(0.05)
elif how == "thread":
    threading.Thread(target=use).start()
elif how == "atexit":
    atexit.register(use)
elif how == "teardown":
    sys.last = Last()
elif how == "slow":
    slow = streaming_dataset_reader(path, 5, transform=lambda _: time.sleep(60))
    threading.Thread(target=lambda: next(slow, None), daemon=True).start()
    time.sleep(0.05)
"""
)


EXITS = {"sys.exit": 3, "exception": 1, "_exit": 3}


@pytest.mark.parametrize(
    "how",
    ["end", "sys.exit", "exception", "_exit", "daemon", "thread", "atexit", "teardown",
     "slow"],
)  # fmt: skip
def test_exit_with_readers_in_every_state(how, small_file):
    done = subprocess.run(
        [sys.executable, "-c", EXIT, str(small_file), how],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == EXITS.get(how, 0), done.stderr[-3000:]
    if how == "exception":
        assert done.stderr.splitlines()[-1] == "KeyError: 'enough'"
    else:
        assert not done.stderr
