# SPDX-License-Identifier: Apache-2.0
"""Signals: Ctrl-C is answered at once wherever it comes, and costs no row."""

import gc
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import fast_axolotl
from fast_axolotl import PackOptions, StreamingDataset, streaming_dataset_reader

# --- it is answered -------------------------------------------------------------------


def interrupt(code, *args, cache, after):
    """Run code, and send Ctrl-C so many seconds after it says "ready".

    Returns its exit status, when the signal was sent, and what it wrote.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FAST_AXOLOTL_CACHE": str(cache)},
    )
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(after)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, sent, out, err


# Whoever starts the tests may have the signal ignored.
CHILD = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
{before}
import fast_axolotl
from fast_axolotl import PackOptions, StreamingDataset, cli, streaming_dataset_reader
small, lines, footer = sys.argv[1:]
pack = PackOptions(tokens="ids", length=8)
numpy = {{"output": "numpy", "pack": pack}}
shuffled = {{"shuffle": True, "batch_size": 10}}
misfits = {{"schema": {{"i": "bool"}}, "on_error": lambda _: time.sleep(0.001)}}
print("ready", flush=True)
try:
    {work}
except KeyboardInterrupt:
    sys.exit(70)
finally:
    print(time.monotonic())
"""


@pytest.fixture(scope="module")
def long_files(tmp_path_factory):
    """A small file, and two that take seconds to decompress though they are not large."""
    folder = tmp_path_factory.mktemp("long")
    small = folder / "small.jsonl"
    small.write_text('{"i": 1}\n' * 10)
    lines = folder / "lines.jsonl.gz"
    lines.write_bytes(
        gzip.compress((b'{"i": 1, "ids": [1], "text": "' + b"x" * 980 + b'"}\n') * 10_000)
        * 800
    )
    # Never decoded: where a footer is wanted all of it goes into a temporary file before.
    footer = folder / "footer.parquet.gz"
    footer.write_bytes(
        gzip.compress(b"PAR1" + bytes(1 << 20))
        # Repeats that compress well, but not so well that they are refused.
        + gzip.compress(random.Random(0).randbytes(10_000) * 1000) * 500
    )
    return small, lines, footer


WORK = {
    "open": "streaming_dataset_reader(footer)",
    "read": "list(streaming_dataset_reader([small, footer], 5, schema={'i': 'int64'}))",
    "batches": "list(streaming_dataset_reader(lines, 100))",
    "one batch": "list(streaming_dataset_reader(lines, 10**9))",
    "arrays": "list(streaming_dataset_reader(lines, 100, output='arrow'))",
    "shuffled": "list(StreamingDataset(lines, 100, shuffle=True))",
    "rows": "list(StreamingDataset(lines, 100).rows())",
    "ahead": "list(streaming_dataset_reader(lines, transform=lambda _: time.sleep(9)))",
    "count": "fast_axolotl.count_rows(lines)",
    "index": "fast_axolotl.build_index(lines)",
    "lengths": "fast_axolotl.build_index(lines, lengths='i')",
    "validate": "fast_axolotl.validate(lines)",
    "validate and index": "fast_axolotl.validate(lines, index=True)",
    "many files": "StreamingDataset([small] * 400_000)",
    "read many files": "list(streaming_dataset_reader([small] * 150_000, 10))",
    "index many files": "fast_axolotl.build_index([small] * 150_000)",
    "mapped": "list(StreamingDataset(lines, 100).map(lambda batch: batch))",
    "lanes": "list(StreamingDataset(lines, 100, num_lanes=2))",
    "packed": "list(StreamingDataset(lines, 100, **numpy))",
    "packed, shuffled": "list(StreamingDataset(lines, **shuffled, **numpy))",
    "mixed": "list(fast_axolotl.mix([StreamingDataset(lines, 100)] * 2))",
    "mixed, shuffled": "list(fast_axolotl.mix([StreamingDataset(lines, **shuffled)]))",
    "skipped": "list(streaming_dataset_reader(lines, 100, on_error='skip'))",
    "no row is good": "list(streaming_dataset_reader(lines, **misfits))",
    "no array is": "list(streaming_dataset_reader(lines, output='numpy', **misfits))",
    "loader": "list(StreamingDataset(lines, 100).loader())",
    "loader, shuffled": "list(StreamingDataset(lines, 100, shuffle=True).loader())",
    "hf": "list(StreamingDataset(lines, 100).to_hf())",
    "cli validate": "sys.exit(cli.main(['validate', lines]) - 60)",
    "cli lengths": "sys.exit(cli.main(['index', '--lengths', 'ids', lines]) - 60)",
    "cli head": "sys.exit(cli.main(['head', '-n', '100000000', lines]) - 60)",
    "cli count": "sys.exit(cli.main(['count', lines]) - 60)",
    "cli index": "sys.exit(cli.main(['index', lines]) - 60)",
    "cli schema": "sys.exit(cli.main(['schema', footer]) - 60)",
}
# What they need is imported before, and torch, which takes seconds, only for them.
BEFORE = {
    "loader": "import torch.utils.data",
    "loader, shuffled": "import torch.utils.data",
    "hf": "import fast_axolotl._hf",
}


@pytest.mark.parametrize("work", WORK)
def test_ctrl_c_ends_it_at_once(work, long_files, tmp_path):
    code = textwrap.dedent(CHILD).format(
        work=WORK[work], before=BEFORE.get(work, "sys.modules['torch'] = None")
    )
    code, sent, out, err = interrupt(code, *long_files, cache=tmp_path, after=0.3)
    assert code == 70, (out[-300:], err[-3000:])
    # Some hundredths of a second; any of this takes several seconds to its end.
    assert float(out) - sent < 2
    # Libraries that others imported take their time to go.
    assert time.monotonic() - sent < 10


SLOW = """
import sys, time
import fast_axolotl
reader = fast_axolotl.streaming_dataset_reader(sys.argv[1], int(sys.argv[2]))
print("ready", flush=True)
try:
    for batch in reader:
        pass
    for batch in fast_axolotl.streaming_dataset_reader([sys.argv[1]] * 1000):
        pass
except KeyboardInterrupt:
    print("interrupted", time.monotonic(), flush=True)
    reader.close()
"""


@pytest.mark.parametrize("batch_size", [10, 10**9], ids=["many_batches", "one_long_wait"])
def test_an_interrupt_is_answered_at_once(batch_size, long_lines, tmp_path):
    code, sent, out, err = interrupt(
        SLOW, long_lines, batch_size, cache=tmp_path, after=0.03
    )
    assert code == 0, err
    word, when = out.split()
    assert word == "interrupted"
    assert float(when) - sent < 1


# --- it costs nothing -----------------------------------------------------------------

ROWS = 4000


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    path = tmp_path_factory.mktemp("numbered") / "data.jsonl"
    path.write_text(
        "".join(
            json.dumps({"i": i, "ids": [i], "text": f"{i:050}"}) + "\n"
            for i in range(ROWS)
        )
    )
    return path


def same(batch):
    return batch


def numbers(batch):
    """Which rows a batch holds, or a row by itself."""
    found = batch["input_ids"] if "input_ids" in batch else batch["i"]
    if isinstance(found, int):
        return [found]
    return [int(i) for i in (found.ravel() if hasattr(found, "ravel") else found)]


def mixed(path):
    halves = [StreamingDataset(path, 5, columns=["i", "text"]) for _ in range(2)]
    return iter(fast_axolotl.mix(halves, stop="all"))


def packed(path):
    options = PackOptions(tokens="ids", length=2, pack_window=10)
    return iter(StreamingDataset(path, 2, pack=options, output="numpy"))


WAYS = {
    "reader": lambda path: streaming_dataset_reader(path, 5),
    "large batches": lambda path: streaming_dataset_reader(path, ROWS // 2),
    "arrays": lambda path: streaming_dataset_reader(path, 5, output="numpy"),
    "dataset": lambda path: iter(StreamingDataset(path, 5)),
    "lanes": lambda path: iter(StreamingDataset(path, 5, num_lanes=3)),
    "shuffled": lambda path: iter(StreamingDataset(path, 5, shuffle=True)),
    "transform": lambda path: streaming_dataset_reader(path, 5, transform=same),
    "map": lambda path: iter(StreamingDataset(path, 5).map(same)),
    "packed": packed,
    "mixed": mixed,
    "rows": lambda path: StreamingDataset(path, 50).rows(),
}


def read_on(batches, found):
    """Note down what comes; True at the end.

    Signal handlers run where something is called. Nothing is called here between a
    batch's coming and its being noted down, so what is lost is not lost here.
    """
    for batch in batches:
        found += (batch,)
    return True


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, TimeoutError], ids=lambda e: e.__name__
)
@pytest.mark.parametrize("way", WAYS)
# What Python code had just opened is then closed by being dropped.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_a_signal_handler_raises_costs_no_row(way, error, numbered):
    expected = [i for batch in WAYS[way](numbered) for i in numbers(batch)]
    assert sorted(set(expected)) == list(range(ROWS))
    raised = 0

    def interrupt(*_):
        nonlocal raised
        raised += 1
        raise error

    found = []
    batches = WAYS[way](numbered)
    # Python drops what is raised while it collects, and that says nothing here.
    gc.disable()
    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        while True:
            try:
                # At another place each time, and later and later.
                delay = 0.0002 * (1 + raised % 17) * (1 + raised / 300)
                signal.setitimer(signal.ITIMER_REAL, delay)
                if read_on(batches, found):
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    break
            except error:
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        gc.enable()
    assert raised > 0
    assert [i for batch in found for i in numbers(batch)] == expected


def test_a_batch_that_was_held_up_is_counted_once(numbered):
    """State and numbers are those of what was given."""
    dataset = StreamingDataset(numbered, 5)
    batches = iter(dataset)
    given = next(batches)
    real = batches._note_mark

    def interrupted(reader):
        batches._note_mark = real
        raise KeyboardInterrupt

    batches._note_mark = interrupted
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    assert dataset.state_dict()["batch"] == 1
    assert batches.stats().batches == 1
    assert numbers(next(batches)) == [5, 6, 7, 8, 9]
    assert dataset.state_dict()["batch"] == 2
    assert batches.stats().batches == 2
    assert numbers(given) == [0, 1, 2, 3, 4]
