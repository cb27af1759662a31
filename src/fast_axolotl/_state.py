# SPDX-License-Identifier: Apache-2.0
"""Where in the data a run is: small dicts of plain values, to be kept as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

VERSION: Final = 1
_HASHED_BYTES: Final = 16 << 10


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
    """

    fingerprint: str
    epoch: int
    batch: int
    lanes: int
    batch_size: int
    shuffle: bool
    seed: int
    window: int

    def to_dict(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self)}


def parse(state: object) -> State:
    """Make a ``State`` of a dict.

    Raises:
        ValueError: The dict is no state, or one of another version.
        TypeError: Not a dict.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"a state is a dict, not {type(state).__name__}")
    version = state.get("version")
    if version != VERSION:
        raise ValueError(
            f"the state has version {version!r}, and this release knows {VERSION}"
        )
    values: dict[str, Any] = {}
    for name, kind in (
        ("fingerprint", str),
        ("epoch", int),
        ("batch", int),
        ("lanes", int),
        ("batch_size", int),
        ("shuffle", bool),
        ("seed", int),
        ("window", int),
    ):
        value = state.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(
                f"the state's {name!r} is {value!r}, expected {kind.__name__}"
            )
        values[name] = value
    for name in ("epoch", "batch", "window"):
        if values[name] < 0:
            raise ValueError(
                f"the state's {name!r} is {values[name]}, expected 0 or more"
            )
    for name in ("lanes", "batch_size"):
        if values[name] < 1:
            raise ValueError(
                f"the state's {name!r} is {values[name]}, expected 1 or more"
            )
    return State(**values)


def fingerprint(files: Iterable[str]) -> str:
    """Return what tells the files apart from others, wherever they are copied to.

    It covers each file's name, relative to the folder they are all in, its size, and its
    first and last 16 KiB, which hold a Parquet or Arrow file's footer.
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
    return digest.hexdigest()


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
    whole = [parse(part) for part in found if "given" not in part]
    merged = [*whole, *_merge_workers([part for part in found if "given" in part])]
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


def _parts(state: object) -> list[Mapping[str, Any]]:
    """The states inside a dict of whatever nesting."""
    if isinstance(state, Mapping):
        if "fingerprint" in state and "version" in state:
            return [state]
        # StatefulDataLoader keeps a worker's iterator and its dataset; both say the same.
        if state.get("fetcher_state") is not None:
            found = _parts(state["fetcher_state"])
            if found:
                return found
        return [part for value in state.values() for part in _parts(value)]
    if isinstance(state, (list, tuple)):
        return [part for value in state for part in _parts(value)]
    return []


def _merge_workers(parts: list[Mapping[str, Any]]) -> list[State]:
    """One state a rank, of what its workers gave."""
    ranks: dict[int, dict[int, Mapping[str, Any]]] = {}
    for part in parts:
        ranks.setdefault(part["rank"], {})[part["worker"]] = part
    merged = []
    for rank, workers in sorted(ranks.items()):
        expected = next(iter(workers.values()))["workers"]
        if sorted(workers) != list(range(expected)):
            raise ValueError(
                f"rank {rank} has states of workers {sorted(workers)}, "
                f"expected all {expected} of them"
            )
        base = parse(workers[0])
        if all(part["finished"] for part in workers.values()):
            merged.append(replace(base, epoch=base.epoch + 1, batch=0))
            continue
        given = sum(part["given"] for part in workers.values())
        merged.append(replace(base, batch=base.batch + workers[0]["world"] * given))
    return merged
