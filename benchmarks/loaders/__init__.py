# SPDX-License-Identifier: Apache-2.0
"""One module for each loader that is measured. What a module holds:

* ``TITLE``: its name in tables;
* ``IMPORTS``: the modules whose import is timed;
* ``PACKAGES``: what to report the versions of;
* ``CELLS``: for each output, the files it can read, as glob patterns;
* ``lists(path, columns)``: yields a dict of Python lists for every 1,000 rows or so;
  ``columns`` is a list of names or None;
* ``arrow(path, columns)``: yields Arrow record batches, or what has their interface;
* ``padded(path, columns)``: yields padded int64 tensors of 32 rows;
* ``packed(path, columns)``: yields rows of 4,096 tokens, as many as it likes;
* ``convert(source, target)``: if there is one, ``path`` is what it made of the file;
* ``prepare()``: if there is one, it runs before the imports;
* ``VENV``: requirements of an environment of its own, where it cannot share ours.

Each reads a file in the way that its own documentation advises for speed, on all cores
that it finds, and imports its library inside the functions: the harness reads these
modules without having the libraries.
"""

from __future__ import annotations

import importlib
import os
from fnmatch import fnmatch
from types import ModuleType

NAMES = [
    "fast_axolotl",
    "datasets",
    "pyarrow",
    "polars",
    "duckdb",
    "orjson",
    "pandas",
    "python",
    "litdata",
    "mosaicml_streaming",
    "grain",
    "rust",
]
OURS = NAMES[0]


def load(name: str) -> ModuleType:
    return importlib.import_module(f"loaders.{name}")


def reads(name: str, file: str, output: str) -> bool:
    """Whether a loader can give this output of this file."""
    patterns = load(name).CELLS.get(output, ())
    return any(fnmatch(file, pattern) for pattern in patterns)


def files(path: str) -> list[str]:
    """A file, or those of a folder in order."""
    if not os.path.isdir(path):  # noqa: PTH112  (pathlib would be imported for it)
        return [path]
    return [f"{path}/{name}" for name in sorted(os.listdir(path))]  # noqa: PTH208


def pattern(path: str) -> str:
    """A file, or a glob pattern for those of a folder of JSON lines."""
    return path if not os.path.isdir(path) else f"{path}/*.jsonl"  # noqa: PTH112
