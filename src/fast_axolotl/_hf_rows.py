# SPDX-License-Identifier: Apache-2.0
"""The order of rows as ``datasets`` asks for it, and rows of the plan in that order."""

from __future__ import annotations

import itertools
import warnings
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import datasets
import numpy as np
import pyarrow as pa
from datasets import Features, iterable_dataset

from fast_axolotl import _core, _state, _topology
from fast_axolotl._hf_features import arrow_array
from fast_axolotl._reader import StreamingReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fast_axolotl._dataset import StreamingDataset
    from fast_axolotl._reader import Batch

if int(datasets.__version__.split(".")[0]) < 5:
    # Before, an epoch did not reach the order of the rows, or resuming behind filter and
    # the like lost up to a thousand of them.
    raise ImportError(f"datasets {datasets.__version__} is installed")

_VERSION: Final = 1
# Rows that are converted at a time: about this much of the files, within these bounds.
_CHUNK_BYTES: Final = 1 << 20
_MAX_CHUNK: Final = 1024


@dataclass(frozen=True, slots=True)
class Order:
    """What the order of the rows depends on, besides the files.

    ``epoch`` is None until Hugging Face's own machinery asks for an order: epoch 0.
    """

    shuffle: bool
    seed: int
    window: int
    epoch: int | None = None

    def reseeded(self, generator: np.random.Generator) -> Order:
        """The order that ``IterableDataset`` asks for with a generator.

        It does so for every epoch but 0, with ``default_rng(epoch)``, and when its own
        ``shuffle`` follows a ``map``. The first generator is the epoch; one that comes on
        top of another makes that one part of the seed.
        """
        if not self.shuffle:
            return self
        if self.epoch is None:
            return replace(self, epoch=number_of(generator))
        mixed = np.random.SeedSequence([self.seed, self.epoch])
        seed = int(mixed.generate_state(1, np.uint64)[0])
        return replace(self, seed=seed, epoch=number_of(generator))


def number_of(generator: np.random.Generator) -> int:
    """The number that ``default_rng`` made the generator of, else one drawn from it."""
    entropy = getattr(generator.bit_generator.seed_seq, "entropy", None)
    if isinstance(entropy, int) and entropy < 1 << 62:
        fresh = np.random.default_rng(entropy)
        if fresh.bit_generator.state == generator.bit_generator.state:
            return entropy
    return int(deepcopy(generator).integers(0, 1 << 62))


class PlannedRows(iterable_dataset._BaseExamplesIterable):  # type: ignore[misc]
    """Rows ``[begin, end)`` of an epoch, which count as ``shards`` shards."""

    def __init__(
        self, dataset: StreamingDataset, features: Features, order: Order, shards: int
    ) -> None:
        super().__init__()
        self._state_dict: dict[str, Any] | None = None
        self._sleep_on_threads_shutdown = False
        self._dataset = dataset
        self._features = features
        self.order = order
        self._shards = shards
        self._begin = 0
        self._end = dataset._index().rows
        self._warned = False
        bytes_of_row = dataset._open().bytes_total / max(self._end, 1)
        chunk = int(_CHUNK_BYTES / max(bytes_of_row, 1))
        self._chunk = max(1, min(chunk, _MAX_CHUNK))
        self._fingerprint = dataset._identify()
        self.last_reader: StreamingReader | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "last_reader": None}

    # --- what datasets asks for ---------------------------------------------------------

    @property
    def is_typed(self) -> bool:
        return True

    @property
    def features(self) -> Features:
        return self._features

    @property
    def num_shards(self) -> int:
        return self._shards

    @property
    def num_rows(self) -> int:
        return self._end - self._begin

    def reordered(self, order: Order) -> PlannedRows:
        other = copy(self)
        other.order = order
        other._state_dict = None
        return other

    def shuffle_data_sources(self, generator: np.random.Generator) -> PlannedRows:
        return self.reordered(self.order.reseeded(generator))

    def shard_data_sources(
        self, num_shards: int, index: int, contiguous: bool = True
    ) -> PlannedRows:
        """Rows that follow each other, whatever ``contiguous`` asks for.

        Shards are no more than a number here, so any cut is as good; this one reads the
        fewest files, and its parts differ by one row at most.
        """
        mine = self.split_shard_indices_by_worker(num_shards, index, contiguous)
        parts = min(num_shards, self._shards)
        place = min(index, parts)
        other = self.reordered(self.order)
        other.__dict__.update(
            _shards=len(mine),
            _begin=self._begin + self.num_rows * place // max(parts, 1),
            _end=self._begin + self.num_rows * min(place + 1, parts) // max(parts, 1),
        )
        return other

    def reshard_data_sources(self) -> PlannedRows:
        return self.reordered(self.order)

    # --- state --------------------------------------------------------------------------

    def _init_state_dict(self) -> dict[str, Any]:
        # One key that is None at first: datasets merges dicts by key when it loads.
        self._state_dict = {"cursor": None, "type": type(self).__name__}
        return self._state_dict

    def _start(self) -> dict[str, Any]:
        """The place to read from, kept in the state if there is one."""
        cursor = {
            "version": _VERSION,
            "fingerprint": self._fingerprint,
            "shuffle": self.order.shuffle,
            "seed": self.order.seed,
            "epoch": self.order.epoch or 0,
            "window": self.order.window,
            "begin": self._begin,
            "end": self._end,
            "row": self._begin,
        }
        if self._state_dict is not None:
            found = self._state_dict["cursor"]
            if found is not None:
                self._check(cursor, found)
                cursor["row"] = found["row"]
            self._state_dict["cursor"] = cursor
        return cursor

    def _check(self, mine: dict[str, Any], found: dict[str, Any]) -> None:
        names = {
            "begin": "shards (ranks, workers or num_shards)",
            "end": "shards (ranks, workers or num_shards)",
        }
        for name, value in mine.items():
            if name != "row" and found.get(name) != value:
                other = names.get(name, name)
                if name == "fingerprint":
                    other = _state.other_files(
                        value, found.get(name), self._dataset.files
                    )
                raise ValueError(
                    f"the state was saved with other {other}: "
                    f"{found.get(name)!r} there, {value!r} here"
                )
        row = found.get("row")
        if not isinstance(row, int) or not self._begin <= row <= self._end:
            raise ValueError(
                f"the state's 'row' is {row!r}, expected {self._begin} to {self._end}"
            )

    # --- rows ---------------------------------------------------------------------------

    def _read_from(self, row: int) -> StreamingReader:
        dataset, order, chunk = self._dataset, self.order, self._chunk
        index = dataset._index()
        plan = _core.Plan.make(
            index,
            order.shuffle,
            order.seed,
            order.epoch or 0,
            chunk,
            1,
            max(order.window, 1),
        )
        last = -(-self._end // chunk)
        share = _core.Share.make(row // chunk, 0, last, (0, 1), (0, 1), "keep")
        options = dataset._options
        opened = dataset._open()
        threads = options.threads(_topology.worker_and_workers()[1])
        reader = _core.Reader.planned(
            opened,
            index,
            plan,
            share,
            0,
            threads,
            options.read_ahead(threads),
            _core.Output.make("python", None, opened),
        )
        return StreamingReader(options.files, opened, reader)

    def _batches(self, row: int) -> Iterator[tuple[int, Batch]]:
        """The rows from ``row`` on, many at a time, and how many they are."""
        if row >= self._end:
            return
        reader = self.last_reader = self._read_from(row)
        with reader:
            begin = row // self._chunk * self._chunk
            while begin < self._end:
                batch = next(reader)
                rows = min(self._chunk, self._dataset._index().rows - begin)
                first, last = max(row - begin, 0), min(self._end - begin, rows)
                if first > 0 or last < rows:
                    batch = {name: values[first:last] for name, values in batch.items()}
                self._warn_of_keys(batch)
                begin += rows
                yield last - first, batch

    def _warn_of_keys(self, batch: Batch) -> None:
        if self._warned or len(batch) == len(self._features):
            return
        self._warned = True
        others = [repr(name) for name in batch if name not in self._features]
        warnings.warn(
            f"rows have keys that the sample did not show, {', '.join(others)}, and "
            "which features do not name: they are left out; name them with schema=",
            stacklevel=2,
        )

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        names = list(self._features)
        cursor = self._start()
        for rows, batch in self._batches(cursor["row"]):
            columns = [batch[name] for name in names]
            table = zip(*columns, strict=True) if names else itertools.repeat((), rows)
            for values in table:
                row = cursor["row"]
                cursor["row"] = row + 1
                yield row, dict(zip(names, values, strict=True))

    @property
    def iter_arrow(self) -> Callable[[], Iterator[tuple[int, pa.Table]]]:
        return self._iter_arrow

    def _iter_arrow(self) -> Iterator[tuple[int, pa.Table]]:
        schema = self._features.arrow_schema
        cursor = self._start()
        for rows, batch in self._batches(cursor["row"]):
            row = cursor["row"]
            cursor["row"] = row + rows
            arrays = [arrow_array(field, batch[field.name]) for field in schema]
            if arrays:
                yield row, pa.Table.from_arrays(arrays, schema=schema)
