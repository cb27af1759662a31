# SPDX-License-Identifier: Apache-2.0
"""Functions on batches, called ahead on a thread: their order, errors, and the end."""

import gc
import operator
import threading
import time
import traceback
from textwrap import dedent

import pytest
from calls import NAME, ROWS, SIZE, Calls, numbers
from processes import LINUX, count_threads, python, settled_threads

import fast_axolotl
from fast_axolotl import StreamingDataset, _ahead, streaming_dataset_reader

# Results that lie ready, and the one that was taken.
AHEAD = 5


def threads():
    """Those that are not left from other tests, whose readers somebody may hold."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name == NAME and thread not in _others
    ]


_others = set()


@pytest.fixture(autouse=True)
def _threads_of_others():
    _others.clear()
    _others.update(threading.enumerate())


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited for too long"
        time.sleep(0.005)


# By the ways to have a function called: on a reader, a dataset, its map(), a mixture's.
def reader(path, fn):
    return streaming_dataset_reader(path, SIZE, transform=fn)


def dataset(path, fn):
    return iter(StreamingDataset(path, SIZE, transform=fn))


def mapped(path, fn):
    return iter(StreamingDataset(path, SIZE).map(fn))


def planned(path, fn):
    data = StreamingDataset(path, SIZE, transform=fn, num_lanes=1)
    data.load_state_dict(data.state_dict())
    return iter(data)


def mixed(path, fn):
    source = StreamingDataset(path, SIZE, transform=fn)
    return iter(fast_axolotl.mix([source], num_lanes=1))


def mixed_and_mapped(path, fn):
    return iter(fast_axolotl.mix([StreamingDataset(path, SIZE)], num_lanes=1).map(fn))


WAYS = [reader, dataset, mapped, planned, mixed, mixed_and_mapped]


each_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


# --- order ----------------------------------------------------------------------------


@each_way
def test_one_thread_calls_it_in_order_and_not_far_ahead(called_file, way):
    calls = Calls()
    with way(called_file, calls) as batches:
        assert calls == []
        assert not threads()
        assert numbers(next(batches)) == 0
        wait_for(lambda: len(calls) == AHEAD)
        time.sleep(0.05)
        assert calls == [*range(AHEAD)]
        assert batches.rows_read == SIZE
        assert [numbers(batch) for batch in batches] == [*range(1, ROWS // SIZE)]
        assert calls == [*range(ROWS // SIZE)]
        assert calls.threads == {NAME}
        assert not threads()
        assert next(batches, None) is None


def test_functions_follow_each_other(called_file):
    data = StreamingDataset(called_file, SIZE, transform=operator.itemgetter("id"))
    data = data.map(sum).map(lambda total: (total, threading.current_thread().name))
    sums = [sum(range(at, at + SIZE)) for at in range(0, ROWS, SIZE)]
    assert list(data) == [(total, NAME) for total in sums]


def test_a_transform_gets_what_output_says(called_file):
    data = StreamingDataset(
        called_file, SIZE, output="numpy", transform=lambda batch: batch
    )
    assert [b["id"].sum() for b in data] == [
        sum(range(at, at + SIZE)) for at in range(0, ROWS, SIZE)
    ]


def test_none_is_a_result_like_any_other(called_file):
    data = StreamingDataset(called_file, SIZE, transform=lambda batch: None)
    assert list(data) == [None] * (ROWS // SIZE)
    data = StreamingDataset(
        called_file, SIZE, transform=lambda batch: ValueError("no error")
    )
    assert [str(error) for error in data] == ["no error"] * (ROWS // SIZE)


@pytest.mark.parametrize("n", [0, 1, 3, 1000])
@pytest.mark.parametrize("lanes", [1, 2])
def test_take_calls_it_for_what_is_taken_only(called_file, n, lanes):
    calls = Calls()
    data = StreamingDataset(called_file, SIZE, transform=calls, num_lanes=lanes)
    for _ in range(2):
        calls.clear()
        assert len(list(data.take(n))) == len(calls) == min(n, ROWS // SIZE)
    calls.clear()
    ranks = StreamingDataset(called_file, SIZE, transform=calls, distributed=(1, 2))
    assert len(list(ranks.skip(1).take(n))) == len(calls) == -(-min(n, 19) // 2)


# --- errors ---------------------------------------------------------------------------


class OwnError(Exception):
    pass


@each_way
@pytest.mark.parametrize(
    "error", [OwnError, KeyboardInterrupt, SystemExit, GeneratorExit]
)
def test_an_error_comes_in_its_turn_and_again(called_file, way, error):
    def raises_at_7(batch):
        if numbers(batch) == 7:
            raise error("seven")
        return batch

    batches = way(called_file, raises_at_7)
    assert [numbers(next(batches)) for _ in range(7)] == [*range(7)]
    traces = []
    for _ in range(3):
        with pytest.raises(error, match="seven") as raised:
            next(batches)
        traces.append([frame.name for frame in traceback.extract_tb(raised.tb)])
    # Where it was raised is to be seen; the trace does not grow.
    assert traces[0][-1] == "raises_at_7"
    assert traces[0][1:] == traces[1][1:] == traces[2][1:]
    assert not threads()
    if way is not reader:
        assert batches.state_dict()["batch"] == 7


@each_way
def test_stop_iteration_ends_nothing_quietly(called_file, way):
    def exhausted(batch):
        return next(iter(()))

    batches = way(called_file, exhausted)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"exhausted.* raised StopIteration"):
            next(batches)


def test_an_error_of_a_file_comes_behind_the_results_before_it(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"id": 0}\n' * 25 + "oops\n" + '{"id": 0}\n' * 25)
    batches = streaming_dataset_reader(path, SIZE, transform=lambda b: len(b["id"]))
    assert [next(batches) for _ in range(3)] == [10, 10, 5]
    for _ in range(2):
        with pytest.raises(OSError, match="line 26"):
            next(batches)


# --- the end --------------------------------------------------------------------------


@LINUX
@each_way
@pytest.mark.parametrize("taken", [0, 1, 3])
@pytest.mark.parametrize("end", ["close", "drop", "with"])
def test_nothing_is_left(called_file, way, taken, end):
    before = count_threads()
    batches = way(called_file, Calls())
    for _ in range(taken):
        next(batches)
    if taken:
        time.sleep(0.02)  # until some results lie ready
    if end == "drop":
        del batches
    elif end == "close":
        batches.close()
        batches.close()
        assert next(batches, None) is None
    else:
        with batches:
            pass
        assert next(batches, None) is None
    assert not threads()
    assert settled_threads(before) == before


@each_way
def test_closing_waits_for_a_call_but_not_for_ever(called_file, way, monkeypatch):
    monkeypatch.setattr(_ahead, "_PATIENCE", 0.2)
    called, end = threading.Event(), threading.Event()

    def endless(batch):
        called.set()
        end.wait(60)
        return batch

    batches = way(called_file, endless)
    found = []
    consumer = threading.Thread(target=lambda: found.append(next(batches, None)))
    consumer.start()
    assert called.wait(20)
    began = time.monotonic()
    batches.close()
    consumer.join(20)
    assert time.monotonic() - began < 10
    # Whoever waited for the result was woken up.
    assert found == [None]
    assert next(batches, None) is None
    assert len(threads()) == 1
    end.set()
    wait_for(lambda: not threads())


def test_a_call_that_ends_soon_is_waited_for(called_file):
    called = threading.Event()
    done = []

    def slow(batch):
        called.set()
        time.sleep(0.05)
        done.append(numbers(batch))
        return batch

    batches = reader(called_file, slow)
    threading.Thread(target=lambda: next(batches, None)).start()
    assert called.wait(20)
    batches.close()
    assert not threads()
    assert done == [0]


@each_way
def test_two_threads_on_one_reader(called_file, way):
    called, end = threading.Event(), threading.Event()

    def waits(batch):
        called.set()
        end.wait(20)
        return batch

    batches = way(called_file, waits)
    found = []
    other = threading.Thread(target=lambda: found.append(numbers(next(batches))))
    other.start()
    assert called.wait(20)
    with pytest.raises(ValueError, match="already being read by another thread"):
        next(batches)
    end.set()
    other.join()
    assert found == [0]
    assert [numbers(batch) for batch in batches] == [*range(1, ROWS // SIZE)]


SCRIPT = """
import os, signal, sys, threading, time
import fast_axolotl
path, seconds = sys.argv[1], float(sys.argv[2])
called = threading.Event()
def slow(batch):
    called.set()
    time.sleep(seconds)
    return batch
reader = fast_axolotl.streaming_dataset_reader(path, 10, transform=slow)
"""


def test_ctrl_c_is_answered_and_reading_goes_on(called_file):
    code = """
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    try:
        next(reader)
    except KeyboardInterrupt:
        print(time.monotonic() - began)
    print(next(reader)["id"][0])
    """
    elapsed, first = python(SCRIPT + dedent(code), called_file, 1.5).split()
    assert 0.2 < float(elapsed) < 1.3
    assert first == "0"


@pytest.mark.parametrize(
    "code",
    [
        "called.wait()",  # the reader is open when the interpreter ends
        "called.wait(); reader.close()",
        "os.kill(os.getpid(), signal.SIGINT)",
    ],
)
def test_the_interpreter_ends_while_a_call_goes_on(called_file, code):
    """A training loop that was interrupted is not kept by a function that hangs."""
    thread = "threading.Thread(target=next, args=(reader, None), daemon=True).start()\n"
    if "kill" in code:
        code = (
            f"threading.Timer(0.3, lambda: {code}).start()\n"
            "try:\n    next(reader)\nexcept KeyboardInterrupt:\n    pass"
        )
        thread = ""
    began = time.monotonic()
    python(SCRIPT + thread + code, called_file, 60, seconds=40)
    assert time.monotonic() - began < 25


@LINUX
@pytest.mark.parametrize("packed", [False, True])
def test_a_fork_with_an_open_reader(called_file, packed):
    """The child says that the reader is not its own, reads anew, and ends as usual."""
    code = """
    import fast_axolotl, os, sys, threading, warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    pack = fast_axolotl.PackOptions(8) if sys.argv[2] == "True" else None
    data = fast_axolotl.StreamingDataset(
        sys.argv[1], 10, pack=pack, transform=lambda batch: batch, distributed="off"
    )
    reader = iter(data)
    next(reader)
    child = os.fork()
    if child == 0:
        try:
            next(reader)
        except RuntimeError as error:
            assert "opened before a fork" in str(error)
        else:
            os._exit(3)
        assert len(list(data)) > 4
        reader.close()
        del reader
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(list(reader)) > 3
    """
    python(code, called_file, packed)


# --- beginning and threads --------------------------------------------------------------


def test_a_thread_that_cannot_be_started(called_file, monkeypatch):
    """There are limits on threads. No call may wait for one that is not there."""
    reader = streaming_dataset_reader(called_file, SIZE, transform=numbers)

    def fail(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            next(reader)
    assert list(reader) == [*range(ROWS // SIZE)]


@pytest.mark.parametrize("shuffle", [False, True])
def test_threads_that_begin_an_iterator_together(called_file, shuffle):
    """Each row once: they must not each start reading."""
    for _ in range(20):
        batches = iter(StreamingDataset(called_file, 1, shuffle=shuffle))
        start = threading.Barrier(4)
        found = []

        def read(batches=batches, start=start, found=found):
            start.wait()
            while True:
                try:
                    found.extend(next(batches)["id"])
                except StopIteration:
                    return
                except ValueError:
                    pass

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        assert sorted(found) == list(range(ROWS))


class Trainer:
    def __init__(self, path, how):
        data = StreamingDataset(path, SIZE, **({} if how == "map" else {how: self.same}))
        self.batches = iter(data.map(self.same) if how == "map" else data)

    def same(self, batch):
        return batch


@pytest.mark.parametrize("how", ["transform", "map"])
def test_a_function_of_the_object_that_holds_the_iterator(called_file, how):
    """The thread must not keep both alive."""
    before = len(threads())
    for _ in range(5):
        trainer = Trainer(called_file, how)
        next(trainer.batches)
        del trainer
    # A thread that is still making results holds on to what makes them.
    deadline = time.monotonic() + 20
    while len(threads()) > before and time.monotonic() < deadline:
        time.sleep(0.01)
        gc.collect()
    assert len(threads()) == before
