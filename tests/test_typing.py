# SPDX-License-Identifier: Apache-2.0
"""The types that callers see, read out by mypy."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests" / "typing_cases.py"


def expected():
    for number, line in enumerate(CASES.read_text().splitlines(), 1):
        found = re.search(r"# (is|error): (.+)$", line)
        if found:
            yield number, found[1], found[2]


def reported(tmp_path):
    # Without torch to be found: the types must not depend on what is installed.
    command = [sys.executable, "-m", "mypy", "--no-site-packages"]
    cache = ["--cache-dir", str(tmp_path), "--no-error-summary"]
    done = subprocess.run(
        [*command, *cache, str(CASES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    for line in done.stdout.splitlines():
        place, kind, message = re.match(r"(.+?): (note|error): (.*)", line).groups()
        number = int(place.split(":")[1])
        if kind == "note":
            found = re.fullmatch(r'Revealed type is "(.+)"', message)
            if found:  # other notes explain an error
                yield number, "is", re.sub(r"[\w.]+\.(?=\w)", "", found[1])
        else:
            yield number, "error", re.search(r"\[([a-z-]+)\]$", message)[1]


def test_types_are_as_written(tmp_path):
    pytest.importorskip("mypy")
    assert sorted(reported(tmp_path)) == sorted(expected())
