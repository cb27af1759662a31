# SPDX-License-Identifier: Apache-2.0
"""Reads what run.py and scale.py wrote, and holds it against the goals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, ClassVar, NamedTuple

import loaders
from cells import CELLS, FIRST_BATCH, Cell

Line = dict[str, Any]


def read(path: Path) -> tuple[Line, list[Line]]:
    """What the run was, and its measurements."""
    first, *lines = map(json.loads, path.read_text("utf-8").splitlines())
    return first["about"], lines


class Verdict(NamedTuple):
    """One goal and what became of it; ``ratio`` is None where one side failed."""

    cell: Cell
    against: str  # the goal's word: a loader or "best"
    peer: str  # the loader it was held against
    ours: float | None
    theirs: float | None
    spread: tuple[float, float] | None  # least and greatest ratio of a repeat
    goal: float

    @property
    def ratio(self) -> float | None:
        if self.ours is None or self.theirs is None:
            return None
        return self.theirs / self.ours

    @property
    def met(self) -> bool | None:
        """None where the peer failed: then there is nobody to be ahead of."""
        if self.theirs is None:
            return None
        return self.ratio is not None and self.ratio >= self.goal


class Speed:
    """The measurements of one run, by cell and loader."""

    KEYS: ClassVar = {"warm_s": "a warm pass", "first_s": "the first batch"}

    def __init__(self, path: Path) -> None:
        self.about, lines = read(path)
        self.conversions = [one["conversion"] for one in lines if "conversion" in one]
        self.measured = [one for one in lines if "cell" in one]
        names = {one["cell"] for one in self.measured}
        self.cells = [cell for cell in CELLS if cell.name in names]

    def of(self, cell: Cell, loader: str) -> list[Line]:
        """The repeats of one loader that gave the right rows."""
        return [
            one
            for one in self.measured
            if (one["cell"], one["loader"]) == (cell.name, loader) and "error" not in one
        ]

    def median(self, cell: Cell, loader: str, key: str) -> float | None:
        if self.error(cell, loader) is not None:
            return None
        values = [one[key] for one in self.of(cell, loader)]
        return median(values) if values else None

    def error(self, cell: Cell, loader: str) -> str | None:
        """Why a loader has no figure in a cell, if it failed there."""
        for one in self.measured:
            if (one["cell"], one["loader"]) == (cell.name, loader) and "error" in one:
                return str(one["error"])
        return None

    def loaders(self, cells: list[Cell]) -> list[str]:
        """Those that were measured in any of the cells, ours first."""
        names = {cell.name for cell in cells}
        seen = {one["loader"] for one in self.measured if one["cell"] in names}
        return [name for name in loaders.NAMES if name in seen]

    def best_peer(self, cell: Cell, key: str) -> str | None:
        found = {
            name: value
            for name in self.loaders([cell])
            if name != loaders.OURS
            and (value := self.median(cell, name, key)) is not None
        }
        return min(found, key=found.__getitem__) if found else None

    def verdicts(self, key: str) -> Iterator[Verdict]:
        """One for each goal of a warm pass, or of the first batch."""
        for cell in self.cells:
            measured = self.loaders([cell])
            if loaders.OURS not in measured:
                continue
            goals = cell.goals
            if key == "first_s":
                goals = FIRST_BATCH if cell.output == "lists" else {}
            for against, goal in goals.items():
                peer = self.best_peer(cell, key) if against == "best" else against
                if peer in measured:
                    yield self._verdict(cell, key, against, peer, goal)

    def _verdict(
        self, cell: Cell, key: str, against: str, peer: str, goal: float
    ) -> Verdict:
        ours = self.median(cell, loaders.OURS, key)
        theirs = self.median(cell, peer, key)
        mine = {one["repeat"]: one[key] for one in self.of(cell, loaders.OURS)}
        ratios = [
            one[key] / mine[one["repeat"]]
            for one in self.of(cell, peer)
            if one["repeat"] in mine
        ]
        spread = (min(ratios), max(ratios)) if ratios else None
        return Verdict(cell, against, peer, ours, theirs, spread, goal)

    def versions(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in self.measured:
            if one["loader"] != "rust":  # whose name is ours
                found |= one.get("versions", {})
        return dict(sorted(found.items()))


class Scale:
    """The measurements of scale.py."""

    def __init__(self, path: Path) -> None:
        self.about, self.measured = read(path)
        self.failed = [one for one in self.measured if "error" in one]

    def medians(self, what: str, key: str) -> dict[str, dict[float, float]]:
        """A figure of each file by what varies, the size or the threads, in order."""
        found: dict[str, dict[float, list[float]]] = {}
        for one in self.measured:
            if one["scale"] == what and "error" not in one:
                of_file = found.setdefault(one["file"], {})
                of_file.setdefault(one["at"], []).append(one[key])
        return {
            file: {at: median(of_file[at]) for at in sorted(of_file)}
            for file, of_file in found.items()
        }


def title(loader: str) -> str:
    return str(loaders.load(loader).TITLE)
