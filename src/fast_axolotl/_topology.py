# SPDX-License-Identifier: Apache-2.0
"""Who else reads the same data: ranks, DataLoader workers, and which pass it is."""

from __future__ import annotations

import os
import sys
import weakref
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

# "auto", "off", (rank, world), or a torch.distributed process group.
Distributed: TypeAlias = "str | tuple[int, int] | Any"

_MAX_WORKERS: Final = 1024
# The places of what all processes share.
_GENERATION: Final = 0
_EPOCH: Final = 1
_START: Final = 2
_LANES: Final = 3
_WINDOW: Final = 4
_MAIN: Final = 5
_WORKERS: Final = 6
# A place from _MAIN on holds the number of passes with the one that its process started
# last, and in the low bits how many workers read that: one number is written at once.
_BITS: Final = 11


@dataclass(frozen=True, slots=True)
class Topology:
    """This process among all that read one dataset."""

    rank: int = 0
    world: int = 1
    worker: int = 0
    workers: int = 1

    @property
    def alone(self) -> bool:
        return self.world == 1 and self.workers == 1


def check(distributed: object) -> Distributed:
    """Check the argument ``distributed``.

    Raises:
        ValueError: A word other than "auto" and "off", or a rank outside its world.
        TypeError: Neither a word, nor a pair of integers, nor a process group.
    """
    if isinstance(distributed, str):
        if distributed not in {"auto", "off"}:
            raise ValueError(
                'distributed must be "auto", "off", (rank, world) or a process group, '
                f"not {distributed!r}"
            )
        return distributed
    if isinstance(distributed, (tuple, list)):
        if len(distributed) != 2 or not all(
            isinstance(n, int) and not isinstance(n, bool) for n in distributed
        ):
            raise TypeError("distributed must be a pair of int: (rank, world)")
        rank, world = distributed
        if not 0 <= rank < world < 1 << 31:
            raise ValueError(
                f"distributed=({rank}, {world}): the rank must be from 0 to world - 1"
            )
        return rank, world
    if hasattr(distributed, "rank") and hasattr(distributed, "size"):
        return distributed
    raise TypeError(
        'distributed must be "auto", "off", (rank, world) or a process group, '
        f"not {type(distributed).__name__}"
    )


def rank_and_world(distributed: Distributed) -> tuple[int, int]:
    """Return this process's rank and the number of ranks, as of now.

    Raises:
        RuntimeError: "auto" while accelerate is in charge, which splits the data itself.
    """
    if isinstance(distributed, tuple):
        return distributed
    if not isinstance(distributed, str):
        return distributed.rank(), distributed.size()
    if distributed == "off":
        return 0, 1
    _refuse_accelerate()
    torch_distributed = sys.modules.get("torch.distributed")
    if (
        torch_distributed is not None
        and torch_distributed.is_available()
        and torch_distributed.is_initialized()
    ):
        return torch_distributed.get_rank(), torch_distributed.get_world_size()
    # What torchrun and its like tell the processes that they start.
    try:
        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    except (KeyError, ValueError):
        return 0, 1
    return (rank, world) if 0 <= rank < world else (0, 1)


def _refuse_accelerate() -> None:
    state_module = sys.modules.get("accelerate.state")
    if state_module is None:
        return
    shared = state_module.PartialState._shared_state  # noqa: SLF001
    if shared and shared.get("num_processes", 1) > 1:
        raise RuntimeError(
            'accelerate splits data over the ranks itself, so distributed="auto" would '
            "split it twice: use ds.to_hf() with accelerator.prepare(), or pass "
            'distributed=(rank, world) (or "off" for all rows on every rank) and do not '
            "prepare the loader"
        )


def worker_and_workers() -> tuple[int, int]:
    """Return this DataLoader worker's number and how many there are."""
    torch_data = sys.modules.get("torch.utils.data")
    info = torch_data.get_worker_info() if torch_data is not None else None
    return (info.id, info.num_workers) if info is not None else (0, 1)


def in_worker() -> bool:
    """Whether this process is a DataLoader's worker."""
    torch_data = sys.modules.get("torch.utils.data")
    return torch_data is not None and torch_data.get_worker_info() is not None


def is_spawning() -> bool:
    """Whether something is being pickled on the way to a process that is started."""
    context = sys.modules.get("multiprocessing.context")
    return context is not None and context.get_spawning_popen() is not None


def _share(numbers: list[int]) -> Any:  # noqa: ANN401  (a list, or a tensor)
    """The numbers in memory that workers share, where there is torch to start any."""
    torch = sys.modules.get("torch")
    if torch is None:
        return numbers
    return torch.tensor(numbers, dtype=torch.int64).share_memory_()


class PassCounter:
    """Counts the passes over a dataset, for all processes that read it together.

    Each process writes to a place of its own, so that none waits for another: a
    DataLoader starts every worker once for each pass. Who finds that a pass of as many
    workers has begun without it joins that one, everyone else begins the next. The
    numbers live in memory that torch shares with workers, where torch is; a dataset
    without torch has no workers.
    """

    def __init__(self) -> None:
        self._shared: Any = _share([0] * (_WORKERS + _MAX_WORKERS))
        self._owner = os.getpid()
        owned.add(self)

    def __getstate__(self) -> dict[str, Any]:
        # Shared memory reaches the workers; a pickle for later gets the plain numbers.
        if is_spawning():
            self.own()
            return {"_shared": self._shared, "_owner": self._owner}
        return {"_shared": self._numbers(), "_owner": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        shared = state["_shared"]
        self._shared = _share(shared) if isinstance(shared, list) else shared
        self._owner = state["_owner"] or os.getpid()
        owned.add(self)

    def copy(self) -> PassCounter:
        """Return a counter of its own that goes on from the same numbers."""
        other = PassCounter()
        other._shared = _share(self._numbers())
        return other

    def own(self) -> None:
        """Part from the process that this one was started by, unless this is a worker.

        The ranks that a script starts count for themselves and their own workers.
        """
        if self._owner != os.getpid() and not in_worker():
            self._shared = _share(self._numbers())
            self._owner = os.getpid()

    def _numbers(self) -> list[int]:
        numbers = self._shared
        return [*numbers] if isinstance(numbers, list) else numbers.tolist()

    def _get(self, place: int) -> int:
        return int(self._shared[place])

    def _latest(self) -> int:
        return max(self._numbers()[_MAIN:])

    @property
    def generation(self) -> int:
        """How often the count was set."""
        return self._get(_GENERATION)

    @property
    def passes(self) -> int:
        """Passes that were started since the count was set."""
        return self._latest() >> _BITS

    @property
    def workers(self) -> int:
        """Workers that read the latest pass; 0: this process did, or there was none."""
        return self._latest() & ((1 << _BITS) - 1)

    @property
    def first_epoch(self) -> int:
        """The epoch of the first pass since the count was set."""
        return self._get(_EPOCH)

    @property
    def first_batch(self) -> int:
        """The batch that the first pass since the count was set begins with."""
        return self._get(_START)

    @property
    def kept(self) -> tuple[int, int] | None:
        """Lanes and window of a state that was loaded, for all passes from then on."""
        lanes = self._get(_LANES)
        return (lanes, self._get(_WINDOW)) if lanes else None

    def keep(self, lanes: int, window: int) -> None:
        """Let all passes have these lanes and this window."""
        self.own()
        self._shared[_WINDOW] = window
        self._shared[_LANES] = lanes

    def set(self, epoch: int, start: int = 0) -> None:
        """Let the next pass be the first one: ``epoch``, from batch ``start`` on."""
        self.own()
        self._shared[_GENERATION] += 1
        self._shared[_EPOCH] = epoch
        self._shared[_START] = start
        for place in range(_MAIN, len(self._shared)):
            if self._shared[place]:
                self._shared[place] = 0

    def next_epoch_is(self, epoch: int) -> None:
        """Let the next pass of this process, a worker, be ``epoch``.

        All workers of a loader are given the same: it does not matter who is last.
        """
        self._shared[_EPOCH] = epoch - self._next()[1]

    def _next(self) -> tuple[int, int, int]:
        """This process's place, its next pass, and how many workers read that."""
        latest = self._latest()
        if not in_worker():
            return _MAIN, latest >> _BITS, 0
        worker, workers = worker_and_workers()
        place = _WORKERS + worker
        if latest == (latest >> _BITS << _BITS) + workers and self._get(place) < latest:
            return place, (latest >> _BITS) - 1, workers
        return place, latest >> _BITS, workers

    def start(self) -> int:
        """Start a pass in this process; return its number since the count was set."""
        self.own()
        place, number, workers = self._next()
        self._shared[place] = ((number + 1) << _BITS) + workers
        return number


# Whatever shares memory with workers.
owned: weakref.WeakSet[Any] = weakref.WeakSet()


def _before_fork() -> None:
    # The workers that a rank is about to fork are to share with it, not with its parent.
    for shared in list(owned):
        shared.own()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
