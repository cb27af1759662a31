# SPDX-License-Identifier: Apache-2.0
"""How CSV files are written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """How CSV files are written, where RFC 4180 leaves a choice.

    Attributes:
        delimiter: The one-byte character between cells; ``None`` means a tab in files
            named ``.tsv`` and a comma in all others.
        header: Whether the first row holds the column names. Without it they are
            ``column_0``, ``column_1``, and so on.

    Raises:
        ValueError: The delimiter is not one ASCII character, or is a quote or a line
            end.
        TypeError: An argument of a wrong type.
    """

    delimiter: str | None = None
    header: bool = True

    def __post_init__(self) -> None:
        if self.delimiter is not None and not isinstance(self.delimiter, str):
            raise TypeError(
                f"delimiter must be a str or None, not {type(self.delimiter).__name__}"
            )
        if not isinstance(self.header, bool):
            raise TypeError(f"header must be a bool, not {type(self.header).__name__}")
        if self.delimiter is not None and (
            len(self.delimiter) != 1
            or not self.delimiter.isascii()
            or self.delimiter in '"\r\n\0'
        ):
            raise ValueError(
                "delimiter must be one ASCII character other than a quote or a line "
                f"end, not {self.delimiter!r}"
            )
