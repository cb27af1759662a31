# SPDX-License-Identifier: Apache-2.0
"""Rows of different lengths over one array."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


class Ragged(list[Any]):
    """A list column: a list of 1-D arrays that are views of one array.

    It pickles as that array and the offsets, so that a DataLoader's worker hands over one
    piece of memory and not one for each row.

    Attributes:
        values: The items of all rows, one behind the other, 1-D.
        offsets: Where each row begins in ``values``, and where the last one ends.
    """

    __slots__ = ("_nulls", "offsets", "values")

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

    def __reduce__(self) -> Any:  # noqa: ANN401
        return Ragged, (self.values, self.offsets, self._nulls)
