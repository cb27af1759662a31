# SPDX-License-Identifier: Apache-2.0
"""Code that is run in a process of its own, and what a process leaves behind."""

import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

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


def run(script, *arguments, seconds=60, prefix=(), **variables):
    """What a script prints, as JSON."""
    ran = subprocess.run(
        [*prefix, sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        env={**os.environ, **{name: str(value) for name, value in variables.items()}},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert "Warning" not in ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def count_threads():
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


def settled_threads(expected, seconds=2):
    """The threads there are; those that are just ending get a moment."""
    until = time.monotonic() + seconds
    while count_threads() > expected and time.monotonic() < until:
        time.sleep(0.01)
    return count_threads()
