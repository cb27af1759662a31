# SPDX-License-Identifier: Apache-2.0
"""The kinds of rounds of ``soak.py``: what is done to a data set, and how it is read."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soak_data import (
    Data,
    cases_with_lists,
    make_data,
    some_cases,
    some_options,
    some_shuffle,
)
from soak_processes import Child, WrongError, run
from soak_verdicts import (
    check_damaged,
    check_each_once,
    check_error,
    check_no_error,
    check_rows,
)


@dataclass
class Round:
    rng: random.Random
    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def data(self, files: int = 5, rows: int = 3000) -> Data:
        return make_data(self.folder, self.rng, some_cases(self.rng, files), rows)


def one_pass(r: Round) -> tuple[str, int]:
    """Read all files once, to any output."""
    data = r.data()
    options = some_options(r.rng, len(data.rows))
    job = {"mode": "reader", "paths": data.paths, "options": options}
    if r.rng.random() < 0.3:
        columns = r.rng.sample(list(data.rows[0]), r.rng.randrange(1, 3))
        options["columns"] = columns = ["id", *(c for c in columns if c != "id")]
        data.check_by(columns)
    elif "ids" in data.rows[0] and r.rng.random() < 0.3:
        job["pad"] = True
        options["output"] = "numpy"
    outcome = run(job, r.cache)
    check_no_error(outcome)
    check_rows(outcome.rows, data.pairs)
    return "right rows", len(data.rows)


def packed_epoch(r: Round) -> tuple[str, int]:
    """Pack an epoch's tokens, break off anywhere and go on in another process."""
    data = make_data(r.folder, r.rng, cases_with_lists(r.rng, 4), 2000)
    options = some_options(r.rng, len(data.rows))
    options.update(some_shuffle(r.rng), output="numpy", batch_size=r.rng.randrange(1, 9))
    job = {
        "mode": "epoch",
        "paths": data.paths,
        "options": options,
        "pack": r.rng.choice([64, 256]),
        "epoch": r.rng.randrange(3),
        "states": True,
    }
    tokens: list[int] = []
    state = None
    while True:
        last = r.rng.random() < 0.4
        steps = None if last else r.rng.randrange(1, 20)
        outcome = run({**job, "steps": steps, "state": state}, r.cache)
        check_no_error(outcome)
        tokens += [token for batch in outcome.batches for token in batch["tokens"]]
        if last or len(outcome.batches) < steps:
            break
        state = outcome.batches[-1]["state"]
        if state["epoch"] != job["epoch"]:
            break  # that was the last batch
    want = [token for row in data.rows for token in row["ids"]]
    check_each_once(tokens, want)
    return "right rows", len(data.rows)


@dataclass
class Run:
    """An epoch that is read in parts, each by a number of ranks at the same time."""

    r: Round
    job: dict[str, Any]
    total: int  # batches
    begin: int = 0  # the batch that comes next
    state: Any = None
    given: dict[int, list[Any]] = field(default_factory=dict)  # the rows of each batch

    def read(self, world: int, steps: int | None, *, kill: bool) -> None:
        """Read on: so many steps, or to the end, or until all are killed."""
        children = []
        for rank in range(world):
            options = {**self.job["options"], "distributed": (rank, world)}
            own = {"options": options, "steps": None if kill else steps}
            children.append(Child({**self.job, **own, "state": self.state}, self.r.cache))
        if kill:
            time.sleep(self.r.rng.uniform(0.05, 0.6))
            for child in children:
                child.kill()
        outcomes = [child.finish() for child in children]
        for outcome in outcomes:
            check_no_error(outcome)
        if kill:
            # Up to the step that all ranks have told of.
            steps = min(steps, *(len(outcome.batches) for outcome in outcomes))
        for rank, outcome in enumerate(outcomes):
            for i, batch in enumerate(outcome.batches[:steps]):
                number = self.begin + i * world + rank
                if number in self.given:
                    raise WrongError("quiet losses", f"batch {number} was given twice")
                self.given[number] = batch["rows"]
        if steps:
            self._go_on(outcomes[0].batches[steps - 1]["state"], steps * world)

    def _go_on(self, state: dict[str, Any], batches: int) -> None:
        self.state = state
        self.begin += batches
        if state["batch"] != self.begin:
            seen = f"the state is of batch {state['batch']}, not {self.begin}"
            raise WrongError("quiet losses", seen)


def resumed_epoch(r: Round, *, kill: bool = False) -> tuple[str, int]:
    """Read an epoch in parts, each on another number of ranks in new processes."""
    data = r.data()
    options = {**some_options(r.rng, len(data.rows)), **some_shuffle(r.rng)}
    options.update(tail="keep", batch_size=r.rng.randrange(3, 100))
    job = {
        "mode": "epoch",
        "paths": data.paths,
        "options": options,
        "epoch": r.rng.randrange(3),
        "states": True,
        "sleep": 0.001 if kill else 0,
    }
    run_on = Run(r, job, math.ceil(len(data.rows) / options["batch_size"]))
    worlds = [r.rng.randrange(1, 4) for _ in range(6)]
    for world in worlds[:-1]:
        # Never to the very end, where some ranks give a batch more than others.
        most = (run_on.total - run_on.begin) // world - 1
        if most < 1:
            break
        run_on.read(world, r.rng.randrange(1, most + 1), kill=kill)
    run_on.read(worlds[-1], None, kill=False)
    if sorted(run_on.given) != list(range(run_on.total)):
        seen = f"batches {sorted(run_on.given)} of {run_on.total}"
        raise WrongError("quiet losses", seen)
    got = [row for rows in run_on.given.values() for row in rows]
    check_each_once(got, data.pairs)
    # The same batches as in one go, in one process. Without a number of lanes it is that
    # of the ranks that began, which is in the state.
    lanes = run_on.state["lanes"] if run_on.state else worlds[-1]
    alone = {**options, "num_lanes": options["num_lanes"] or lanes, "distributed": "off"}
    outcome = run({**job, "options": alone, "states": False, "sleep": 0}, r.cache)
    check_no_error(outcome)
    for number, batch in enumerate(outcome.batches):
        check_rows(run_on.given[number], batch["rows"])
    return "right rows", len(data.rows)


def killed_epoch(r: Round) -> tuple[str, int]:
    """The same, where all processes are killed at any moment, indexing among them."""
    return resumed_epoch(r, kill=True)


def loader_epoch(r: Round) -> tuple[str, int]:
    """Read an epoch through torch's loader with workers, and go on with fewer or more."""
    data = r.data(rows=1000)
    options = {**some_options(r.rng, len(data.rows)), **some_shuffle(r.rng)}
    options.update(batch_size=r.rng.randrange(3, 100), output="python")
    total = math.ceil(len(data.rows) / options["batch_size"])
    steps = r.rng.randrange(total)
    job = {"mode": "epoch", "paths": data.paths, "options": options, "states": True}
    workers = r.rng.sample(range(1, 4), 2)
    first = run({**job, "workers": workers[0], "steps": steps}, r.cache)
    check_no_error(first)
    state = first.batches[-1]["state"] if first.batches else None
    second = run({**job, "workers": workers[1], "state": state}, r.cache)
    check_no_error(second)
    check_each_once(first.rows + second.rows, data.pairs)
    return "right rows", len(data.rows)


def damage_bytes(kind: str, path: str, rng: random.Random) -> None:
    data = bytearray(Path(path).read_bytes())
    at = rng.randrange(len(data))
    if kind == "truncated":
        del data[at:]
    elif kind == "bit":
        data[at] ^= 1 << rng.randrange(8)
    else:
        size = min(rng.randrange(1, 5000), len(data) - at)
        data[at : at + size] = bytes(size)
    Path(path).write_bytes(data)


def damaged(kind: str) -> Callable[[Round], tuple[str, int]]:
    def read_damaged(r: Round) -> tuple[str, int]:
        data = r.data(files=r.rng.choice([1, 1, 3]), rows=1500)
        data.loose = True
        data.check_by(list(data.rows[0]))
        path = r.rng.choice(data.paths)
        damage_bytes(kind, path, r.rng)
        options = {**some_options(r.rng, len(data.rows)), "output": "python"}
        job = {"mode": "reader", "paths": data.paths, "options": options}
        outcome = run({**job, "loose": True}, r.cache)
        return check_damaged(outcome, data, path, r.cache), len(data.rows)

    read_damaged.__doc__ = f"Read files of which one was damaged before: {kind}."
    return read_damaged


def changed_while_read(change: str) -> Callable[[Round], tuple[str, int]]:
    def read_changed(r: Round) -> tuple[str, int]:
        data = r.data(files=4, rows=6000)
        options = {**some_options(r.rng, len(data.rows)), "batch_size": 50}
        options.update(output="python", read_ahead_bytes=r.rng.choice([1, 100_000]))
        mode = r.rng.choice(["reader", "epoch"])
        if mode == "epoch":
            options.update(some_shuffle(r.rng))
        job = {"mode": mode, "paths": data.paths, "options": options}
        job["pause_after"] = r.rng.randrange(1, 1 + max(1, len(data.rows) // 60))
        path = r.rng.choice(data.paths)

        def meddle() -> None:
            if change == "deleted":
                Path(path).unlink()
            elif change == "grown":
                with open(path, "ab") as file:  # noqa: PTH123
                    file.write(Path(path).read_bytes()[:1000])
            else:
                os.truncate(path, r.rng.randrange(os.path.getsize(path)))  # noqa: PTH202

        outcome = run(job, r.cache, meddle)
        verdict = "right rows"
        if outcome.error:
            check_error(outcome, [path])
            verdict = "right error"
        if mode == "reader":
            got = outcome.rows
            check_rows(got, data.pairs[: len(got)] if outcome.error else data.pairs)
        else:
            wanted = {tuple(pair) for pair in data.pairs}
            got = [tuple(pair) for pair in outcome.rows]
            if len(set(got)) < len(got) or not set(got) <= wanted:
                raise WrongError(
                    "quiet losses", "rows that are twice there, or of no file"
                )
            if not outcome.error:
                check_each_once(outcome.rows, data.pairs)
        return verdict, len(data.rows)

    read_changed.__doc__ = f"Read files of which one is {change} meanwhile."
    return read_changed


def damaged_index(r: Round) -> tuple[str, int]:
    """Damage what is kept of the files, and read on: it is found anew."""
    data = r.data(rows=1000)
    options = {**some_options(r.rng, len(data.rows)), **some_shuffle(r.rng)}
    job = {"mode": "epoch", "paths": data.paths, "options": options}
    check_no_error(run(job, r.cache))
    for path in sorted((r.cache / "index").glob("*")):
        if path.stat().st_size > 0:
            damage_bytes(r.rng.choice(["truncated", "bit", "zeros"]), str(path), r.rng)
    outcome = run(job, r.cache)
    check_no_error(outcome)
    check_each_once(outcome.rows, data.pairs)
    return "right rows", len(data.rows)


def other_files(r: Round) -> tuple[str, int]:
    """Go on from a state with files that are not those it was saved of: a ValueError."""
    data = r.data(rows=1000)
    options = {**some_options(r.rng, len(data.rows)), **some_shuffle(r.rng)}
    options["batch_size"] = 5
    job = {"mode": "epoch", "paths": data.paths, "options": options, "states": True}
    outcome = run({**job, "steps": 1}, r.cache)
    check_no_error(outcome)
    path = Path(r.rng.choice(data.paths))
    if r.rng.random() < 0.5:
        path.write_bytes(path.read_bytes() + b"\n")
    else:
        content = bytearray(path.read_bytes())
        content[r.rng.randrange(min(len(content), 16_000))] ^= 1
        path.write_bytes(content)
    again = run({**job, "state": outcome.batches[0]["state"]}, r.cache)
    if not again.error:
        raise WrongError("quiet losses", "went on with other files")
    if not {"ValueError", "OSError"} & set(again.error):
        raise WrongError("wrong error", f"{again.error[0]}: {again.text}")
    return "right error", len(data.rows)


# What a round does, and how often among others.
KINDS: dict[str, tuple[Callable[[Round], tuple[str, int]], int]] = {
    "one pass, to any output": (one_pass, 5),
    "an epoch in parts, on other ranks each": (resumed_epoch, 6),
    "an epoch whose processes are killed": (killed_epoch, 4),
    "an epoch in parts, packed": (packed_epoch, 3),
    "an epoch in parts, with loader workers": (loader_epoch, 1),
    "a file cut short": (damaged("truncated"), 6),
    "a bit turned over": (damaged("bit"), 6),
    "a run of zeros": (damaged("zeros"), 4),
    "a file cut short while it is read": (changed_while_read("truncated"), 3),
    "a file deleted while it is read": (changed_while_read("deleted"), 2),
    "a file that grows while it is read": (changed_while_read("grown"), 2),
    "a damaged index": (damaged_index, 2),
    "a state of other files": (other_files, 2),
}
