# SPDX-License-Identifier: Apache-2.0
"""What ``soak.py`` says of what a process told: whether rows and errors are right."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from soak_data import Data
from soak_processes import Outcome, WrongError, run

VERDICTS = [
    "right rows",
    "right error",
    "wrong error",
    "crashes",
    "hangs",
    "quiet losses",
]


def check_error(outcome: Outcome, paths: list[str]) -> None:
    if not {"OSError", "ValueError"} & set(outcome.error):
        raise WrongError("wrong error", f"{outcome.error[0]}: {outcome.text}")
    if not any(path in outcome.text for path in paths):
        raise WrongError("wrong error", f"which names no file: {outcome.text}")


def check_no_error(outcome: Outcome) -> None:
    if outcome.error:
        raise WrongError(
            "wrong error", f"of sound files: {outcome.error[0]}: {outcome.text}"
        )


def check_rows(got: list[Any], want: list[Any]) -> None:
    if got == want:
        return
    at = next(
        (i for i, (g, w) in enumerate(zip(got, want, strict=False)) if g != w), None
    )
    raise WrongError(
        "quiet losses",
        f"{len(got)} rows for {len(want)}; the first that differs is {at}:"
        f" {got[at] if at is not None else ''} for {want[at] if at is not None else ''}",
    )


def check_each_once(got: list[Any], want: list[Any]) -> None:
    if sorted(got, key=str) != sorted(want, key=str):
        missing = Counter(map(str, want)) - Counter(map(str, got))
        more = Counter(map(str, got)) - Counter(map(str, want))
        raise WrongError(
            "quiet losses",
            f"{len(got)} rows for {len(want)}; missing {list(missing)[:5]},"
            f" too many {list(more)[:5]}",
        )


def found_otherwise(data: Data, damaged: str, cache: Path) -> tuple[list[Any], bool]:
    """Return the rows as other readers find them, and whether these came to the end."""
    job = {"mode": "otherwise", "paths": [damaged], "loose": True}
    try:
        other = run(job, cache)
    except WrongError:  # others may crash
        return [], False
    at = data.paths.index(damaged)
    rows = data.pairs[: data.begins[at]] + other.rows
    if other.error:
        return rows, False
    end = [*data.begins, len(data.pairs)][at + 1]
    return rows + data.pairs[end:], True


def check_damaged(outcome: Outcome, data: Data, damaged: str, cache: Path) -> str:
    """Judge what came of files one of which is damaged, read in order."""
    got = outcome.rows
    if not outcome.error and got == data.pairs:
        return "right rows"
    found, whole = found_otherwise(data, damaged, cache)
    if not outcome.error:
        if not whole or got != found:
            check_rows(got, data.pairs)
        return "right rows"
    check_error(outcome, [damaged])
    for i, row in enumerate(got):
        if row not in (
            data.pairs[i] if i < len(data.pairs) else None,
            found[i] if i < len(found) else None,
        ):
            raise WrongError("quiet losses", f"row {i} before the error is {row}")
    return "right error"
