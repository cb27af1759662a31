# SPDX-License-Identifier: Apache-2.0
"""Processes, threads and interpreters: forks, spawns, exits, many readers, pickles."""

import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading

import pytest

import fast_axolotl
from fast_axolotl import PackOptions, StreamingDataset, streaming_dataset_reader

FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
ROWS = 200


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "data.jsonl"
    path.write_text(
        "".join(
            json.dumps({"i": i, "ids": [i, i + 1], "text": f"{i:050}"}) + "\n"
            for i in range(ROWS)
        )
    )
    return path


# Importing torch takes seconds, and this package does without: where torch matters, the
# tests name it.
NO_TORCH = """
import sys
sys.modules["torch"] = None
"""


def python(code, *args, seconds=60, cwd=None):
    """Run code in a process of its own; a file, as what is spawned imports it."""
    command = [sys.executable, "-W", "error"]
    if cwd is None:
        command += ["-c", textwrap.dedent(code)]
    else:
        (cwd / "main.py").write_text(textwrap.dedent(code))
        command += ["main.py"]
    done = subprocess.run(
        [*command, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-3000:])
    assert not done.stderr
    return done.stdout


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
def test_a_subinterpreter_is_refused_and_does_no_harm(main, path):
    python(SUBINTERPRETER, path, main, seconds=30)


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
def test_forks_with_a_reader_in_any_state(path):
    """Also forks of forks: the child reads anew, the parent goes on."""
    python(FORKS, path)


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
def test_forks_of_threads_while_others_read(path):
    python(FORK_IN_THREADS, path)


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
def test_a_dataset_in_processes_that_were_started(method, path, tmp_path):
    import multiprocessing

    assert method in multiprocessing.get_all_start_methods()
    python(STARTED, path, method, cwd=tmp_path)


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


# --- threads --------------------------------------------------------------------------


def same(batch):
    return batch


def test_two_hundred_readers_in_turn(path):
    readers = [
        streaming_dataset_reader(
            path, 50, num_threads=1, transform=same if i % 4 == 0 else None
        )
        for i in range(200)
    ]
    expected = list(streaming_dataset_reader(path, 50))
    for wanted in expected:
        assert all(next(reader) == wanted for reader in readers)
    assert all(next(reader, None) is None for reader in readers)


def test_two_hundred_readers_in_threads(path):
    readers = [streaming_dataset_reader(path, 50, num_threads=1) for _ in range(200)]
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


PACK = PackOptions(tokens="ids", length=4, pack_window=20)
SHARED = {
    "python": lambda path: streaming_dataset_reader(path, 3),
    "numpy": lambda path: streaming_dataset_reader(path, 3, output="numpy"),
    "torch": lambda path: streaming_dataset_reader(path, 3, output="torch"),
    "arrow": lambda path: streaming_dataset_reader(path, 3, output="arrow"),
    "padded": lambda path: streaming_dataset_reader(path, 3, pad={"ids": 0}),
    "transformed": lambda path: streaming_dataset_reader(path, 3, transform=same),
    "packed": lambda path: streaming_dataset_reader(path, 3, pack=PACK, output="numpy"),
    "shuffled": lambda path: iter(StreamingDataset(path, 3, shuffle=True)),
    "mapped": lambda path: iter(StreamingDataset(path, 3).map(same)),
    "mixed": lambda path: iter(
        fast_axolotl.mix([StreamingDataset(path, 3) for _ in range(2)], stop="all")
    ),
    "rows": lambda path: StreamingDataset(path, 3).rows(),
}


def numbers(batch):
    column = batch["input_ids"] if "input_ids" in batch else batch["i"]
    if isinstance(column, int):
        return [column]
    if hasattr(column, "ravel"):
        column = column.ravel()
    return column.tolist() if hasattr(column, "tolist") else column


def as_mapping(batch):
    return batch.to_pydict() if hasattr(batch, "to_pydict") else batch


@pytest.mark.parametrize("way", SHARED)
def test_threads_share_an_iterator(way, path):  # noqa: C901
    """Each batch goes to one of them; who comes in between is told what to do."""
    if way in ("torch", "numpy", "arrow"):
        pytest.importorskip({"arrow": "pyarrow"}.get(way, way))
    expected = sorted(
        i for batch in SHARED[way](path) for i in numbers(as_mapping(batch))
    )
    shared = SHARED[way](path)
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


# --- exits ----------------------------------------------------------------------------

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
def test_exit_with_readers_in_every_state(how, path):
    done = subprocess.run(
        [sys.executable, "-c", EXIT, str(path), how],
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


# --- pickles --------------------------------------------------------------------------


def packed(path):
    return StreamingDataset(path, 10, shuffle=True, pack=PACK)


def mixed(path):
    return fast_axolotl.mix([StreamingDataset(path, 10), StreamingDataset(path, 7)])


PICKLED = {
    "plain": lambda path: StreamingDataset(path, 10),
    "shuffled": lambda path: StreamingDataset(path, 10, shuffle=True, num_lanes=4),
    "mapped": lambda path: StreamingDataset(path, 10).map(same).take(9),
    "packed": packed,
    "mixed": mixed,
}


@pytest.mark.parametrize("kind", PICKLED)
def test_a_pickle_holds_options_and_a_state_and_stays_small(kind, path):
    dataset = PICKLED[kind](path)
    before = len(pickle.dumps(dataset))
    assert before < 20_000
    list(dataset)
    reader = iter(dataset)
    next(reader)
    # What was read, and what was found on the way, is no part of it.
    assert abs(len(pickle.dumps(dataset)) - before) < 100
    assert b"_core" not in pickle.dumps(dataset)
    copy = dataset
    for _ in range(10):
        copy = pickle.loads(pickle.dumps(copy))
    # Which of equal words are one object, and so written once, may change.
    assert abs(len(pickle.dumps(copy)) - before) < 100
    rest = len(list(reader))
    assert len(list(copy)) == rest + 1


@pytest.mark.parametrize("kind", PICKLED)
def test_a_pickle_takes_a_pending_state_along(kind, path):
    dataset = PICKLED[kind](path)
    reader = iter(dataset)
    next(reader)
    state = reader.state_dict()
    rest = [numbers(batch) for batch in reader]
    other = PICKLED[kind](path)
    other.load_state_dict(state)
    copy = pickle.loads(pickle.dumps(other))
    assert [numbers(batch) for batch in copy] == rest


@pytest.mark.parametrize("way", SHARED)
def test_no_reader_can_be_pickled(way, path):
    reader = SHARED[way](path)
    next(reader)
    with pytest.raises(TypeError, match="cannot be pickled: it holds threads"):
        pickle.dumps(reader)
