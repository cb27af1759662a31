# SPDX-License-Identifier: Apache-2.0
"""What is found out of files without giving their rows: counts, indexes, bad rows."""

from __future__ import annotations

import json

from fast_axolotl import _core, _options
from fast_axolotl._bad_rows import BadRow
from fast_axolotl._reader import streaming_dataset_reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from fast_axolotl._csv_options import CsvOptions
    from fast_axolotl._options import Columns, Limits, Schema
    from fast_axolotl._paths import Paths

    # Called with the bytes read so far and those there are.
    Progress: TypeAlias = Callable[[int, int], object]


def _tick(
    progress: Progress | None, dataset: _core.Dataset
) -> Callable[[int], object] | None:
    """Return what the core calls with the bytes read so far."""
    if progress is None:
        return None
    total = dataset.bytes_total
    return lambda done: progress(done, total)


def count_rows(
    path: Paths,
    *,
    columns: Columns | None = None,
    schema: Schema | None = None,
    format: str | None = None,
    csv: CsvOptions | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> int:
    """Count the rows of data files, exactly.

    Footers tell the number where the format has them, and so does an index that was built
    of the files as they are; all other files are read. Rows are told apart, and what they
    hold is not looked at: a row that cannot be read counts, too.

    Args:
        path: As for :func:`streaming_dataset_reader`, as are all but ``progress``.
        columns: Columns that there must be.
        schema: Types of columns.
        format: The format of all files.
        csv: How CSV files are written.
        limits: Name to number: what a file may ask for before it is refused.
        progress: Called now and then with the bytes read from disk and the files' size
            in bytes. What it raises ends the work and is passed on.

    Raises:
        OSError: A file that cannot be read, is truncated or corrupt.
        FileNotFoundError, ValueError, TypeError: As for ``streaming_dataset_reader``.
    """
    options = _options.check(
        path, columns=columns, schema=schema, format=format, csv=csv, limits=limits
    )
    dataset = options.open()
    rows, exact = dataset.count_rows()
    if exact:
        return rows
    index = _core.load_index(dataset, _core.index_folder())
    # What is lost with damage is not counted: that is an error, whatever is kept.
    if index is not None and not index.damages(dataset, validated=True):
        return index.rows + index.bad_rows
    return _core.count_rows(dataset, options.threads(1), _tick(progress, dataset))


def build_index(
    path: Paths,
    *,
    lengths: str | None = None,
    schema: Schema | None = None,
    format: str | None = None,
    csv: CsvOptions | None = None,
    limits: Limits | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> int:
    """Index data files ahead of time, and return their number of rows.

    A dataset that is shuffled, shared between ranks or workers, or resumed needs the
    index and builds it at its first use. It is kept in the user's cache folder until the
    files change; Parquet files need none.

    Args:
        path: As for :func:`streaming_dataset_reader`, as are all but ``lengths`` and
            ``progress``.
        lengths: A column of lists, such as ``"input_ids"``, of which to keep how long
            each is. Packing on several ranks, and the ``len()`` of packed datasets, need
            it; it takes a pass over that column, of Parquet files, too.
        schema: Types of columns.
        format: The format of all files.
        csv: How CSV files are written.
        limits: Name to number: what a file may ask for before it is refused.
        num_threads: Threads that read; ``None`` chooses by the CPUs there are.
        progress: Called now and then with the bytes read from disk and the files' size
            in bytes. What it raises ends the work and is passed on.

    Raises:
        OSError: A file that cannot be read, is truncated or corrupt.
        FileNotFoundError, ValueError, TypeError: As for ``streaming_dataset_reader``.
    """
    options = _options.check(
        path,
        num_threads=num_threads,
        schema=schema,
        format=format,
        csv=csv,
        limits=limits,
    )
    dataset = options.open()
    tick = _tick(progress, dataset)
    folder, threads = _core.index_folder(), options.threads(1)
    index = _core.build_index(dataset, folder, threads, tick)
    if lengths is not None:
        column = _options.encode(_options.text("lengths", lengths))
        ahead = options.read_ahead(threads)
        _core.measure_lengths(dataset, index, folder, column, threads, ahead, tick)
    return index.rows


def validate(
    path: Paths,
    *,
    index: bool = False,
    columns: Columns | None = None,
    schema: Schema | None = None,
    format: str | None = None,
    csv: CsvOptions | None = None,
    limits: Limits | None = None,
    num_threads: int | None = None,
    progress: Progress | None = None,
) -> list[BadRow]:
    """Read all rows of data files, and return those that cannot be read.

    Those with a value that has no Python form are among them, as for
    ``output="python"``.

    Args:
        path: As for :func:`streaming_dataset_reader`, as are all but ``index`` and
            ``progress``.
        index: Keep an index of the files that leaves the bad rows out. A
            :class:`StreamingDataset` of them then has full batches of the good ones; they
            are found by the same ``csv`` and ``limits``, for the files as they are now.
        columns: The columns to look at.
        schema: Types that values have to fit.
        format: The format of all files.
        csv: How CSV files are written.
        limits: Name to number: what a file may ask for before it is refused.
        num_threads: Threads that decode.
        progress: Called now and then with the bytes read from disk and the files' size
            in bytes. What it raises ends the work and is passed on.

    Raises:
        OSError: A file that is not there or that the system cannot read, a folder in
            which no index can be kept.
        ValueError, TypeError: As for ``streaming_dataset_reader``.
    """
    found: list[BadRow] = []
    if not index:
        reader = streaming_dataset_reader(
            path,
            columns=columns,
            num_threads=num_threads,
            schema=schema,
            format=format,
            csv=csv,
            limits=limits,
            on_error=found.append,
        )
        with reader:
            for _ in reader:
                if progress is not None:
                    progress(reader.bytes_read, reader.bytes_total)
        return _in_order(found, reader._files)  # noqa: SLF001
    options = _options.check(
        path,
        columns=columns,
        num_threads=num_threads,
        schema=schema,
        format=format,
        csv=csv,
        limits=limits,
        on_error="skip",
    )
    dataset = options.open()
    made = _core.validate(
        dataset,
        _core.index_folder(),
        options.threads(1),
        options.read_ahead(options.threads(1)),
        lambda row: found.append(BadRow(**json.loads(row))),
        _tick(progress, dataset),
    )
    found += [BadRow(**json.loads(row)) for row in made.damages(dataset, validated=True)]
    return _in_order(found, options.files)


def _in_order(found: list[BadRow], files: Sequence[str]) -> list[BadRow]:
    """Sort by file and row: damage and values are found apart from each other."""
    order = {file: number for number, file in enumerate(files)}
    return sorted(found, key=lambda bad: (order[bad.file], bad.row))
