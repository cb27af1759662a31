# SPDX-License-Identifier: Apache-2.0
"""Data sets as torch knows them, without importing torch before one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from fast_axolotl._epochs import EpochDataset

Made = TypeVar("Made", bound=EpochDataset)


def with_torch(cls: type[Made], name: str) -> type[Made]:
    """Return the class, made a torch ``IterableDataset`` where torch is there.

    Importing torch takes seconds, so it waits until the class is first asked for.
    """
    bases: tuple[type, ...] = (cls,)
    try:
        from torch.utils.data import IterableDataset
    except ImportError:
        pass
    else:
        bases = (cls, IterableDataset)
    members = {
        "__doc__": cls.__doc__,
        "__module__": "fast_axolotl",
        "__qualname__": name,
    }
    # An abstract class is made by its own metaclass.
    make = cast("Callable[..., type[Made]]", type(cls))
    return make(name, bases, members)
