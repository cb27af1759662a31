# SPDX-License-Identifier: Apache-2.0
"""In which order lanes give packed batches, and where in each lane a batch begins."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fast_axolotl import _core


class Cursor(NamedTuple):
    """How far a lane got."""

    number: int = 0  # of the lane's batch that comes next
    unit: int = 0
    row: int = 0  # of the unit's packed rows, that comes next


# Lanes, by number, and how far they are.
Lanes: TypeAlias = "tuple[tuple[int, Cursor], ...]"


class Turns:
    """Lanes in turn, each as long as it has batches; which of them end is not known."""

    def __init__(self, lanes: Iterable[int]) -> None:
        self._lanes = set(lanes)

    def check(self, lane: int, number: int, unit: _core.Unit | None) -> None:
        """Nothing is known of the units before they are read."""

    def next(self, cursors: Mapping[int, Cursor]) -> tuple[int, Cursor] | None:
        """Return the lane that gives the next batch, and from where, or None."""
        if not self._lanes:
            return None
        lane = min(self._lanes, key=lambda lane: (cursors[lane].number, lane))
        return lane, cursors[lane]

    def end(self, lane: int) -> None:
        """Leave out a lane that has no batch left."""
        self._lanes.discard(lane)


class Schedule:
    """The same turns for all ranks together, known beforehand from all lengths."""

    def __init__(
        self,
        unit_rows: Sequence[Sequence[int]],
        batch_size: int,
        cursors: Sequence[Cursor],
    ) -> None:
        self._batch_size = batch_size
        self._ends = [list(accumulate(rows, initial=0)) for rows in unit_rows]
        self._numbers = [cursor.number for cursor in cursors]
        self._begins = [
            ends[min(cursor.unit, len(ends) - 1)] + cursor.row
            for ends, cursor in zip(self._ends, cursors, strict=True)
        ]
        self._counts = [
            max(0, -(-(ends[-1] - begin) // batch_size))
            for ends, begin in zip(self._ends, self._begins, strict=True)
        ]
        self.batches = sum(self._counts)
        self._turns = self._runs()

    def unit_rows(self, lane: int, number: int) -> int:
        """Return the packed rows of a unit; 0 behind the last."""
        ends = self._ends[lane]
        return ends[number + 1] - ends[number] if number + 1 < len(ends) else 0

    def _runs(self) -> list[tuple[int, int, list[int]]]:
        """Where the lanes that take turns change: the batch, its number, the lanes."""
        lanes = [*zip(self._numbers, self._counts, strict=True)]
        borders = sorted({n for first, count in lanes for n in (first, first + count)})
        runs = []
        batch = 0
        for begin, end in pairwise(borders):
            active = [
                lane
                for lane, (first, count) in enumerate(lanes)
                if first <= begin < first + count
            ]
            if active:
                runs.append((batch, begin, active))
                batch += (end - begin) * len(active)
        return runs

    def at(self, i: int) -> tuple[int, Cursor]:
        """Return the lane of the ``i``-th batch, and the cursor in front of it."""
        run = bisect_right(self._turns, i, key=itemgetter(0)) - 1
        batch, number, lanes = self._turns[run]
        turn, place = divmod(i - batch, len(lanes))
        return lanes[place], self._cursor(lanes[place], number + turn)

    def _cursor(self, lane: int, number: int) -> Cursor:
        ends = self._ends[lane]
        given = (number - self._numbers[lane]) * self._batch_size
        row = min(self._begins[lane] + given, ends[-1])
        # A unit without packed rows is passed over.
        unit = bisect_right(ends, row) - 1
        return Cursor(number, unit, row - ends[unit])


class ShareTurns:
    """The turns of one worker of one rank."""

    def __init__(
        self, left: Schedule, start: int, epoch: Schedule, share: _core.Share, given: int
    ) -> None:
        self._left = left
        self._start = start
        self._epoch = epoch
        self._share = share
        self._given = given

    def next(self, cursors: Mapping[int, Cursor]) -> tuple[int, Cursor] | None:  # noqa: ARG002
        """Return the lane that gives the next batch, and from where, or None."""
        j = self._share.batch(self._given)
        if j is None:
            return None
        self._given += 1
        # Batches before the start come again where ranks are filled up.
        return self._left.at(j - self._start) if j >= self._start else self._epoch.at(j)

    def check(self, lane: int, number: int, unit: _core.Unit | None) -> None:
        """Refuse rows of other lengths, which would be lost or given twice.

        Raises:
            RuntimeError: They are.
        """
        expected = self._epoch.unit_rows(lane, number)
        found = 0 if unit is None else unit.rows
        if found != expected:
            raise RuntimeError(
                f"rows that fill {found} packed rows fill {expected} by their kept "
                "lengths: the files have changed since they were measured"
            )

    def end(self, lane: int) -> None:
        """Leave out a lane that has no batch left, which is known beforehand."""
