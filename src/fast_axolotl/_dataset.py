# SPDX-License-Identifier: Apache-2.0
"""Data to iterate again and again, and to give to torch."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, cast

from fast_axolotl import _options
from fast_axolotl._reader import Batch, StreamingReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch.utils.data import DataLoader

    from fast_axolotl import _core
    from fast_axolotl._options import Columns, CsvOptions, Schema
    from fast_axolotl._paths import Paths


def _identity(batch: Batch) -> Batch:
    """A collate function that leaves the batch alone."""
    return batch


class StreamingDataset:
    """The batches of data files, as a dataset to iterate again and again.

    Where torch is installed this is a ``torch.utils.data.IterableDataset``: give it to
    ``DataLoader(dataset, batch_size=None)``, or call :meth:`loader`. With workers, each
    batch is given by exactly one of them. It can be pickled.

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

    Raises:
        FileNotFoundError: No file, or the pattern matches none.
        ValueError: An unknown format or column, or an argument of a wrong value.
        TypeError: An argument of a wrong type.
        OSError: A file that cannot be read, is truncated or corrupt; where the fault is
            in its rows, while iterating.
    """

    def __init__(
        self,
        path: Paths,
        batch_size: int = 32,
        columns: Columns | None = None,
        *,
        num_threads: int | None = None,
        read_ahead_bytes: int | None = None,
        schema: Schema | None = None,
        format: str | None = None,
        csv: CsvOptions | None = None,
    ) -> None:
        super().__init__()
        self._options = _options.check(
            path,
            batch_size,
            columns,
            num_threads=num_threads,
            read_ahead_bytes=read_ahead_bytes,
            schema=schema,
            format=format,
            csv=csv,
        )
        self._opened: tuple[int, _core.Dataset] | None = None
        self._count: tuple[int, bool] | None = None
        self._open()

    def _open(self) -> _core.Dataset:
        # A fork copies locks in whatever state they are: the child looks for itself.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), self._options.open())
        return self._opened[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def __iter__(self) -> Iterator[Batch]:
        """Start a new pass: an iterator of ``dict[str, list]``.

        In a DataLoader's worker it gives this worker's share of the batches.
        """
        return self._reader()

    def _reader(self) -> StreamingReader:
        worker, workers = 0, 1
        torch_data = sys.modules.get("torch.utils.data")
        info = torch_data.get_worker_info() if torch_data is not None else None
        if info is not None:
            worker, workers = info.id, info.num_workers
        return StreamingReader(
            self._options, self._open(), worker=worker, workers=workers
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Iterate over the rows, in the same order: one ``dict`` a row."""
        with self._reader() as reader:
            done = 0
            for batch in reader:
                names = list(batch)
                if names:
                    for values in zip(*batch.values(), strict=True):
                        yield dict(zip(names, values, strict=True))
                else:
                    # Rows without any column have no list to count them by.
                    yield from ({} for _ in range(reader.rows_read - done))
                done = reader.rows_read

    def loader(self, **kwargs: Any) -> DataLoader[Batch]:
        """Return a ``torch.utils.data.DataLoader`` over the batches.

        Its ``batch_size`` is ``None``, because this dataset batches itself, and its
        ``collate_fn`` leaves batches alone: torch's own looks at every single value.

        Args:
            **kwargs: Other arguments of the DataLoader, such as ``num_workers``.

        Raises:
            ImportError: torch is not installed.
            TypeError: ``batch_size`` is among the arguments.
        """
        if kwargs.get("batch_size") is not None:
            raise TypeError(
                "loader() takes no batch_size: it is that of the dataset, "
                f"{self._options.batch_size}"
            )
        from torch.utils.data import DataLoader

        kwargs.setdefault("collate_fn", _identity)
        kwargs["batch_size"] = None
        return DataLoader(cast("Any", self), **kwargs)

    def _counted(self) -> tuple[int, bool]:
        if self._count is None:
            self._count = self._open().count_rows()
        return self._count

    @property
    def num_rows(self) -> int:
        """The number of rows; an estimate unless :attr:`len_is_exact`."""
        return self._counted()[0]

    @property
    def len_is_exact(self) -> bool:
        """Whether ``len()`` and :attr:`num_rows` are exact.

        They are where the files' footers tell the number of rows, and for small files.
        """
        return self._counted()[1]

    def __len__(self) -> int:
        """Return the number of batches; an estimate unless :attr:`len_is_exact`."""
        rows, batch = self.num_rows, self._options.batch_size
        return (rows + batch - 1) // batch

    @property
    def batch_size(self) -> int:
        """Rows in each batch but the last."""
        return self._options.batch_size

    @property
    def columns(self) -> list[str]:
        """The columns of the batches, in their order, as far as a sample tells.

        A batch of JSON rows may have further keys, behind these.
        """
        return [name for name, _ in self._open().schema]

    @property
    def schema(self) -> dict[str, str]:
        """The columns' types by name, such as ``"list<int64>"``.

        ``"json"`` is a column of values of no one simple type; each is what
        ``json.loads`` gives.
        """
        return dict(self._open().schema)

    @property
    def files(self) -> list[str]:
        """The files, in the order of reading."""
        return list(self._options.files)

    def __repr__(self) -> str:
        files = self._options.files
        shown = repr(files[0]) if len(files) == 1 else f"{len(files)} files"
        return f"{type(self).__name__}({shown}, batch_size={self.batch_size})"


def torch_class() -> type[StreamingDataset]:
    """Return the dataset class, made a torch ``IterableDataset`` where torch is there.

    Importing torch takes seconds, so it waits until the class is first asked for.
    """
    bases: tuple[type, ...] = (StreamingDataset,)
    try:
        from torch.utils.data import IterableDataset
    except ImportError:
        pass
    else:
        bases = (StreamingDataset, IterableDataset)
    name = "RustStreamingDataset"
    members = {
        "__doc__": StreamingDataset.__doc__,
        "__module__": "fast_axolotl",
        "__qualname__": name,
    }
    return cast("type[StreamingDataset]", type(name, bases, members))
