# SPDX-License-Identifier: Apache-2.0
"""One pass over the data."""

from __future__ import annotations

import atexit
import time
from _weakref import ref  # weakref imports more: 0.7 of the import's 11 ms

from fast_axolotl import _core, _options
from fast_axolotl._stats import Stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Any, Self, TypeAlias

    from fast_axolotl._bad_rows import OnError, Policy
    from fast_axolotl._csv_options import CsvOptions
    from fast_axolotl._iterator import BatchTaker, Position, Reached
    from fast_axolotl._options import Columns, Limits, Schema
    from fast_axolotl._output import Output, Transform
    from fast_axolotl._paths import Paths
    from fast_axolotl._source import BatchSource, Described
    from fast_axolotl._tensors import PackOptions, Pad

# A batch: column name to the list of its values, all of the same length.
Batch: TypeAlias = "dict[str, list[Any]]"

_open_readers: set[ref[StreamingReader]] = set()


@atexit.register
def _close_all() -> None:
    """Join all threads before the interpreter and Arrow's statics go away."""
    _core.begin_exit()
    for reference in list(_open_readers):
        reader = reference()
        if reader is not None:
            reader.close()


class StreamingReader:
    """An iterator over the batches of a dataset, one pass.

    Iterating gives a ``dict`` from column name to ``list``, all lists of ``batch_size``
    values but in the last batch. Rows are decoded ahead on threads, which are joined when
    the reader ends, is closed, or is dropped; it is a context manager, too.

    A fault in a file is raised as an ``OSError`` that names file and place, after all
    rows before it were given, and again at every later call; unless ``on_error`` says
    that rows which cannot be read are left out.

    Made by :func:`streaming_dataset_reader` and by iterating a dataset.
    """

    def __init__(
        self,
        files: Sequence[str],
        dataset: Described,
        reader: BatchSource | None = None,
        *,
        record_batches: bool = False,
        bad_rows: Policy | None = None,
    ) -> None:
        self._files = files
        self._dataset = dataset
        self._reader = reader
        self._record_batches = record_batches
        self._telling = None if bad_rows is None else bad_rows.telling()
        self._closed = False
        # Whether a thread is in a call.
        self._busy = False
        # How far a dataset's pass is, and how far it will be behind the next batch.
        self.position: Position | None = None
        self._reached: Reached = (0, None, 0)
        # Batches left out up to the one given last.
        self._left_out = 0
        self._stats = Stats()
        self._began: float | None = None
        _open_readers.add(ref(self, _open_readers.discard))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:  # noqa: ANN401  (what output= says)
        return self._give(None)

    def _give(self, taker: BatchTaker | None) -> Any:  # noqa: ANN401
        """Return the next batch; it is ``taker``'s, where there is one.

        Signal handlers run, and other threads, where a function is called, and nowhere
        else. So none is called between looking at a flag and setting it, nor from where
        a batch counts as given up to the return.
        """
        if self._busy:
            if self._closed:
                raise StopIteration
            raise ValueError(
                "this reader is already being read by another thread; give each thread "
                "a reader of its own, or guard the shared one with a lock"
            )
        self._busy = True
        try:
            reader, batch = self._next()
        except BaseException:
            self._busy = False
            raise
        self._stats.batches += 1
        position = self.position
        if position is not None:
            position.given, position.own, self._left_out = self._reached
        if taker is not None:
            taker.batch = batch
        reader.held = None
        self._busy = False
        return batch

    def _next(self) -> tuple[BatchSource, Any]:
        """Return the next batch and what holds it; the same again until it is given."""
        if self._reader is None:
            raise StopIteration
        batch = _core.NO_BATCH_YET
        while batch is _core.NO_BATCH_YET:
            asked = time.perf_counter()
            if self._began is None:
                self._began = asked
            try:
                batch = self._reader.next_batch()
            except Exception:
                # Not at Ctrl-C, which is to be answered at once: with the next call.
                self._report()
                raise
            now = time.perf_counter()
            self._stats.gave(self._reader, self._began, asked, now)
            if self._telling is not None or self._reader.rows_skipped:
                self._report()
        return self._reader, batch

    def _report(self) -> None:
        """Say what was left out since the last batch."""
        reader = self._reader
        if reader is None:
            return
        self._stats.rows_skipped = reader.rows_skipped
        self._stats.batches_unreadable = reader.batches_left_out
        rows = reader.take_bad_rows()
        if self._telling is not None:
            self._telling.add(rows)
            self._telling.tell()

    def stats(self) -> Stats:
        """Return what this pass has done so far."""
        stats = self._stats.copy()
        if self._reader is not None and self._reader.mark is not None:
            stats.packed(*self._reader.mark[1:])
        return stats

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Return the batches that are left as a stream of Arrow's PyCapsule interface.

        So pyarrow, Polars, DuckDB and others take the reader itself, for instance
        ``pyarrow.RecordBatchReader.from_stream(reader)``. Batches are read as they are
        asked for, and all have one schema.

        Args:
            requested_schema: A schema to cast to, as a capsule.

        Raises:
            TypeError: Batches are not record batches: ``output`` is not ``"arrow"``, or
                functions make them.
        """
        if not self._record_batches:
            raise TypeError(
                "an Arrow stream is one of record batches, which this reader does not "
                'give: make it with output="arrow", without transform= and map()'
            )
        import pyarrow as pa

        reader = pa.RecordBatchReader.from_batches(pa.schema(self._dataset), self)
        return reader.__arrow_c_stream__(requested_schema)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Absent where __init__ failed.
        reader = getattr(self, "_reader", None)
        if reader is not None:
            reader.close()

    def __repr__(self) -> str:
        return (
            f"<StreamingReader of {len(self._files)} files, "
            f"columns {self.columns}, {self.rows_read} rows read>"
        )

    def __reduce__(self) -> str:
        raise TypeError(
            "a StreamingReader cannot be pickled: it holds threads and open files; "
            "pickle a StreamingDataset and iterate it on the other side"
        )

    def close(self) -> None:
        """Stop reading and join the threads. Iterating then ends at once.

        A call of ``transform`` or ``map`` that is under way cannot be stopped: it is
        waited for, but not for longer than a fifth of a second.
        """
        self._closed = True
        if self._reader is not None:
            self._reader.close()

    @property
    def columns(self) -> list[str]:
        """The columns of the batches, in their order, as far as a sample tells.

        A batch of JSON rows may have further keys, behind these.
        """
        return [name for name, _ in self._dataset.schema]

    @property
    def schema(self) -> dict[str, str]:
        """The columns' types by name, such as ``"list<int64>"``.

        ``"json"`` is a column of values of no one simple type; each is what
        ``json.loads`` gives.
        """
        return dict(self._dataset.schema)

    @property
    def files(self) -> list[str]:
        """The files, in the order of reading."""
        return list(self._files)

    @property
    def bytes_total(self) -> int:
        """The files' size on disk, in bytes."""
        return self._dataset.bytes_total

    @property
    def bytes_read(self) -> int:
        """Bytes read from disk so far, ahead of the rows given."""
        return 0 if self._reader is None else self._reader.bytes_read

    @property
    def rows_read(self) -> int:
        """Rows given so far."""
        return 0 if self._reader is None else self._reader.rows_read


def streaming_dataset_reader(
    path: Paths,
    batch_size: int = 1000,
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
) -> StreamingReader:
    """Stream the rows of data files in batches.

    Args:
        path: A file, a glob pattern (``**`` for any depth), a folder, or a list of these.
        batch_size: Rows in each batch; only the last one may have fewer.
        columns: The columns to read, in this order; ``None`` means all.
        num_threads: Threads that decode; ``None`` chooses by the CPUs there are.
        read_ahead_bytes: How much may be decoded ahead of the caller, in bytes.
        schema: Column name to type name or Arrow type, for columns whose type the files
            do not fix.
        format: The format of all files, where their names do not tell.
        csv: How CSV files are written.
        on_error: What a row does that cannot be read: ``"raise"`` an ``OSError``, or
            ``"skip"``: it is left out of its batch, which is short then, and counted in
            ``stats()``. A function is called with each :class:`BadRow` and the row left
            out; what it raises ends the reading.
        quarantine: A file to which rows that are left out are appended, one JSON object
            a line with the attributes of a :class:`BadRow`.
        limits: Name to number: what a file may ask for before it is refused.
        output: What a batch is: ``"python"``, a dict of lists (the default); ``"numpy"``
            or ``"torch"``, a dict of arrays where a column holds numbers; ``"arrow"``, a
            ``pyarrow.RecordBatch``.
        pad: Column name to the value of its padding, or a :class:`PadOptions`: lists
            become tensors of the shape ``(rows, length)``.
        pack: Lists of tokens fill rows of a fixed length; ``batch_size`` counts those.
        transform: A function that is called with each batch, ahead of the caller, on a
            thread; what it returns is given instead. With ``pad`` or ``pack`` it gets a
            dict of lists, and what it returns is padded or packed.

    Returns:
        An iterator of batches.

    Raises:
        FileNotFoundError: No file, or the pattern matches none.
        ValueError: An unknown format or column, or an argument of a wrong value.
        TypeError: An argument of a wrong type.
        OSError: A file that cannot be read, is truncated or corrupt; where the fault is
            in its rows, while iterating.
    """
    options = _options.check(
        path,
        batch_size,
        columns,
        num_threads=num_threads,
        read_ahead_bytes=read_ahead_bytes,
        schema=schema,
        format=format,
        csv=csv,
        on_error=on_error,
        quarantine=quarantine,
        limits=limits,
        output=output,
        pad=pad,
        pack=pack,
        transform=transform,
    )
    dataset = options.open(keep_begun=True)
    source: BatchSource = (
        options.plain_reader(dataset)
        if pack is None
        else options.plain_packed(pack, dataset)
    )
    return StreamingReader(
        options.files,
        dataset,
        options.handover.run(source),
        record_batches=options.handover.gives_record_batches,
        bad_rows=options.bad_rows,
    )


def _rust_streaming_reader(
    path: Paths, batch_size: int, columns: Columns | None
) -> StreamingReader:
    """Stream batches; internal, kept for its callers: use streaming_dataset_reader."""
    return streaming_dataset_reader(path, batch_size, columns)
