# SPDX-License-Identifier: Apache-2.0
"""Stream fine-tuning data from the files you have into training batches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fast_axolotl import _libarrow

_libarrow.preload(Path(__file__).resolve().parent)

from fast_axolotl import _core  # noqa: E402  (needs the libraries just loaded)
from fast_axolotl._formats import detect_format, list_supported_formats  # noqa: E402
from fast_axolotl._options import CsvOptions  # noqa: E402
from fast_axolotl._reader import (  # noqa: E402
    StreamingReader,
    _rust_streaming_reader,
    build_index,
    count_rows,
    streaming_dataset_reader,
)
from fast_axolotl._state import merge_states  # noqa: E402

if TYPE_CHECKING:
    from fast_axolotl._dataset import StreamingDataset, Tail
    from fast_axolotl._options import Columns, Schema
    from fast_axolotl._paths import Paths
    from fast_axolotl._topology import Distributed

    RustStreamingDataset = StreamingDataset

__version__ = _core.version()

__all__ = [
    "CsvOptions",
    "RustStreamingDataset",
    "StreamingDataset",
    "StreamingReader",
    "__version__",
    "_rust_streaming_reader",
    "build_index",
    "count_rows",
    "create_rust_streaming_dataset",
    "create_streaming_dataset",
    "detect_format",
    "get_version",
    "is_available",
    "list_supported_formats",
    "merge_states",
    "streaming_dataset_reader",
]


if not TYPE_CHECKING:  # which would take any misspelt name for an attribute

    def __getattr__(name: str) -> object:
        # The dataset class derives from torch's, and importing torch takes seconds.
        if name in {"RustStreamingDataset", "StreamingDataset"}:
            from fast_axolotl import _dataset

            made = _dataset.torch_class()
            globals().update(RustStreamingDataset=made, StreamingDataset=made)
            return made
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


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
    )


create_rust_streaming_dataset = create_streaming_dataset


def get_version() -> str:
    """Return the version of the package, for example ``"1.0.0"``."""
    return __version__


def is_available() -> bool:
    """Return whether the compiled core is loaded: true wherever the import succeeded."""
    return True
