# SPDX-License-Identifier: Apache-2.0
"""The rows of a dataset as a ``datasets.IterableDataset``.

Imported by :meth:`StreamingDataset.to_hf` only: it needs datasets, numpy and pyarrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from datasets import DatasetInfo, IterableDataset, iterable_dataset

from fast_axolotl import _options
from fast_axolotl._hf_features import features_of
from fast_axolotl._hf_rows import Order, PlannedRows, number_of

if TYPE_CHECKING:
    import numpy as np

    from fast_axolotl._dataset import StreamingDataset

_MAX_SEED: Final = (1 << 64) - 1


class RowsDataset(IterableDataset):  # type: ignore[misc]
    """The rows of a :class:`StreamingDataset`, as a ``datasets.IterableDataset``.

    Made by :meth:`StreamingDataset.to_hf`. It has a length, and whatever keeps the number
    of rows known keeps it.
    """

    def __len__(self) -> int:
        """Return the number of rows of an epoch."""
        return _count(self._ex_iterable) or 0

    def shuffle(
        self,
        seed: int | None = None,
        generator: np.random.Generator | None = None,
        buffer_size: int = 1000,
        **kwargs: Any,
    ) -> IterableDataset:
        """Return a dataset in shuffled order, another in every epoch.

        Right behind ``to_hf()`` or ``shard()`` this seeds the plan: rows come in the
        order of ``StreamingDataset(..., shuffle=True, seed=seed, num_lanes=1)``, no
        buffer is used, and a state that is loaded goes on exactly. Behind ``map`` and
        the like it is Hugging Face's own, which reads through a buffer whose rows a
        resume loses.

        Args:
            seed: The seed; ``None`` takes one from ``generator``, and without that the
                dataset's own, so that all ranks agree.
            generator: Where the seed is taken from if there is none.
            buffer_size: For Hugging Face's own shuffle.
            **kwargs: For Hugging Face's own shuffle.
        """
        rows = self._ex_iterable
        if not isinstance(rows, PlannedRows):
            return _adopt(super().shuffle(seed, generator, buffer_size, **kwargs))
        if seed is None:
            seed = rows.order.seed if generator is None else number_of(generator)
        window = rows.order.window or _window(rows._dataset)
        order = Order(True, _options.integer("seed", seed, 0, _MAX_SEED), window)
        return _adopt(self, rows.reordered(order))

    def map(self, *args: Any, **kwargs: Any) -> IterableDataset:
        """Hugging Face's own; not batched, it keeps the length."""
        return _adopt(super().map(*args, **kwargs))

    def with_format(self, *args: Any, **kwargs: Any) -> IterableDataset:
        """Hugging Face's own; it keeps the length."""
        return _adopt(super().with_format(*args, **kwargs))

    def take(self, n: int) -> IterableDataset:
        """Hugging Face's own; it keeps the length."""
        return _adopt(super().take(n))

    def skip(self, n: int) -> IterableDataset:
        """Hugging Face's own, which reads the rows that it skips; it keeps the length."""
        return _adopt(super().skip(n))

    def shard(
        self, num_shards: int, index: int, contiguous: bool = True
    ) -> IterableDataset:
        """Return the part ``index`` of ``num_shards``: rows that follow each other.

        The parts differ by one row at most, also where ``num_shards`` does not divide the
        number of shards.
        """
        return _adopt(super().shard(num_shards, index, contiguous))


def _adopt(made: IterableDataset, rows: PlannedRows | None = None) -> IterableDataset:
    """The same dataset with a length, if that is known."""
    source = made._ex_iterable if rows is None else rows
    if _count(source) is None:
        return made
    return RowsDataset(
        source,
        info=made._info.copy(),
        split=made._split,
        formatting=made._formatting,
        distributed=made._distributed,
        token_per_repo_id=made._token_per_repo_id,
    )


def _count(source: object) -> int | None:
    """The rows that come out of an iterable of ours behind others, if that is known."""
    if isinstance(source, PlannedRows):
        return source.num_rows
    kind = type(source)
    inner = None if source is None else _count(getattr(source, "ex_iterable", None))
    if inner is None:
        return None
    n = max(0, int(getattr(source, "n", 0)))
    if kind is iterable_dataset.TakeExamplesIterable:
        return min(n, inner)
    if kind is iterable_dataset.SkipExamplesIterable:
        return max(0, inner - n)
    same = {
        iterable_dataset.FormattedExamplesIterable,
        iterable_dataset.RebatchedArrowExamplesIterable,
        iterable_dataset.SelectColumnsIterable,
        iterable_dataset.BufferShuffledExamplesIterable,
        # Newer than the oldest version.
        getattr(iterable_dataset, "InterleavedShardsExamplesIterable", None),
    }
    mapped = kind is iterable_dataset.MappedExamplesIterable and not getattr(
        source, "batched", True
    )
    return inner if mapped or kind in same else None


def _window(dataset: StreamingDataset) -> int:
    return dataset._changed(_shuffle=True)._default_window()


def _refuse_batches(dataset: StreamingDataset) -> None:
    """Refuse what works on batches, or is for some of the rows."""
    if dataset._maps or dataset._first or dataset._last is not None:
        raise ValueError(
            "to_hf() gives the rows of the files, and map(), take() and skip() of "
            "this dataset work on its batches: use those of what to_hf() returns"
        )
    handover = dataset._options.handover
    if not handover.keeps_rows:
        raise ValueError(
            "to_hf() gives the rows of the files, and pad=, pack= and transform= of "
            "this dataset make its batches: use map() of what to_hf() returns"
        )
    if dataset._options.bad_rows is not None:
        raise ValueError(
            "to_hf() knows its rows by their numbers, and on_error= of this dataset "
            "leaves rows out: leave it out, and use `fast-axolotl validate --index` "
            "to have bad rows left out from the start"
        )
    if dataset._distributed not in ("auto", "off"):
        raise ValueError(
            "to_hf() gives all rows, and distributed= is one rank's share: leave it "
            "out, and split what to_hf() returns with "
            "datasets.distributed.split_dataset_by_node()"
        )


def rows_dataset(dataset: StreamingDataset, num_shards: int) -> RowsDataset:
    """Make the dataset of rows; see :meth:`StreamingDataset.to_hf`."""
    _refuse_batches(dataset)
    shuffle, seed = dataset._shuffle, dataset._seed
    order = Order(shuffle, seed, _window(dataset) if shuffle else 0)
    features = features_of(pa.schema(dataset._open()))
    source = dataset._changed(_distributed="off")
    rows = PlannedRows(source, features, order, num_shards)
    return RowsDataset(rows, info=DatasetInfo(features=features))
