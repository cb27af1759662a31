# SPDX-License-Identifier: Apache-2.0
"""What to read and how: the arguments that all entry points share, checked once."""

from __future__ import annotations

import os

from fast_axolotl import _bad_rows, _core, _output, _paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final, TypeAlias

    from fast_axolotl._bad_rows import BadRows, OnError
    from fast_axolotl._csv_options import CsvOptions
    from fast_axolotl._output import Handover, Output, Transform
    from fast_axolotl._packing import PackedBatches
    from fast_axolotl._tensors import PackOptions, Pad
    from fast_axolotl._turns import Cursor, ShareTurns, Turns

# No Sequence, because a str is one.
Columns: TypeAlias = "list[str] | tuple[str, ...]"
# A mapping from column to type name or Arrow type; or a pyarrow.Schema.
Schema: TypeAlias = "Mapping[str, Any] | Any"
# A mapping from the name of a limit to its value.
Limits: TypeAlias = "Mapping[str, int]"

# Decoded rows that may lie ready, for all files of a reader together: so much for each
# thread, which has a few MiB under way, and no less than so much. More makes nothing
# faster, and a long file fills all of it.
_READ_AHEAD_BYTES_A_THREAD: Final = 4 << 20
_LEAST_READ_AHEAD_BYTES: Final = 12 << 20
_MAX_THREADS: Final = 8


class Options:
    """Checked arguments; plain values only, so that they can be pickled."""

    def __init__(
        self,
        *,
        files: list[str],
        batch_size: int,
        columns: list[str] | None,
        num_threads: int | None,
        read_ahead_bytes: int | None,
        schema: list[tuple[str, Any]],
        format: str | None,
        csv: CsvOptions | None,
        limits: dict[str, int],
        handover: Handover,
        bad_rows: BadRows | None,
    ) -> None:
        self.files: Final = files
        self.batch_size: Final = batch_size
        self.columns: Final = columns
        self.num_threads: Final = num_threads
        self.read_ahead_bytes: Final = read_ahead_bytes
        self.schema: Final = schema
        self.format: Final = format
        self.csv: Final = csv
        self.limits: Final = limits
        self.handover: Final = handover
        self.bad_rows: Final = bad_rows  # None: they are errors

    def with_handover(self, handover: Handover) -> Options:
        """Return the same arguments but for what becomes of the rows."""
        return Options(**{**vars(self), "handover": handover})

    def open(self, *, keep_begun: bool = False, workers: int = 1) -> _core.Dataset:
        """Look at the files; see ``streaming_dataset_reader`` for the errors.

        Args:
            keep_begun: One pass over all rows follows, and goes on from the sample.
            workers: So many processes do the same, and share the CPUs.
        """
        return _core.open_dataset(
            [os.fsencode(file) for file in self.files],
            self.format,
            None if self.columns is None else [encode(c) for c in self.columns],
            [(encode(name), kind) for name, kind in self.schema],
            None if self.csv is None else self.csv.delimiter,
            True if self.csv is None else self.csv.header,
            list(self.limits.items()),
            keep_begun,
            self.bad_rows is not None,
            self.threads(workers),
        )

    def threads(self, workers: int) -> int:
        """Return the number of threads for one of ``workers`` processes."""
        if self.num_threads is not None:
            return self.num_threads
        cpus = len(os.sched_getaffinity(0)) if _HAS_AFFINITY else os.cpu_count() or 1
        return max(1, min(cpus // workers, _MAX_THREADS))

    def read_ahead(self, threads: int) -> int:
        """Return how many bytes so many threads may decode ahead of the caller."""
        if self.read_ahead_bytes is not None:
            return self.read_ahead_bytes
        bytes_ahead = _READ_AHEAD_BYTES_A_THREAD * min(threads, _MAX_THREADS)
        return max(bytes_ahead, _LEAST_READ_AHEAD_BYTES)

    def plain_reader(self, dataset: _core.Dataset) -> _core.Reader:
        """Start a pass over all rows, in the order of the files, or over their units."""
        pack = self.handover.pack
        return _core.Reader.plain(
            dataset,
            self.batch_size if pack is None else pack.pack_window,
            self.threads(1),
            self.read_ahead(self.threads(1)),
            self.handover.core(dataset),
        )

    def plain_packed(self, pack: PackOptions, dataset: _core.Dataset) -> PackedBatches:
        """Start a pass over the packed rows of all files, in their order."""
        from fast_axolotl._turns import Cursor, Turns

        reader = self.plain_reader(dataset)
        return self.packed(pack, reader, None, Turns([0]), {0: Cursor()})

    def packed(
        self,
        pack: PackOptions,
        reader: _core.Reader,
        plan: _core.Plan | None,
        turns: Turns | ShareTurns,
        cursors: Mapping[int, Cursor],
    ) -> PackedBatches:
        """Return the packed batches of units that are read."""
        from fast_axolotl._packing import PackedBatches, UnitReader

        units = UnitReader(reader, plan, pack, self.handover.transform)
        torch = self.handover.output == "torch"
        return PackedBatches(units, turns, cursors, self.batch_size, torch=torch)


_HAS_AFFINITY: Final = hasattr(os, "sched_getaffinity")


def check(
    path: _paths.Paths,
    batch_size: int = 1,
    columns: Columns | None = None,
    *,
    num_threads: int | None = None,
    read_ahead_bytes: int | None = None,
    schema: Schema | None = None,
    format: str | None = None,
    csv: CsvOptions | None = None,
    on_error: OnError = "raise",
    quarantine: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
    output: Output | None = None,
    pad: Pad | None = None,
    pack: PackOptions | None = None,
    transform: Transform | None = None,
) -> Options:
    """Check the arguments and find the files.

    Raises:
        FileNotFoundError: There is no such file, or the pattern matches none.
        ValueError: An argument has a wrong value.
        TypeError: An argument is of a wrong type.
    """
    if csv is not None:
        _check_csv(csv)
    if read_ahead_bytes is not None:
        read_ahead_bytes = integer("read_ahead_bytes", read_ahead_bytes, 1, 1 << 62)
    return Options(
        batch_size=integer("batch_size", batch_size, 1, (1 << 31) - 1),
        columns=_column_names(columns),
        num_threads=optional_positive("num_threads", num_threads),
        read_ahead_bytes=read_ahead_bytes,
        schema=_schema_types(schema),
        format=_format_name(format),
        csv=csv,
        limits=_limits(limits),
        handover=_output.check(output, pad, pack, transform),
        bad_rows=_bad_rows.check(on_error, quarantine),
        files=_paths.resolve(path),
    )


def encode(name: str) -> bytes:
    """Return a column's name as the core takes it."""
    # A key of JSON may hold surrogates that stand alone.
    return name.encode("utf-8", "surrogatepass")


def integer(name: str, value: object, least: int, most: int) -> int:
    """Check an integer argument; numpy's integers and the like are fine, bool is not."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    number = int(value.__index__())
    if not least <= number <= most:
        raise ValueError(f"{name} must be from {least} to {most}, not {number}")
    return number


def optional_positive(name: str, value: object) -> int | None:
    """Check an argument that is None or a number from 1 on."""
    return None if value is None else integer(name, value, 1, (1 << 31) - 1)


def text(name: str, value: object) -> str:
    """Check a str argument."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    return value


def boolean(name: str, value: object) -> bool:
    """Check a bool argument."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be a bool, not {type(value).__name__}")
    return value


def _column_names(columns: object) -> list[str] | None:
    if columns is None:
        return None
    if isinstance(columns, (str, bytes)) or not isinstance(columns, (list, tuple)):
        raise TypeError(
            f"columns must be a list of column names or None, not "
            f"{type(columns).__name__}"
        )
    for name in columns:
        if not isinstance(name, str):
            raise TypeError(f"columns must hold str only, not {type(name).__name__}")
    if not columns:
        raise ValueError(
            "columns is empty: name at least one column, or pass None for all"
        )
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise ValueError(f"columns names {', '.join(map(repr, twice))} more than once")
    return list(columns)


def _check_csv(csv: object) -> None:
    from fast_axolotl._csv_options import CsvOptions

    if not isinstance(csv, CsvOptions):
        raise TypeError(f"csv must be a CsvOptions, not {type(csv).__name__}")


def _limits(limits: object) -> dict[str, int]:
    if limits is None:
        return {}
    # Most callers give none, and importing this takes time.
    from collections.abc import Mapping

    if not isinstance(limits, Mapping):
        raise TypeError(
            f"limits must map names to numbers, not be a {type(limits).__name__}"
        )
    known = {name: most for name, _, most in _core.limits()}
    for name in limits:
        if not isinstance(name, str):
            raise TypeError(f"limits must have str as keys, not {type(name).__name__}")
        if name not in known:
            raise ValueError(f"unknown limit {name!r}; the limits are {', '.join(known)}")
    return {
        name: integer(f"limits[{name!r}]", value, 1, known[name])
        for name, value in limits.items()
    }


def _format_name(format: object) -> str | None:
    if format is None:
        return None
    if not isinstance(format, str):
        raise TypeError(f"format must be a str or None, not {type(format).__name__}")
    known = [name for name, _ in _core.formats()]
    if format not in known:
        raise ValueError(f"unknown format {format!r}; the formats are {', '.join(known)}")
    return format


def _schema_types(schema: object) -> list[tuple[str, Any]]:
    if schema is None:
        return []
    from collections.abc import Mapping

    if isinstance(schema, Mapping):
        types = list(schema.items())
    elif hasattr(schema, "__arrow_c_schema__") and hasattr(schema, "names"):
        # A pyarrow.Schema iterates over its fields.
        types = [(field.name, field.type) for field in schema]  # type: ignore[attr-defined]
    else:
        raise TypeError(
            "schema must map column names to type names or Arrow types, or be a "
            f"pyarrow.Schema, not {type(schema).__name__}"
        )
    for name, _ in types:
        if not isinstance(name, str):
            raise TypeError(
                f"schema must have column names as keys, not {type(name).__name__}"
            )
    return types
