# SPDX-License-Identifier: Apache-2.0
"""Rows of different lengths over one array."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any


class Ragged(list[Any]):
    """A list column: a list of 1-D arrays that are views of one array.

    It pickles as that array and the offsets, so that a DataLoader's worker hands over one
    piece of memory and not one for each row.

    Attributes:
        values: The items of all rows, one after the other, 1-D; those of the rows as they
            were read, whatever becomes of the list.
        offsets: Where each row begins in ``values``, and where the last one ends.
    """

    __slots__ = ("_nulls", "_views", "offsets", "values")

    def __init__(self, values: Any, offsets: list[int], nulls: list[int]) -> None:  # noqa: ANN401
        # A slice of a torch tensor takes ten times as long as a part of a split.
        if hasattr(values, "split"):
            lengths = [b - a for a, b in pairwise(offsets)]
            rows = list(values.split(lengths)) if lengths else []
        else:
            rows = [values[a:b] for a, b in pairwise(offsets)]
        for row in nulls:
            rows[row] = None
        super().__init__(rows)
        self.values = values
        self.offsets = offsets
        self._nulls = nulls
        self._views = tuple(rows)

    def _is_as_read(self) -> bool:
        return len(self) == len(self._views) and all(
            row is view for row, view in zip(self, self._views, strict=True)
        )

    def __reduce__(self) -> Any:  # noqa: ANN401
        if self._is_as_read():
            return Ragged, (self.values, self.offsets, self._nulls)
        return _joined(list(self))

    def pin_memory(self) -> list[Any]:
        """Return the rows in page-locked memory, as torch's DataLoader asks for it."""
        if not hasattr(self.values, "pin_memory"):
            return self
        if self._is_as_read():
            return Ragged(self.values.pin_memory(), self.offsets, self._nulls)
        return [None if row is None else row.pin_memory() for row in self]


def _joined(rows: list[Any]) -> Any:  # noqa: ANN401
    """How to make a list of rows that somebody changed: of one array where it can be."""
    arrays = [row for row in rows if row is not None]
    kinds = {
        (type(row), getattr(row, "dtype", None), getattr(row, "ndim", None))
        for row in arrays
    }
    if len(kinds) != 1 or next(iter(kinds))[2] != 1:
        return list, (rows,)
    if hasattr(arrays[0], "split"):
        import torch

        values: Any = torch.cat(arrays)
    else:
        import numpy as np

        values = np.concatenate(arrays)
    lengths = (0 if row is None else len(row) for row in rows)
    nulls = [number for number, row in enumerate(rows) if row is None]
    return Ragged, (values, list(accumulate(lengths, initial=0)), nulls)
