# SPDX-License-Identifier: Apache-2.0
"""One round of each kind of the soak test, which runs for an hour elsewhere."""

import importlib.util
import random
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture(scope="module")
def soak():
    sys.path.insert(0, str(SCRIPTS))
    try:
        import soak
    finally:
        sys.path.remove(str(SCRIPTS))
    return soak


KINDS = [
    "one pass, to any output",
    "an epoch in parts, on other ranks each",
    "an epoch whose processes are killed",
    "an epoch in parts, packed",
    "an epoch in parts, with loader workers",
    "a file cut short",
    "a bit turned over",
    "a run of zeros",
    "a file cut short while it is read",
    "a file deleted while it is read",
    "a file that grows while it is read",
    "a damaged index",
    "a state of other files",
]


def test_all_kinds_are_here(soak):
    assert list(soak.KINDS) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_round(soak, kind, tmp_path):
    torch = importlib.util.find_spec("torch") is not None
    if "loader" in kind and not torch:
        pytest.skip("needs torch")
    play = soak.KINDS[kind][0]
    verdict, rows = play(soak.Round(random.Random(f"7/{kind}"), tmp_path))
    assert verdict in {"right rows", "right error"}
    assert rows > 0


@pytest.mark.parametrize(
    ("got", "verdict"),
    [
        ([[0, 5], [2, 7]], "quiet losses"),
        ([[0, 5], [1, 6], [1, 6], [2, 7]], "quiet losses"),
        ([[0, 5], [1, 9], [2, 7]], "quiet losses"),
    ],
    ids=["missing", "twice", "changed"],
)
def test_what_is_lost_is_seen(soak, got, verdict):
    want = [[0, 5], [1, 6], [2, 7]]
    for check in (soak.check_rows, soak.check_each_once):
        check(want, want)
        with pytest.raises(soak.WrongError) as caught:
            check(got, want)
        assert caught.value.verdict == verdict


def test_an_error_that_names_no_file_is_wrong(soak):
    soak.check_error(soak.Outcome([], ["OSError"], "a.csv: line 2"), ["a.csv"])
    for kind, text in (("OSError", "line 2"), ("IndexError", "a.csv: line 2")):
        with pytest.raises(soak.WrongError) as caught:
            soak.check_error(soak.Outcome([], [kind], text), ["a.csv"])
        assert caught.value.verdict == "wrong error"
