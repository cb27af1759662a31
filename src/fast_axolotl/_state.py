# SPDX-License-Identifier: Apache-2.0
"""Where in the data a run is: small dicts of plain values, to be kept as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from fast_axolotl._turns import Cursor, Lanes

VERSION: Final = 1
_HASHED_BYTES: Final = 16 << 10
# What the core counts with: nothing beyond it is anybody's position.
_BOUNDS: Final = {
    "epoch": (0, 1 << 62),
    "batch": (0, 1 << 62),
    "lanes": (1, (1 << 31) - 1),
    "batch_size": (1, (1 << 31) - 1),
    "seed": (0, (1 << 64) - 1),
    "window": (0, (1 << 31) - 1),
}


@dataclass(frozen=True, slots=True)
class State:
    """A position in an epoch, and all that the epoch's order depends on.

    Attributes:
        fingerprint: The files' names, sizes and a hash of their starts and ends.
        epoch: The epoch, from 0.
        batch: The batch that comes next, counted over all ranks, from 0.
        lanes: The number of lanes that the epoch's rows are cut into.
        batch_size: Rows in a batch.
        shuffle: Whether the order is shuffled.
        seed: The seed of the shuffle.
        window: Rows that are shuffled among themselves; 0 where nothing is.
        pack: What decides how rows are packed; empty where they are not.
        cursors: Where rows are packed, how far each lane was at some batch up to
            ``batch``: its batches, the unit, and the packed rows given of it. What came
            after that follows from the lengths of all sequences.
    """

    fingerprint: str
    epoch: int
    batch: int
    lanes: int
    batch_size: int
    shuffle: bool
    seed: int
    window: int
    pack: str = ""
    cursors: tuple[Cursor, ...] = ()

    def next_epoch(self, batch: int = 0) -> State:
        """Return the state in front of the epoch after this one."""
        return replace(
            self,
            epoch=self.epoch + 1,
            batch=batch,
            cursors=tuple(Cursor() for _ in self.cursors),
        )

    def to_dict(self) -> dict[str, Any]:
        state = {"version": VERSION, **asdict(self)}
        if self.pack:
            state["cursors"] = [list(cursor) for cursor in self.cursors]
        else:
            del state["pack"], state["cursors"]
        return state


def parse(state: object) -> State:
    """Make a ``State`` of a dict.

    Raises:
        ValueError: The dict is no state, or one of another version.
        TypeError: Not a dict.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"a state is a dict, not {type(state).__name__}")
    version = state.get("version")
    if type(version) is not int or version != VERSION:
        raise ValueError(
            f"the state has version {version!r}, and this release knows {VERSION}"
        )
    values: dict[str, Any] = {
        name: _integer(state, name, *bounds) for name, bounds in _BOUNDS.items()
    }
    for name, kind in (("fingerprint", str), ("shuffle", bool)):
        value = state.get(name)
        if type(value) is not kind:
            raise ValueError(
                f"the state's {name!r} is {value!r}, expected {kind.__name__}"
            )
        values[name] = value
    values["pack"] = state.get("pack", "")
    if type(values["pack"]) is not str:
        raise ValueError(f"the state's 'pack' is {values['pack']!r}, expected str")
    if values["pack"]:
        values["cursors"] = _cursors(state.get("cursors"), values["lanes"])
        if values["batch"] < sum(cursor.number for cursor in values["cursors"]):
            raise ValueError(
                "the state's 'cursors' are of a later batch than its 'batch'"
            )
    return State(**values)


def _cursors(value: object, lanes: int) -> tuple[Cursor, ...]:
    if not isinstance(value, (list, tuple)) or len(value) != lanes:
        raise ValueError(
            f"the state's 'cursors' are {value!r}, expected one for each of {lanes} lanes"
        )
    return tuple(_cursor(cursor) for cursor in value)


def _cursor(value: object) -> Cursor:
    if (
        not isinstance(value, (list, tuple))
        or len(value) != len(Cursor._fields)
        or not all(type(n) is int and 0 <= n < 1 << 62 for n in value)
    ):
        raise ValueError(f"the state has the cursor {value!r}, expected three int")
    return Cursor(*value)


def _integer(state: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = state.get(name)
    if type(value) is not int:
        raise ValueError(f"the state's {name!r} is {value!r}, expected int")
    if not least <= value <= most:
        raise ValueError(
            f"the state's {name!r} is {value}, expected from {least} to {most}"
        )
    return value


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What one worker of a DataLoader gave of a run that began at `start`."""

    start: State
    given: int
    finished: bool
    rank: int
    world: int
    worker: int
    workers: int
    # How far its own lanes are, where only reading tells.
    own: Lanes | None = None

    def to_dict(self) -> dict[str, Any]:
        own = self.own
        return {
            **self.start.to_dict(),
            **{name: getattr(self, name) for name in _WORKER_FIELDS},
            **({} if own is None else {"own": [[lane, *c] for lane, c in own]}),
        }


_WORKER_FIELDS: Final = ("given", "finished", "rank", "world", "worker", "workers")


def parse_worker(state: Mapping[str, Any]) -> WorkerState:
    """Make a ``WorkerState`` of a dict.

    Raises:
        ValueError: The dict is no state of a worker, or one of another version.
    """
    finished = state.get("finished")
    if type(finished) is not bool:
        raise ValueError(f"the state's 'finished' is {finished!r}, expected bool")
    world = _integer(state, "world", 1, 1 << 31)
    workers = _integer(state, "workers", 1, 1 << 31)
    return WorkerState(
        parse(state),
        _integer(state, "given", 0, 1 << 62),
        finished,
        _integer(state, "rank", 0, world - 1),
        world,
        _integer(state, "worker", 0, workers - 1),
        workers,
        _own(state),
    )


def _own(state: Mapping[str, Any]) -> Lanes | None:
    value = state.get("own")
    if value is None:
        return None
    lanes = _integer(state, "lanes", *_BOUNDS["lanes"])
    if not isinstance(value, (list, tuple)) or not all(
        isinstance(part, (list, tuple))
        and len(part) == 1 + len(Cursor._fields)
        and type(part[0]) is int
        and 0 <= part[0] < lanes
        for part in value
    ):
        raise ValueError(f"the state's 'own' is {value!r}, expected lanes and cursors")
    return tuple((part[0], _cursor(part[1:])) for part in value)


def advanced(
    cursors: tuple[Cursor, ...], own: Iterable[tuple[int, Cursor]]
) -> tuple[Cursor, ...]:
    """Return the cursors of all lanes with those of some lanes further on."""
    lanes = list(cursors)
    for lane, cursor in own:
        lanes[lane] = cursor
    return tuple(lanes)


def _merge_lanes(parts: list[WorkerState], steps: int) -> State:
    """One state of workers that each packed lanes of their own."""
    start = parts[0].start
    # One that has not begun knows of no lanes yet.
    if any(
        part.start != start or (part.own is None and (part.given or part.finished))
        for part in parts
    ):
        raise ValueError(
            "the states of the workers do not belong together: save all workers after "
            "the same step"
        )
    if steps:
        raise ValueError(
            "this state was saved between two snapshots, and which lanes gave the "
            "batches since then is not known: use snapshot_every_n_steps=1, or index "
            "the lengths"
        )
    if all(part.finished for part in parts):
        return start.next_epoch()
    cursors = start.cursors
    for part in parts:
        cursors = advanced(cursors, part.own or ())
    return replace(start, batch=sum(cursor.number for cursor in cursors), cursors=cursors)


def fingerprint(files: Iterable[str], left_out: str) -> str:
    """Return what tells the files apart from others, wherever they are copied to.

    It covers each file's name, relative to the folder they are all in, its size, and its
    first and last 16 KiB, which hold a Parquet or Arrow file's footer. Behind a hyphen
    it says which rows are left out beforehand, where any are.
    """
    import hashlib  # takes longer to import than all of this package

    names = list(files)
    folder = os.path.commonpath([Path(name).absolute().parent for name in names])
    digest = hashlib.blake2b(digest_size=16)
    for name in names:
        path = Path(name).absolute()
        relative = os.path.relpath(path, folder)
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(f"{len(os.fsencode(relative))} {size} ".encode())
            digest.update(os.fsencode(relative))
            digest.update(file.read(_HASHED_BYTES))
            if size > _HASHED_BYTES:
                file.seek(max(size - _HASHED_BYTES, _HASHED_BYTES))
                digest.update(file.read(_HASHED_BYTES))
    return with_left_out(digest.hexdigest(), left_out)


def with_left_out(fingerprint: str, left_out: str) -> str:
    """Return a fingerprint that also says which rows are left out beforehand."""
    return f"{fingerprint}-{left_out}" if left_out else fingerprint


def other_files(mine: str, its: object, files: Iterable[str]) -> str:
    """Return what a state of another fingerprint was saved with, as its error says it."""
    if str(its).partition("-")[0] == mine.partition("-")[0]:
        return (
            "rows left out beforehand than are here: let FAST_AXOLOTL_CACHE name the "
            "folder of the indexes that it was saved with, or validate the files again "
            "if they had been validated before, with `fast-axolotl validate --index`"
        )
    names = [str(Path(name).absolute()) for name in files]
    folder = os.path.commonpath([Path(name).parent for name in names])
    told = f"{len(names)} in {folder!r}" if len(names) > 1 else repr(names[0])
    return f"files (names, sizes or content) than {told}"


def merge_states(states: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Join states that the ranks of one run saved, or that its workers did.

    Args:
        states: The states of ``state_dict()`` on each rank, after the same number of
            steps; or dicts of torchdata's ``StatefulDataLoader``, whose workers' states
            are found inside.

    Returns:
        One state, to be loaded by any number of ranks and workers.

    Raises:
        ValueError: No state, or states that do not belong together.
    """
    found = [part for state in states for part in _parts(state)]
    if not found:
        raise ValueError("there is no state among these")
    merged = [part for part in found if isinstance(part, State)]
    merged += _merge_workers([part for part in found if isinstance(part, WorkerState)])
    first = merged[0]
    for other in merged[1:]:
        if other != first:
            raise ValueError(
                "the states do not belong together: one is at epoch "
                f"{first.epoch}, batch {first.batch}, another at epoch {other.epoch}, "
                f"batch {other.batch}, or they differ in "
                f"{', '.join(_differences(first, other))}; save them after the same step"
            )
    return first.to_dict()


def _differences(a: State, b: State) -> list[str]:
    left, right = asdict(a), asdict(b)
    return [name for name in left if left[name] != right[name]] or ["nothing"]


def _parts(state: object) -> list[State | WorkerState]:
    """The states inside a dict of whatever nesting."""
    if isinstance(state, Mapping):
        if "fingerprint" in state and "version" in state:
            return [parse_worker(state) if "given" in state else parse(state)]
        if "_snapshot" in state:
            return [*_loader_state(state)]
        # StatefulDataLoader keeps a worker's iterator and its dataset; both say the same.
        if state.get("fetcher_state") is not None:
            found = _parts(state["fetcher_state"])
            if found:
                return found
        return [part for value in state.values() for part in _parts(value)]
    if isinstance(state, (list, tuple)):
        return [part for value in state for part in _parts(value)]
    return []


def _loader_state(state: Mapping[str, Any]) -> list[State]:
    """What a StatefulDataLoader with workers says.

    It is a snapshot of its workers, and how many batches it gave since then.
    """
    parts = _parts(state["_snapshot"])
    workers = [part for part in parts if isinstance(part, WorkerState)]
    steps = state.get("_steps_since_snapshot", 0)
    merged = _merge_workers(workers, steps)
    if state.get("_iterator_finished") is True:
        merged = [workers[0].start.next_epoch() for _ in merged]
    return merged


def _merge_workers(parts: list[WorkerState], steps: int = 0) -> list[State]:
    """One state a rank, of what its workers gave, and `steps` batches after that."""
    ranks: dict[int, dict[int, WorkerState]] = {}
    for part in parts:
        known = ranks.setdefault(part.rank, {}).setdefault(part.worker, part)
        if known != part:
            raise ValueError(
                f"there are two states of worker {part.worker} of rank {part.rank}, and "
                "they differ: save all workers after the same step"
            )
    merged = []
    for rank, workers in sorted(ranks.items()):
        first = next(iter(workers.values()))
        if sorted(workers) != list(range(first.workers)):
            raise ValueError(
                f"rank {rank} has states of workers {sorted(workers)}, "
                f"expected all {first.workers} of them"
            )
        if any(part.own is not None for part in workers.values()):
            merged.append(_merge_lanes(list(workers.values()), steps))
            continue
        given = sum(part.given for part in workers.values())
        for worker, part in workers.items():
            # They take turns, from the first one on.
            turns = (given - worker + first.workers - 1) // first.workers
            mine = (part.start, part.world, part.workers, part.given)
            if mine != (first.start, first.world, first.workers, turns):
                raise ValueError(
                    f"the states of the workers of rank {rank} do not belong together: "
                    "save all workers after the same step; where one of them left out a "
                    "whole batch of bad rows, load the states as they are, with as many "
                    "workers, or have bad rows left out of the plan beforehand, by "
                    "`fast-axolotl validate --index`"
                )
        if all(part.finished for part in workers.values()):
            merged.append(first.start.next_epoch())
        else:
            batch = first.start.batch + first.world * (given + steps)
            merged.append(replace(first.start, batch=batch))
    return merged
