# SPDX-License-Identifier: Apache-2.0
"""The command line, run in processes of its own."""

import json
import os
import subprocess
import sys

import make_sample_data

COMMAND = [sys.executable, "-m", "fast_axolotl.cli"]
ROWS = make_sample_data.instruction_rows(25)


def cli(*args, width=160, **env):
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": str(width), "PYTHONUTF8": "1", **env},
    )


def output(*args, **kw):
    done = cli(*args, **kw)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def json_lines(*args, **kw):
    return [json.loads(line) for line in output(*args, "--json", **kw).splitlines()]


def error_line(*args):
    done = cli(*args)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("fast-axolotl: error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr
