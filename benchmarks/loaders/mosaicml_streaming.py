# SPDX-License-Identifier: Apache-2.0
"""mosaicml-streaming: rows converted once by ``MDSWriter``, then a ``DataLoader``.

It has an environment of its own: it wants older releases of numpy and huggingface_hub,
and through them of datasets, than the other peers are measured with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

TITLE = "mosaicml-streaming (converted)"
IMPORTS = ("streaming",)
PACKAGES = ("mosaicml-streaming", "torch")
CELLS = {"padded": ("tok.parquet",)}
VENV = (
    "mosaicml-streaming==0.13.0",
    "torch==2.13.0",
    "torchvision==0.28.0",
    "pyarrow==26.0.1",
)


def prepare() -> None:
    """Stand in for torchvision, which it imports, where that does not fit torch."""
    import sys
    from importlib.machinery import ModuleSpec
    from importlib.util import module_from_spec

    try:
        import torchvision  # noqa: F401
    except Exception:  # noqa: BLE001  (a RuntimeError from deep inside)
        for name in ("", ".datasets", ".transforms", ".transforms.functional"):
            module: Any = module_from_spec(ModuleSpec(f"torchvision{name}", None))
            module.VisionDataset = object
            module.to_tensor = None
            sys.modules[module.__name__] = module


def convert(source: str, target: str) -> None:
    import pyarrow.parquet as pq
    from streaming import MDSWriter

    kinds = {
        "input_ids": "ndarray:int32",
        "labels": "ndarray:int32",
        "attention_mask": "ndarray:int8",
    }
    with MDSWriter(out=target, columns=kinds) as writer:
        for batch in pq.ParquetFile(source).iter_batches(1000):
            for at in range(len(batch)):
                writer.write({name: batch[name][at].values.to_numpy() for name in kinds})


def padded(path: str, _: list[str] | None) -> Iterator[dict[str, Any]]:
    from streaming import StreamingDataset
    from streaming.base.util import clean_stale_shared_memory
    from torch.utils.data import DataLoader

    from loaders._collate import pad

    clean_stale_shared_memory()  # which a process that was ended leaves behind
    rows = StreamingDataset(local=path, shuffle=False, batch_size=32)
    yield from DataLoader(rows, batch_size=32, collate_fn=pad)
