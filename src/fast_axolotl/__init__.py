# SPDX-License-Identifier: Apache-2.0
"""Stream fine-tuning data from the files you have into training batches."""

from __future__ import annotations

import os
import sys

from fast_axolotl import _libarrow

# Elsewhere the module for another Python would just not be found.
if "t" in getattr(sys, "abiflags", ""):
    raise ImportError(
        "fast_axolotl does not support free-threaded CPython yet: use a Python that has "
        "the GIL, such as python3.13 instead of python3.13t"
    )

_libarrow.preload(os.path.dirname(os.path.realpath(__file__)))

from fast_axolotl import _core  # noqa: E402  (needs the libraries just loaded)
from fast_axolotl._formats import detect_format, list_supported_formats  # noqa: E402
from fast_axolotl._reader import (  # noqa: E402
    StreamingReader,
    _rust_streaming_reader,
    streaming_dataset_reader,
)

# `typing` is for type checkers alone, here and in all that is imported here; to them the
# name TYPE_CHECKING is true. With re, collections, contextlib and others that it brings
# it costs 7 ms, and all of this package with Arrow's libraries costs 11.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from fast_axolotl._bad_rows import BadRow, OnError
    from fast_axolotl._csv_options import CsvOptions
    from fast_axolotl._dataset import StreamingDataset
    from fast_axolotl._epochs import Tail
    from fast_axolotl._files import build_index, count_rows, validate
    from fast_axolotl._mix import MixedDataset, Stop
    from fast_axolotl._options import Columns, Limits, Schema
    from fast_axolotl._output import Output, Transform
    from fast_axolotl._paths import Paths
    from fast_axolotl._sequences import (
        concatenate_and_pack,
        create_padding_mask,
        pack_sequences,
        pad_sequences,
    )
    from fast_axolotl._state import merge_states
    from fast_axolotl._stats import Stats
    from fast_axolotl._tensors import PackOptions, Pad, PadCollator, PadOptions
    from fast_axolotl._topology import Distributed

    RustStreamingDataset = StreamingDataset

__version__ = _core.version()

__all__ = [
    "BadRow",
    "CsvOptions",
    "MixedDataset",
    "PackOptions",
    "PadCollator",
    "PadOptions",
    "RustStreamingDataset",
    "Stats",
    "StreamingDataset",
    "StreamingReader",
    "__version__",
    "_rust_streaming_reader",
    "build_index",
    "concatenate_and_pack",
    "count_rows",
    "create_padding_mask",
    "create_rust_streaming_dataset",
    "create_streaming_dataset",
    "detect_format",
    "get_version",
    "is_available",
    "list_supported_formats",
    "merge_states",
    "mix",
    "pack_sequences",
    "pad_sequences",
    "streaming_dataset_reader",
    "validate",
]


# What a reader of files does not need, and where it is: importing this package is to take
# no longer than it must.
_LATER = {
    "BadRow": "_bad_rows",
    "CsvOptions": "_csv_options",
    "PackOptions": "_tensors",
    "PadCollator": "_tensors",
    "PadOptions": "_tensors",
    "Stats": "_stats",
    "build_index": "_files",
    "concatenate_and_pack": "_sequences",
    "count_rows": "_files",
    "create_padding_mask": "_sequences",
    "merge_states": "_state",
    "pack_sequences": "_sequences",
    "pad_sequences": "_sequences",
    "validate": "_files",
}

if not TYPE_CHECKING:  # which would take any misspelt name for an attribute

    def __getattr__(name: str) -> object:
        # The dataset class derives from torch's, and importing torch takes seconds.
        if name in {"RustStreamingDataset", "StreamingDataset"}:
            from fast_axolotl import _dataset
            from fast_axolotl._with_torch import with_torch

            made = with_torch(_dataset.StreamingDataset, "RustStreamingDataset")
            globals().update(RustStreamingDataset=made, StreamingDataset=made)
            return made
        if name == "MixedDataset":
            from fast_axolotl import _mix
            from fast_axolotl._with_torch import with_torch

            globals()[name] = with_torch(_mix.MixedDataset, name)
            return globals()[name]
        if name in _LATER:
            from importlib import import_module

            module = import_module(f"{__name__}.{_LATER[name]}")
            globals()[name] = getattr(module, name)
            return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def create_streaming_dataset(
    path: Paths,
    batch_size: int = 32,
    columns: Columns | None = None,
    *,
    shuffle: bool = False,
    seed: int = 0,
    num_lanes: int | None = None,
    shuffle_window: int | None = None,
    tail: Tail | None = None,
    distributed: Distributed = "auto",
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
) -> StreamingDataset:
    """Make a :class:`StreamingDataset`; arguments and errors are those of the class."""
    from fast_axolotl import StreamingDataset

    return StreamingDataset(
        path,
        batch_size,
        columns,
        shuffle=shuffle,
        seed=seed,
        num_lanes=num_lanes,
        shuffle_window=shuffle_window,
        tail=tail,
        distributed=distributed,
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


create_rust_streaming_dataset = create_streaming_dataset


def mix(
    datasets: Sequence[StreamingDataset],
    weights: Sequence[float] | None = None,
    *,
    seed: int = 0,
    stop: Stop = "first",
    num_lanes: int | None = None,
    tail: Tail | None = None,
    distributed: Distributed = "auto",
) -> MixedDataset:
    """Mix the batches of several datasets, each batch from one of them.

    Which dataset gives batch *j* is a pure function of the weights, the seed, the lanes
    and *j*: states, ranks and workers are as with a single dataset. Batches have the
    columns of all datasets, ``None`` where their own has no such column. Each dataset
    keeps its order, its batch size and its ``map``; its own ranks do not count here.

    Args:
        datasets: What to mix; without ``take`` and ``skip``, which come after.
        weights: How many batches of each dataset, in proportion, in steps of 1/1024;
            ``None`` means as many of each.
        seed: The seed of the order in which the datasets take turns.
        stop: ``"first"`` ends an epoch where the first dataset has no batch left;
            ``"all"`` when all have been given, the others starting again meanwhile.
        num_lanes: As for ``StreamingDataset``, as are the others.
        tail: What happens where the batches do not divide by the ranks.
        distributed: Who the ranks are.

    Raises:
        ValueError: No dataset, weights that are not positive, or one that is cut by
            ``take`` or ``skip``.
        TypeError: An argument of a wrong type.
    """
    from fast_axolotl import MixedDataset

    return MixedDataset(
        datasets,
        weights,
        seed=seed,
        stop=stop,
        num_lanes=num_lanes,
        tail=tail,
        distributed=distributed,
    )


def get_version() -> str:
    """Return the version of the package, for example ``"1.0.0"``."""
    return __version__


def is_available() -> bool:
    """Return whether the compiled core is loaded: true wherever the import succeeded."""
    return True
