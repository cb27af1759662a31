# SPDX-License-Identifier: Apache-2.0
"""How far DataLoader workers are, for the process that started them."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from fast_axolotl import _topology
from fast_axolotl._stats import Stats

# Workers whose numbers reach that process.
_MAX_WORKERS: Final = 256
_FIELDS: Final = Stats.__slots__


def _shared_memory() -> Any:  # noqa: ANN401  (a tensor)
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    numbers = _MAX_WORKERS * len(_FIELDS)
    return torch.zeros(numbers, dtype=torch.float64).share_memory_()


class Board:
    """Where workers write down how far they are, for the process that started them.

    It is memory that torch shares with workers, where torch is; each has its own place.
    """

    def __init__(self) -> None:
        self._memory = _shared_memory()
        self._owner = os.getpid()
        _topology.owned.add(self)

    def __getstate__(self) -> dict[str, Any]:
        if not _topology.is_spawning():
            return {}
        self.own()
        return {"_memory": self._memory, "_owner": self._owner}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._memory = state["_memory"] if state else _shared_memory()
        self._owner = state.get("_owner", os.getpid())
        _topology.owned.add(self)

    def own(self) -> None:
        """Part from the process that this one was started by, unless this is a worker."""
        if self._owner != os.getpid() and not _topology.in_worker():
            self._memory = _shared_memory()
            self._owner = os.getpid()

    def _place(self, worker: int) -> Any:  # noqa: ANN401  (an array of ctypes)
        if self._memory is None or worker >= _MAX_WORKERS:
            return None
        import ctypes  # only where there are workers

        size = ctypes.sizeof(ctypes.c_double) * len(_FIELDS)
        address = self._memory.data_ptr() + worker * size
        return (ctypes.c_double * len(_FIELDS)).from_address(address)

    def write(self, worker: int, stats: Stats, *, batches: int = 0) -> None:
        """Write down a worker's numbers, and as many more batches."""
        place = self._place(worker)
        if place is not None:
            place[:] = [
                getattr(stats, name) + (batches if name == "batches" else 0)
                for name in _FIELDS
            ]

    def total(self, workers: int) -> Stats:
        """Return the sums over some workers, of times that run side by side the mean."""
        self.own()
        total = Stats()
        for worker in range(workers):
            place = self._place(worker)
            for name, value in zip(_FIELDS, place or (), strict=False):
                whole = isinstance(getattr(total, name), int)
                setattr(
                    total, name, getattr(total, name) + (int(value) if whole else value)
                )
        total.seconds /= max(workers, 1)
        total.waited /= max(workers, 1)
        return total
