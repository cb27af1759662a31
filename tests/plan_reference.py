# SPDX-License-Identifier: Apache-2.0
"""The epoch plan in plain Python: what src/core/plan/ must agree with, number by number.

Read together with src/core/plan/random.h and plan.h; nothing here calls the package.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence

_MASK = (1 << 64) - 1
FRAGMENT_ORDER, WINDOW_ORDER = 1, 2


class Random:
    """SplitMix64, keyed by hashing its inputs through its own finalizer."""

    def __init__(self, *keys: int) -> None:
        self.state = 0
        for key in keys:
            self.state ^= key
            self.state = self.next()

    def next(self) -> int:
        self.state = (self.state + 0x9E3779B97F4A7C15) & _MASK
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _MASK
        return z ^ z >> 31

    def below(self, bound: int) -> int:
        """Lemire: the high half of a product, but for the few that would be biased."""
        product = self.next() * bound
        while product & _MASK < (1 << 64) % bound:
            product = self.next() * bound
        return product >> 64

    def shuffle(self, values: MutableSequence) -> None:
        for i in range(len(values), 1, -1):
            j = self.below(i)
            values[i - 1], values[j] = values[j], values[i - 1]


def batches(
    fragment_rows: Sequence[int],
    *,
    batch_size: int,
    shuffle: bool = False,
    seed: int = 0,
    epoch: int = 0,
    lanes: int = 1,
    window: int = 1,
) -> list[list[tuple[int, int]]]:
    """The rows of every batch of an epoch, as (fragment, row of the fragment)."""
    order = list(range(len(fragment_rows)))
    if shuffle:
        Random(FRAGMENT_ORDER, seed, epoch).shuffle(order)
    line = [(f, row) for f in order for row in range(fragment_rows[f])]
    count = -(-len(line) // batch_size)
    found: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    begin = 0
    for lane in range(lanes):
        numbers = range(lane, count, lanes)  # of the batches in this lane
        size = len(numbers) * batch_size
        if numbers and numbers[-1] == count - 1:
            size -= count * batch_size - len(line)
        rows = line[begin : begin + size]
        begin += size
        if shuffle:
            for number, first in enumerate(range(0, size, window)):
                mixed = rows[first : first + window]
                Random(WINDOW_ORDER, seed, epoch, lane, number).shuffle(mixed)
                rows[first : first + window] = mixed
        for i, j in enumerate(numbers):
            found[j] = rows[i * batch_size : (i + 1) * batch_size]
    return found
