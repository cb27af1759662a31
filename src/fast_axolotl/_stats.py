# SPDX-License-Identifier: Apache-2.0
"""What a pass has done so far, and who waits for whom."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from fast_axolotl import _topology

if TYPE_CHECKING:
    from fast_axolotl._epochs import BatchSource

# Workers whose numbers reach the process that started them.
_MAX_WORKERS: Final = 256
# Below this part of the time the consumer is not held up.
_NOTICEABLE: Final = 0.1


@dataclass(slots=True)
class Stats:
    """What a pass over a dataset has done so far.

    Of several DataLoader workers these are the sums.

    Attributes:
        batches: Batches given.
        rows: Rows given; where rows are packed, packed rows.
        bytes_read: Bytes read from disk, ahead of what was given.
        seconds: Time from the first batch asked for to the last one given.
        waited: Of it, the time in which a batch was asked for and not there, or in the
            making, in seconds.
        decoding: Time that threads spent on decoding, in seconds, all threads together.
        rows_skipped: Rows left out because they could not be read.
        tokens: Tokens in packed rows.
        places: Places for tokens in packed rows.
        sequences_cut: Sequences of which the end was left out in packing.
        sequences_split: Sequences that stand in several places after packing.
        tokens_cut: Tokens that were left out in packing.
        batches_repeated: Batches that some ranks give again, over all ranks, so that all
            give as many (``tail="repeat"``).
        batches_left_out: Batches that no rank gives, for the same end (``tail="drop"``).
    """

    batches: int = 0
    rows: int = 0
    bytes_read: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    decoding: float = 0.0
    rows_skipped: int = 0
    tokens: int = 0
    places: int = 0
    sequences_cut: int = 0
    sequences_split: int = 0
    tokens_cut: int = 0
    batches_repeated: int = 0
    batches_left_out: int = 0

    @property
    def rows_per_second(self) -> float:
        """Rows given in a second, while the consumer does what it does."""
        return self.rows / self.seconds if self.seconds else 0.0

    @property
    def mb_per_second(self) -> float:
        """Megabytes (of 1,000,000 bytes) read from disk in a second."""
        return self.bytes_read / 1e6 / self.seconds if self.seconds else 0.0

    @property
    def fill_rate(self) -> float | None:
        """The part of the places in packed rows that hold a token, 0 to 1, or None."""
        return self.tokens / self.places if self.places else None

    @property
    def verdict(self) -> str:
        """Who waits for whom, in one line."""
        if not self.seconds:
            return "nothing was read yet"
        part = self.waited / self.seconds
        who = (
            "the model waits for the loader"
            if part > _NOTICEABLE
            else "the loader waits for the model"
        )
        return f"{who}: batches were waited for {part:.0%} of the time"

    def __str__(self) -> str:
        fill = "" if self.fill_rate is None else f", {self.fill_rate:.1%} filled"
        return (
            f"{self.rows} rows in {self.batches} batches, {self.rows_per_second:.0f} "
            f"rows/s, {self.mb_per_second:.1f} MB/s{fill}; {self.verdict}"
        )

    def gave(self, source: BatchSource, began: float, asked: float, now: float) -> None:
        """Count a batch that a source gave.

        Args:
            source: What gave it.
            began: When the first batch was asked for, in seconds.
            asked: When this one was.
            now: The time.
        """
        self.batches += 1
        self.rows = source.rows_read
        self.bytes_read = source.bytes_read
        self.decoding = source.decode_seconds
        self.seconds = now - began
        self.waited += now - asked

    def packed(self, tokens: int, places: int, cut: int, split: int, lost: int) -> None:
        """Note what packing did so far."""
        self.tokens, self.places = tokens, places
        self.sequences_cut, self.sequences_split, self.tokens_cut = cut, split, lost


_FIELDS: Final = tuple(field.name for field in fields(Stats))


class Board:
    """Where workers write down how far they are, for the process that started them.

    It is memory that torch shares with workers, where torch is; each has its own place.
    """

    def __init__(self) -> None:
        torch = sys.modules.get("torch")
        self._memory: Any = None
        if torch is not None:
            numbers = _MAX_WORKERS * len(_FIELDS)
            self._memory = torch.zeros(numbers, dtype=torch.float64).share_memory_()

    def __getstate__(self) -> dict[str, Any]:
        return {"_memory": self._memory if _topology.is_spawning() else None}

    def _place(self, worker: int) -> Any:  # noqa: ANN401  (an array of ctypes)
        if self._memory is None or worker >= _MAX_WORKERS:
            return None
        import ctypes  # only where there are workers

        size = ctypes.sizeof(ctypes.c_double) * len(_FIELDS)
        address = self._memory.data_ptr() + worker * size
        return (ctypes.c_double * len(_FIELDS)).from_address(address)

    def write(self, worker: int, stats: Stats) -> None:
        """Write down a worker's numbers."""
        place = self._place(worker)
        if place is not None:
            place[:] = [getattr(stats, name) for name in _FIELDS]

    def total(self, workers: int) -> Stats:
        """Return the sums over some workers, of times that run side by side the mean."""
        total = Stats()
        for worker in range(workers):
            place = self._place(worker)
            for name, value in zip(_FIELDS, place or (), strict=False):
                whole = isinstance(getattr(total, name), int)
                setattr(
                    total, name, getattr(total, name) + (int(value) if whole else value)
                )
        total.seconds /= max(workers, 1)
        total.waited /= max(workers, 1)
        return total
