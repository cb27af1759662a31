# SPDX-License-Identifier: Apache-2.0
"""Stream fine-tuning data from the files you have into training batches."""

from __future__ import annotations

from pathlib import Path

from fast_axolotl import _libarrow

_libarrow.preload(Path(__file__).resolve().parent)

from fast_axolotl import _core  # noqa: E402  (needs the libraries just loaded)

__version__ = _core.version()

__all__ = ["__version__", "get_version", "is_available"]


def get_version() -> str:
    """Return the version of the package, for example ``"1.0.0"``."""
    return __version__


def is_available() -> bool:
    """Return whether the compiled core is loaded: true wherever the import succeeded."""
    return True
