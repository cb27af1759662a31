# SPDX-License-Identifier: Apache-2.0
"""Packed batches: units of rows, each packed by itself, cut into batches of packed rows.

A unit is some consecutive rows of one lane, so what it packs into is a pure function of
these rows. A position in a lane is how many batches it gave, a unit, and how many of that
unit's packed rows were given; never a number of tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from fast_axolotl import _core
from fast_axolotl._ahead import call
from fast_axolotl._turns import Cursor, Schedule, Turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fast_axolotl._output import Transform
    from fast_axolotl._tensors import PackOptions
    from fast_axolotl._turns import ShareTurns


class PlanOrder(NamedTuple):
    """What the plans of one dataset differ in."""

    epoch: int
    lanes: int
    window: int


class Mark(NamedTuple):
    """How far packing got, and what it did."""

    # Unless that follows from the number of batches.
    cursors: dict[int, Cursor] | None
    tokens: int
    places: int
    sequences_cut: int
    sequences_split: int
    tokens_cut: int


# Packed rows `[begin, end)` of a unit.
Part: TypeAlias = "tuple[_core.Unit, int, int]"

# So many rows are left out at most before they are told, though there is no batch yet.
_MANY_SKIPPED: Final = 1000


def without_nulls(rows: Any) -> Any:  # noqa: ANN401  (whatever holds rows of numbers)
    """The rows, a null being one without numbers: so it is where files are read."""
    if isinstance(rows, (list, tuple)) and any(row is None for row in rows):
        return [() if row is None else row for row in rows]
    return rows


class UnitReader:
    """Units that are read, and made by a transform where there is one."""

    def __init__(
        self,
        reader: _core.Reader,
        plan: _core.Plan | None,
        pack: PackOptions,
        transform: Transform | None,
    ) -> None:
        self._reader = reader
        # None: all rows in the order of the files, as one lane.
        self._plan = plan
        self._pack = pack
        self._core_pack = pack.core()
        self._transform = transform
        # Units without rows that come before the one that was read behind them.
        self._empty = 0
        # What the reader left out in front of the unit that was asked for last.
        self._left_out = 0
        self._after_empty: Any = None
        # Whether an error made some unit short; it comes with the next one.
        self.cut = False

    def __call__(self, lane: int, number: int) -> Any:  # noqa: ANN401
        """Return a unit, or None behind the last; or NO_BATCH_YET, as sources do."""
        if self._plan is not None:
            if number >= self._plan.lane_batches(lane):
                return None
            rows = self._reader.batch_at(lane, number)
            self._reader.held = None
        elif self._empty > 0:
            rows = None
            self._empty -= 1
        elif self._after_empty is not None:
            rows, self._after_empty = self._after_empty, None
        else:
            try:
                rows = self._reader.next_batch()
            except StopIteration:
                return None
            if rows is _core.NO_BATCH_YET:
                return rows
            self._reader.held = None
            # Units keep their numbers, those without a row that can be read, too.
            left_out = self._reader.batches_left_out
            self._empty, self._left_out = left_out - self._left_out, left_out
            if self._empty > 0:
                self._after_empty = rows
                return self(lane, number)
        self.cut = self.cut or self._reader.cut
        if rows is None:
            return _core.unit_of(self._core_pack, [], None)
        if self._transform is None:
            return rows
        return self._unit_of(call(self._transform, rows))

    def _unit_of(self, made: object) -> _core.Unit:
        tokens = self._pack.tokens
        if not isinstance(made, Mapping) or tokens not in made:
            raise TypeError(
                f"transform must return a mapping with the column {tokens!r}, which is "
                f"packed, not {type(made).__name__}"
                + (f" of {list(made)}" if isinstance(made, Mapping) else "")
            )
        if made[tokens] is None:
            raise TypeError(f"transform returned None for the column {tokens!r}")
        same = self._pack.labels == tokens
        labels = None if same else without_nulls(made.get(self._pack.labels))
        return _core.unit_of(self._core_pack, without_nulls(made[tokens]), labels)

    def close(self) -> None:
        self._reader.close()

    @property
    def length(self) -> int:
        """Tokens in a packed row."""
        return self._pack.length

    @property
    def bytes_read(self) -> int:
        return self._reader.bytes_read

    @property
    def decode_seconds(self) -> float:
        return self._reader.decode_seconds

    @property
    def rows_skipped(self) -> int:
        return self._reader.rows_skipped

    def take_bad_rows(self) -> list[str]:
        return self._reader.take_bad_rows()


class Packing:
    """What is known of a dataset's packed rows before they are read."""

    def __init__(
        self,
        pack: PackOptions,
        batch_size: int,
        dataset: _core.Dataset,
        index: _core.Index,
        *,
        transformed: bool,
    ) -> None:
        self._pack = pack
        self._batch_size = batch_size
        self._dataset = dataset
        self._index = index
        # Of what a transform returns nobody knows the lengths.
        self._transformed = transformed
        # Of the order asked for last, the packed rows of each unit of each lane.
        self._counted: tuple[PlanOrder, list[list[int]]] | None = None
        # None: nobody measured them.
        self.lengths: _core.Lengths | None = None
        if not transformed:
            column = pack.tokens.encode("utf-8", "surrogatepass")
            folder = _core.index_folder()
            self.lengths = _core.load_lengths(dataset, index, folder, column)

    def require_lengths(self, what: str) -> None:
        """Refuse what only the lengths of all sequences make possible.

        Args:
            what: What that is.

        Raises:
            ValueError: They are not known.
        """
        if self._transformed:
            raise ValueError(
                f"{what} needs the lengths of all sequences, and what transform= makes "
                "of them is not known before: pack in one process or in the workers of "
                "one loader, and from where a state was saved"
            )
        if self.lengths is None:
            raise ValueError(
                f"{what} needs the lengths of all sequences: run `fast-axolotl index "
                f"--lengths {self._pack.tokens} PATH` once, or "
                "build_index(path, lengths=...)"
            )

    def schedule(
        self, order: PlanOrder, plan: _core.Plan, cursors: Sequence[Cursor] | None = None
    ) -> Schedule:
        """Return the batches of all lanes, from these cursors on."""
        if self._transformed:
            raise TypeError(
                "how many packed batches transform= gives is known at the end only: it "
                "decides how long the sequences are"
            )
        if self.lengths is None:
            raise TypeError(
                "the number of packed batches is known once the lengths of the sequences "
                f"are: run `fast-axolotl index --lengths {self._pack.tokens} PATH` once"
            )
        if self._counted is None or self._counted[0] != order:
            pack = self._pack.core()
            rows = _core.count_packed_rows(
                self._dataset, plan, self._index, self.lengths, pack
            )
            self._counted = (order, rows)
        _, rows = self._counted
        return Schedule(rows, self._batch_size, cursors or [Cursor()] * order.lanes)


class PackedBatches:
    """A source of packed batches, read on a thread to which no signals come."""

    held: Any = None

    def __init__(
        self,
        units: UnitReader,
        turns: Turns | ShareTurns,
        cursors: Mapping[int, Cursor],
        batch_size: int,
        *,
        torch: bool,
    ) -> None:
        self._units = units
        self._turns = turns
        self._batch_size = batch_size
        self._torch = torch
        self._held: dict[int, tuple[int, _core.Unit | None]] = {}
        # The lane of the batch that is being filled, the cursor behind its parts, these.
        self._filling: tuple[int, Cursor, list[Part]] | None = None
        self._skipped = 0
        self._error: BaseException | None = None
        self._cursors = dict(cursors)
        self._length = units.length
        self.rows_read = 0
        self._tokens = self._cut = self._split = self._tokens_cut = 0

    def next_batch(self) -> Any:  # noqa: ANN401
        """Return the next batch; or NO_BATCH_YET, as sources do."""
        while True:
            self._raise_error()
            if self._filling is None:
                turn = self._turns.next(self._cursors)
                if turn is None:
                    raise StopIteration
                self._filling = (*turn, [])
            lane, cursor, parts = self._filling
            cursor, full = self._fill(lane, cursor, parts)
            if not full:
                self._filling = (lane, cursor, parts)
                self._skipped = self._units.rows_skipped
                return _core.NO_BATCH_YET
            self._filling = None
            if not parts:
                self._raise_error()
                self._turns.end(lane)
                self._held.pop(lane, None)
                continue
            batch = _core.pack_rows(parts, self._torch)
            self._cursors[lane] = cursor
            self._count(parts)
            return batch

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)

    def _fill(self, lane: int, cursor: Cursor, parts: list[Part]) -> tuple[Cursor, bool]:
        """Add a batch's packed rows; return the cursor behind them, and if that is all.

        Many rows may be left out before a batch is full, and are not to pile up here.
        """
        number, unit, row = cursor
        missing = self._batch_size - sum(end - begin for _, begin, end in parts)
        while missing > 0:
            if self._units.rows_skipped - self._skipped >= _MANY_SKIPPED:
                return Cursor(number, unit, row), False
            try:
                rows = self._unit(lane, unit)
            except BaseException as error:  # noqa: BLE001  (raised behind the rows)
                self._error = error
                break
            if rows is None:
                break
            if rows is _core.NO_BATCH_YET:
                return Cursor(number, unit, row), False
            end = min(rows.rows, row + missing)
            if end > row:
                parts.append((rows, row, end))
                missing -= end - row
            row = end
            if row >= rows.rows:
                unit, row = unit + 1, 0
        return Cursor(number + 1, unit, row), True

    def _unit(self, lane: int, number: int) -> Any:  # noqa: ANN401
        held = self._held.get(lane)
        if held is None or held[0] != number:
            unit = self._units(lane, number)
            if unit is _core.NO_BATCH_YET:
                return unit
            if not self._units.cut:
                self._turns.check(lane, number, unit)
            held = self._held[lane] = (number, unit)
        return held[1]

    def _count(self, parts: Sequence[Part]) -> None:
        self.rows_read += sum(end - begin for _, begin, end in parts)
        self._tokens += sum(unit.tokens(begin, end) for unit, begin, end in parts)
        for unit, begin, _ in parts:
            # With a unit's first packed row all its sequences count.
            if begin == 0:
                cut, split, tokens = unit.counts
                self._cut += cut
                self._split += split
                self._tokens_cut += tokens

    @property
    def cut(self) -> bool:
        """Whether an error is about to come, behind rows that were read."""
        return self._error is not None or self._units.cut

    @property
    def mark(self) -> Mark:
        known = not isinstance(self._turns, Turns)
        return Mark(
            None if known else dict(self._cursors),
            self._tokens,
            self.rows_read * self._length,
            self._cut,
            self._split,
            self._tokens_cut,
        )

    @property
    def decode_seconds(self) -> float:
        return self._units.decode_seconds

    def close(self) -> None:
        self._units.close()

    @property
    def bytes_read(self) -> int:
        return self._units.bytes_read

    @property
    def rows_skipped(self) -> int:
        return self._units.rows_skipped

    # A unit without rows has no packed rows either; batches are full all the same.
    batches_left_out = 0

    def take_bad_rows(self) -> list[str]:
        return self._units.take_bad_rows()
