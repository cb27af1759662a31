# SPDX-License-Identifier: Apache-2.0
"""One round of each kind of the soak test, which runs for an hour elsewhere."""

import importlib.util
import random

import pytest
import soak_rounds
from soak_processes import Outcome, WrongError
from soak_verdicts import check_each_once, check_error, check_rows

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


def test_all_kinds_are_here():
    assert list(soak_rounds.KINDS) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_round(kind, tmp_path):
    torch = importlib.util.find_spec("torch") is not None
    if "loader" in kind and not torch:
        pytest.skip("needs torch")
    play = soak_rounds.KINDS[kind][0]
    verdict, rows = play(soak_rounds.Round(random.Random(f"7/{kind}"), tmp_path))
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
def test_what_is_lost_is_seen(got, verdict):
    want = [[0, 5], [1, 6], [2, 7]]
    for check in (check_rows, check_each_once):
        check(want, want)
        with pytest.raises(WrongError) as caught:
            check(got, want)
        assert caught.value.verdict == verdict


def test_an_error_that_names_no_file_is_wrong():
    check_error(Outcome([], ["OSError"], "a.csv: line 2"), ["a.csv"])
    for kind, text in (("OSError", "line 2"), ("IndexError", "a.csv: line 2")):
        with pytest.raises(WrongError) as caught:
            check_error(Outcome([], [kind], text), ["a.csv"])
        assert caught.value.verdict == "wrong error"
