# SPDX-License-Identifier: Apache-2.0
"""How far DataLoader workers are, for the process that started them."""

from __future__ import annotations

import sys
from typing import Any, Final

from fast_axolotl import _topology
from fast_axolotl._stats import Stats

# Workers whose numbers reach that process.
_MAX_WORKERS: Final = 256
_FIELDS: Final = Stats.__slots__


class Board:
    """Where workers write down how far they are, for the process that started them.

    It is memory that torch shares with workers, where torch is; each has its own place.
    """

    def __init__(self) -> None:
        torch = sys.modules.get("torch")
        self._memory: Any = None
        if torch is not None:
            numbers = _MAX_WORKERS * len(_FIELDS)
            self._memory = torch.zeros(numbers, dtype=torch.float64).share_memory_()

    def __getstate__(self) -> dict[str, Any]:
        return {"_memory": self._memory if _topology.is_spawning() else None}

    def _place(self, worker: int) -> Any:  # noqa: ANN401  (an array of ctypes)
        if self._memory is None or worker >= _MAX_WORKERS:
            return None
        import ctypes  # only where there are workers

        size = ctypes.sizeof(ctypes.c_double) * len(_FIELDS)
        address = self._memory.data_ptr() + worker * size
        return (ctypes.c_double * len(_FIELDS)).from_address(address)

    def write(self, worker: int, stats: Stats) -> None:
        """Write down a worker's numbers."""
        place = self._place(worker)
        if place is not None:
            place[:] = [getattr(stats, name) for name in _FIELDS]

    def total(self, workers: int) -> Stats:
        """Return the sums over some workers, of times that run side by side the mean."""
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
