# SPDX-License-Identifier: Apache-2.0
"""Passes, readers that are dropped halfway, and errors leave nothing behind.

Each case runs in a process of its own, which reads small files of every format over and
over. After a warm-up its memory, its files and its threads are counted, and again at the
end: a leak of one batch, file or thread a pass shows many times over.
"""

import json
import os
import subprocess
import sys

import pytest
from formats import COMPRESSIONS, FORMATS, Case, table
from outputs import OUTPUTS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

ROWS = 150
PASSES = 200
WARM = 60
# Of what the files hold, decoded, about once a pass: one batch that leaked every time
# would be ten times as much.
MOST_GROWTH = 8 << 20
# Allocators and pools start some threads when they first need them, and those of a reader
# may still be on their way out. One that leaked would be there thousands of times.
MOST_THREADS = 8

PROGRAM = """
import gc, json, os, sys
import fast_axolotl

def state():
    gc.collect()
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {"memory": memory, "files": len(os.listdir("/proc/self/fd")),
            "threads": len(os.listdir("/proc/self/task"))}

how, output, passes, warm, *paths = sys.argv[1:]
begun = []
ended = 0

def whole(path):
    global ended
    for batch in fast_axolotl.streaming_dataset_reader(path, 40, output=output,
                                                       num_threads=2):
        pass
    ended += 1

def epochs(path):
    global ended
    dataset = fast_axolotl.StreamingDataset(path, batch_size=40, output=output,
                                            shuffle=True, num_threads=2)
    for batch in dataset:
        pass
    dataset.state_dict()
    ended += 1

def half(path):
    global ended
    reader = fast_axolotl.streaming_dataset_reader(path, 10, output=output,
                                                   num_threads=2)
    next(reader)
    ended += 1

def error(path):
    global ended
    try:
        whole(path)
    except (OSError, ValueError) as found:
        assert path in str(found), found
        ended += 1

read = {"whole": whole, "epochs": epochs, "half": half, "error": error}[how]
for i in range(int(passes)):
    if i == int(warm):
        before = state()
    for path in paths:
        read(path)
print(json.dumps({"before": before, "after": state(), "ended": ended}))
"""


def write_files(folder):
    """A file of every format, and one of each compression."""
    data = table(
        id=list(range(ROWS)),
        text=[f"row {i} " + "some words " * (i % 40) for i in range(ROWS)],
        ids=[list(range(i % 50)) for i in range(ROWS)],
    )
    cases = [Case(format, COMPRESSIONS[0]) for format in FORMATS]
    cases += [Case(FORMATS[0], c) for c in COMPRESSIONS[1:]]
    cases += [Case(FORMATS[8], c) for c in COMPRESSIONS[1:]]
    return [case.write(folder, data, f"{i}") for i, case in enumerate(cases)]


def run(how, output, paths, tmp_path, passes=PASSES):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how, output, str(passes), str(WARM), *paths],
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
        env={**os.environ, "FAST_AXOLOTL_CACHE": str(tmp_path / "cache")},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ended"] == passes * len(paths)
    return found["before"], found["after"]


def assert_flat(before, after):
    assert after["files"] == before["files"]
    assert after["threads"] <= before["threads"] + MOST_THREADS
    grown = after["memory"] - before["memory"]
    assert grown < MOST_GROWTH, f"{grown / 1e6:.1f} MB more than after {WARM} passes"


@pytest.mark.parametrize("output", ["python", *OUTPUTS])
def test_passes(tmp_path, output):
    paths = write_files(tmp_path)
    assert_flat(*run("whole", output, paths, tmp_path))


@pytest.mark.parametrize("output", ["python", "arrow"])
def test_shuffled_epochs(tmp_path, output):
    assert_flat(*run("epochs", output, write_files(tmp_path), tmp_path))


@pytest.mark.parametrize("output", ["python", "numpy", "arrow"])
def test_readers_that_are_dropped_halfway(tmp_path, output):
    paths = [path for path in write_files(tmp_path) if path.stat().st_size > 1000]
    assert_flat(*run("half", output, paths, tmp_path))


@pytest.mark.parametrize("output", ["python", "numpy"])
def test_errors(tmp_path, output):
    """Files cut in the middle, most of which fail after some rows."""
    paths = []
    for path in write_files(tmp_path):
        data = path.read_bytes()
        # A text that is cut is a shorter text.
        data = data + b"\xff\n" if path.suffix == ".txt" else data[: len(data) * 2 // 3]
        path.write_bytes(data)
        paths.append(path)
    assert_flat(*run("error", output, paths, tmp_path))
