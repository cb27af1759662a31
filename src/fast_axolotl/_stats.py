# SPDX-License-Identifier: Apache-2.0
"""What a pass has done so far, and who waits for whom."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from fast_axolotl._source import BatchSource

# Below this part of the time the consumer is not held up.
_NOTICEABLE: Final = 0.1


class Stats:
    """What a pass over a dataset has done so far.

    Of several DataLoader workers these are the sums, but ``seconds`` and ``waited`` are
    the means.

    Attributes:
        batches: Batches given.
        rows: Rows given; where rows are packed, packed rows.
        bytes_read: Bytes read from disk, ahead of what was given.
        seconds: Time from the first batch asked for to the last one given.
        waited: Of it, the time in which a batch was asked for and not there, or in the
            making, in seconds.
        decoding: Time that threads spent on decoding, in seconds, all threads together.
        rows_skipped: Rows left out because they could not be read, where ``on_error``
            says so; rows that were lost and could not be counted are one.
        batches_unreadable: Batches left out because none of their rows could be read.
        tokens: Tokens in packed rows.
        places: Places for tokens in packed rows.
        sequences_cut: Sequences of which the end was left out in packing.
        sequences_split: Sequences that stand in several places after packing.
        tokens_cut: Tokens that were left out in packing.
        batches_repeated: Batches that some ranks give again, over all ranks, so that all
            give as many (``tail="repeat"``).
        batches_left_out: Batches that no rank gives, for the same end (``tail="drop"``).
    """

    # Not a dataclass: to import those would take as long as all of this package.
    __slots__ = (
        "batches",
        "batches_left_out",
        "batches_repeated",
        "batches_unreadable",
        "bytes_read",
        "decoding",
        "places",
        "rows",
        "rows_skipped",
        "seconds",
        "sequences_cut",
        "sequences_split",
        "tokens",
        "tokens_cut",
        "waited",
    )

    def __init__(self) -> None:
        self.batches = 0
        self.rows = 0
        self.bytes_read = 0
        self.seconds = 0.0
        self.waited = 0.0
        self.decoding = 0.0
        self.rows_skipped = 0
        self.batches_unreadable = 0
        self.tokens = 0
        self.places = 0
        self.sequences_cut = 0
        self.sequences_split = 0
        self.tokens_cut = 0
        self.batches_repeated = 0
        self.batches_left_out = 0

    def copy(self) -> Stats:
        """Return the numbers as they are now."""
        other = Stats()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def __repr__(self) -> str:
        numbers = (f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"Stats({', '.join(numbers)})"

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
        skipped = f", {self.rows_skipped} rows skipped" if self.rows_skipped else ""
        fill = "" if self.fill_rate is None else f", {self.fill_rate:.1%} filled"
        return (
            f"{self.rows} rows in {self.batches} batches, {self.rows_per_second:.0f} "
            f"rows/s, {self.mb_per_second:.1f} MB/s{fill}{skipped}; {self.verdict}"
        )

    def gave(self, source: BatchSource, began: float, asked: float, now: float) -> None:
        """Note down a batch that a source gives; ``batches`` counts it once it is given.

        Args:
            source: What gave it.
            began: When the first batch was asked for, in seconds.
            asked: When this one was.
            now: The time.
        """
        self.rows = source.rows_read
        self.bytes_read = source.bytes_read
        self.decoding = source.decode_seconds
        self.seconds = now - began
        self.waited += now - asked

    def packed(self, tokens: int, places: int, cut: int, split: int, lost: int) -> None:
        """Note what packing did so far."""
        self.tokens, self.places = tokens, places
        self.sequences_cut, self.sequences_split, self.tokens_cut = cut, split, lost
