# SPDX-License-Identifier: Apache-2.0
"""What becomes of rows that cannot be read."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final, Literal, TypeAlias

OnError: TypeAlias = "Literal['raise', 'skip'] | Callable[[BadRow], object]"


class BadRow:
    """A row that could not be read, or several that were lost together.

    Attributes:
        file: The path of the file.
        row: The row's number in the file, from 1. Behind rows that were lost and could
            not be counted, as far as they are known.
        rows: How many rows were lost; ``None`` where they cannot be counted.
        line: The line it begins in, from 1; ``None`` where rows are no lines.
        offset: Where it begins in the file, decompressed, in bytes; ``None`` where that
            is not known.
        reason: What is wrong, in words.
        text: The row as it stands in the file, its first 4,096 bytes; empty where the
            format has no text. Bytes that are not UTF-8 are surrogates, as with
            ``errors="surrogateescape"``.
    """

    __slots__ = ("file", "line", "offset", "reason", "row", "rows", "text")

    def __init__(
        self,
        *,
        file: str,
        row: int,
        rows: int | None,
        line: int | None,
        offset: int | None,
        reason: str,
        text: str,
    ) -> None:
        self.file: Final = file
        self.row: Final = row
        self.rows: Final = rows
        self.line: Final = line
        self.offset: Final = offset
        self.reason: Final = reason
        self.text: Final = text

    def __repr__(self) -> str:
        values = (f"{name}={getattr(self, name)!r}" for name in sorted(self.__slots__))
        return f"BadRow({', '.join(values)})"

    def __str__(self) -> str:
        return f"{self.file}: row {self.row}: {self.reason}"


class BadRows:
    """Leaves bad rows out, and says so; plain values only."""

    def __init__(
        self, call: Callable[[BadRow], object] | None, quarantine: str | None
    ) -> None:
        self._call: Final = call
        self._quarantine: Final = quarantine

    def report(self, rows: Sequence[str]) -> None:
        """Keep bad rows of a batch in the quarantine, and call the function on them.

        Args:
            rows: Each as an object of JSON, with the attributes of a :class:`BadRow`.

        Raises:
            OSError: The quarantine cannot be written.
        """
        if self._quarantine is not None:
            data = "".join(f"{row}\n" for row in rows).encode()
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            file = os.open(self._quarantine, flags, 0o666)
            try:
                # In one go: processes that share a quarantine must not mix up lines.
                while data:
                    data = data[os.write(file, data) :]
            finally:
                os.close(file)
        if self._call is not None:
            import json

            for row in rows:
                self._call(BadRow(**json.loads(row)))


def check(on_error: object, quarantine: object) -> BadRows | None:
    """Check the arguments; None means that bad rows are errors.

    Raises:
        ValueError: An unknown word, or a quarantine for rows that are not left out.
        TypeError: An argument is of a wrong type.
        OSError: The quarantine cannot be written.
    """
    if not callable(on_error):
        if not isinstance(on_error, str):
            raise TypeError(
                'on_error must be "raise", "skip" or a function, not '
                f"{type(on_error).__name__}"
            )
        if on_error not in ("raise", "skip"):
            raise ValueError(
                f'on_error must be "raise", "skip" or a function, not {on_error!r}'
            )
    if quarantine is not None:
        if on_error == "raise":
            raise ValueError(
                "quarantine= keeps rows that are left out, and on_error= is "
                '"raise", which leaves none out: pass on_error="skip"'
            )
        quarantine = _path(quarantine)
    if on_error == "raise":
        return None
    return BadRows(on_error if callable(on_error) else None, quarantine)


def _path(quarantine: object) -> str:
    if not isinstance(quarantine, (str, os.PathLike)):
        raise TypeError(
            f"quarantine must be a path or None, not {type(quarantine).__name__}"
        )
    from pathlib import Path  # takes long to import, and is rarely needed

    # A worker may have another current folder.
    path = Path(os.fsdecode(quarantine)).absolute()
    # Not only days later, at the first bad row.
    if path.is_dir():
        raise IsADirectoryError(f"{path}: the quarantine must be a file, not a folder")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{path.parent}: there is no such folder for the quarantine"
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PermissionError(f"{path}: the quarantine cannot be written")
    return str(path)
