# SPDX-License-Identifier: Apache-2.0
"""What becomes of rows that cannot be read."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Final, Literal, Protocol, TypeAlias

    class Telling(Protocol):
        """What tells bad rows, each once, whatever is raised in between."""

        def add(self, rows: Sequence[Any]) -> None: ...
        def tell(self) -> None: ...

    class Policy(Protocol):
        """What becomes of rows that cannot be read."""

        def telling(self) -> Telling: ...


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

    def telling(self) -> Telling:
        """Return what tells the bad rows of a pass."""
        return _Telling(self._call, self._quarantine)

    def report(self, rows: Sequence[str]) -> None:
        """Tell of bad rows that no pass gives.

        Args:
            rows: Each as an object of JSON, with the attributes of a :class:`BadRow`.

        Raises:
            OSError: The quarantine cannot be written.
        """
        telling = self.telling()
        telling.add(rows)
        telling.tell()


class _Telling:
    """Keeps bad rows in the quarantine and calls the function on them, each once."""

    def __init__(
        self, call: Callable[[BadRow], object] | None, quarantine: str | None
    ) -> None:
        self._call = call
        self._quarantine = quarantine
        # What is to be done yet, if an error came in between.
        self._unwritten = b""
        self._untold: list[str] = []

    def add(self, rows: Sequence[str]) -> None:
        """Take up rows to be told; each as an object of JSON."""
        if self._quarantine is not None:
            self._unwritten += "".join(f"{row}\n" for row in rows).encode()
        if self._call is not None:
            self._untold = [*reversed(rows), *self._untold]

    def tell(self) -> None:
        """Tell the rows; after an error, those that are left.

        Raises:
            OSError: The quarantine cannot be written.
        """
        if self._unwritten and self._quarantine is not None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            file = os.open(self._quarantine, flags, 0o666)
            try:
                # In one go: processes that share a quarantine must not mix up lines.
                while self._unwritten:
                    written = os.write(file, self._unwritten)
                    self._unwritten = self._unwritten[written:]
            finally:
                os.close(file)
        if self._untold and self._call is not None:
            import json

            while self._untold:
                try:
                    self._call(BadRow(**json.loads(self._untold.pop())))
                except StopIteration as error:
                    # It would end the iteration, and nobody would miss the rest.
                    raise RuntimeError(f"{self._call!r} raised StopIteration") from error


class MixedBadRows:
    """Leaves bad rows of several datasets out, each in its way."""

    def __init__(self, policies: Sequence[BadRows | None]) -> None:
        self._policies = policies

    def telling(self) -> Telling:
        """Return what tells the bad rows of a pass."""
        return _MixedTelling(self._policies)


class _MixedTelling:
    def __init__(self, policies: Sequence[BadRows | None]) -> None:
        self._tellings = [
            None if policy is None else policy.telling() for policy in policies
        ]

    def add(self, rows: Sequence[tuple[int, str]]) -> None:
        for source, telling in enumerate(self._tellings):
            if telling is not None:
                telling.add([row for number, row in rows if number == source])

    def tell(self) -> None:
        for telling in self._tellings:
            if telling is not None:
                telling.tell()


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
