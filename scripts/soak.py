# SPDX-License-Identifier: Apache-2.0
"""Read random data in random ways, break off, go on, damage it; check every row.

    python scripts/soak.py [--minutes 60] [--seed S] [--report FILE]
    python scripts/soak.py --seed S --round N

Each round makes a data set of random formats, compressions and sizes, does one thing to
it (``KINDS``), and reads it in processes of their own. A row is right if it has just the
values it was written with, comes in its turn, and comes once. Whatever cannot be read
right has to be an error that names the file, behind the rows before it. The report counts
what came of each kind; a round that went wrong is run again by its seed and number.

Where damage makes another valid file, as a changed letter in a text does, the rows must
be those that other readers (the standard library, pyarrow) find in it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soak_child
from formats import COMPRESSIONS, FORMATS, Case, Table

import fast_axolotl

CHILD = Path(soak_child.__file__)
SECONDS = 120  # for one process; the data are small
MOST_TOKENS = 40  # in a list
WORDS = [
    "river",
    "lamp",
    "orbit",
    "Zürich",
    "こんにちは",
    'a "b"',
    "c,d",
    "e\tf",
    "👍",
    "ß",
]
SAMPLED = [f for f in FORMATS if f.names and not f.only_one_row]
LISTLESS = {"csv", "tsv"}
VERDICTS = [
    "right rows",
    "right error",
    "wrong error",
    "crashes",
    "hangs",
    "quiet losses",
]


class WrongError(Exception):
    """A verdict that should not be, and what was seen."""

    def __init__(self, verdict: str, seen: str) -> None:
        super().__init__(seen)
        self.verdict = verdict


# --- data -----------------------------------------------------------------------------


@dataclass
class Data:
    """Files, the rows they were written with, and their checksums in order."""

    paths: list[str]
    rows: list[dict[str, Any]]
    cases: list[Case]
    pairs: list[list[Any]] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)  # the first row of each file
    loose: bool = False  # see soak_child.checksum

    def check_by(self, columns: list[str]) -> None:
        kept = [{name: row[name] for name in columns} for row in self.rows]
        self.pairs = [list(p) for p in soak_child.pairs(kept, loose=self.loose)]


def make_row(number: int, rng: random.Random, length: int, *, lists: bool) -> dict:
    words = " ".join(rng.choices(WORDS, k=rng.randrange(1, length)))
    row = {
        "id": number,
        # Never a number's spelling, nor one of true and false.
        "text": None if rng.random() < 0.05 else "t " + words,
        "x": None if rng.random() < 0.1 else rng.randrange(10_000) / 8 + 0.0625,
    }
    if lists:
        # Each token comes once in the data, and none is the padding.
        first = number * MOST_TOKENS + 1
        row["ids"] = list(range(first, first + rng.randrange(MOST_TOKENS)))
    return row


def make_data(folder: Path, rng: random.Random, cases: list[Case], most: int) -> Data:
    lists = not any(case.format.id in LISTLESS for case in cases)
    length = 2 + int(2 ** rng.uniform(1, 7))
    paths, rows, begins = [], [], []
    for i, case in enumerate(cases):
        begins.append(len(rows))
        count = 1 + int(2 ** rng.uniform(0, math.log2(most)))
        part = [make_row(len(rows) + k, rng, length, lists=lists) for k in range(count)]
        table = Table(list(part[0]), [tuple(row.values()) for row in part])
        paths.append(str(case.write(folder, table, f"part{i}")))
        rows += part
    data = Data(paths, rows, cases, begins=begins)
    data.check_by(list(rows[0]))
    return data


def some_cases(rng: random.Random, most: int) -> list[Case]:
    return [
        Case(rng.choice(SAMPLED), rng.choice(COMPRESSIONS))
        for _ in range(rng.randrange(1, most + 1))
    ]


def some_options(rng: random.Random, rows: int) -> dict[str, Any]:
    return {
        "batch_size": rng.choice([1, 2, 7, 64, 300])
        if rows < 300
        else rng.randrange(5, 400),
        "num_threads": rng.randrange(1, 5),
        "read_ahead_bytes": rng.choice([None, 1, 20_000, 2_000_000]),
        "output": rng.choice(["python", "python", "numpy", "arrow"]),
    }


def some_shuffle(rng: random.Random) -> dict[str, Any]:
    return {
        "shuffle": rng.random() < 0.8,
        "seed": rng.randrange(2**63),
        "shuffle_window": rng.choice([None, 10, 100, 1000]),
        "num_lanes": rng.choice([None, None, 1, 3, 8]),
    }


# --- processes ------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a process said, and how it ended."""

    batches: list[dict[str, Any]]
    error: list[str] | None = None  # its classes
    text: str = ""
    killed: bool = False

    @property
    def rows(self) -> list[list[Any]]:
        return [row for batch in self.batches for row in batch["rows"]]


class Child:
    """A process that does a job."""

    def __init__(self, job: dict[str, Any], cache: Path) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "FAST_AXOLOTL_CACHE": str(cache)},
        )
        self.hung = False
        self.killed = False
        self.timer = threading.Timer(SECONDS, self._hang)
        self.timer.start()
        self.say(job)

    def _hang(self) -> None:
        self.hung = True
        self.process.kill()

    def say(self, message: object) -> None:
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which finish() looks into

    def kill(self) -> None:
        self.killed = True
        self.process.send_signal(signal.SIGKILL)

    def finish(self, paused: Callable[[], None] | None = None) -> Outcome:
        """Read what it says to the end; `paused` is called where it waits for us."""
        outcome = Outcome([])
        ended = False
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break  # it was killed in the middle
            said = json.loads(line)
            if said.get("paused"):
                if paused:
                    paused()
                self.say("go on")
            elif "error" in said:
                outcome.error, outcome.text, ended = said["error"], said["text"], True
            elif said.get("end"):
                ended = True
            else:
                outcome.batches.append(said)
        code = self.process.wait()
        self.timer.cancel()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.seek(0)
        log = self.log.read()
        self.log.close()
        outcome.killed = self.killed and not ended
        if self.hung:
            raise WrongError("hangs", f"no end after {SECONDS} s; {log[-2000:]}")
        if not outcome.killed and (code != 0 or not ended):
            raise WrongError("crashes", f"exit code {code}; {log[-4000:]}")
        return outcome


def run(
    job: dict[str, Any], cache: Path, paused: Callable[[], None] | None = None
) -> Outcome:
    return Child(job, cache).finish(paused)


# --- verdicts -------------------------------------------------------------------------


def check_error(outcome: Outcome, paths: list[str]) -> None:
    if not {"OSError", "ValueError"} & set(outcome.error):
        raise WrongError("wrong error", f"{outcome.error[0]}: {outcome.text}")
    if not any(path in outcome.text for path in paths):
        raise WrongError("wrong error", f"which names no file: {outcome.text}")


def check_no_error(outcome: Outcome) -> None:
    if outcome.error:
        raise WrongError(
            "wrong error", f"of sound files: {outcome.error[0]}: {outcome.text}"
        )


def check_rows(got: list[Any], want: list[Any]) -> None:
    if got == want:
        return
    at = next(
        (i for i, (g, w) in enumerate(zip(got, want, strict=False)) if g != w), None
    )
    raise WrongError(
        "quiet losses",
        f"{len(got)} rows for {len(want)}; the first that differs is {at}:"
        f" {got[at] if at is not None else ''} for {want[at] if at is not None else ''}",
    )


def check_each_once(got: list[Any], want: list[Any]) -> None:
    if sorted(got, key=str) != sorted(want, key=str):
        missing = Counter(map(str, want)) - Counter(map(str, got))
        more = Counter(map(str, got)) - Counter(map(str, want))
        raise WrongError(
            "quiet losses",
            f"{len(got)} rows for {len(want)}; missing {list(missing)[:5]},"
            f" too many {list(more)[:5]}",
        )


def found_otherwise(data: Data, damaged: str, cache: Path) -> tuple[list[Any], bool]:
    """Return the rows as other readers find them, and whether these came to the end."""
    job = {"mode": "otherwise", "paths": [damaged], "loose": True}
    try:
        other = run(job, cache)
    except WrongError:  # others may crash
        return [], False
    at = data.paths.index(damaged)
    rows = data.pairs[: data.begins[at]] + other.rows
    if other.error:
        return rows, False
    end = [*data.begins, len(data.pairs)][at + 1]
    return rows + data.pairs[end:], True


def check_damaged(outcome: Outcome, data: Data, damaged: str, cache: Path) -> str:
    """Judge what came of files one of which is damaged, read in order."""
    got = outcome.rows
    if not outcome.error and got == data.pairs:
        return "right rows"
    found, whole = found_otherwise(data, damaged, cache)
    if not outcome.error:
        if not whole or got != found:
            check_rows(got, data.pairs)
        return "right rows"
    check_error(outcome, [damaged])
    for i, row in enumerate(got):
        if row not in (
            data.pairs[i] if i < len(data.pairs) else None,
            found[i] if i < len(found) else None,
        ):
            raise WrongError("quiet losses", f"row {i} before the error is {row}")
    return "right error"


# --- kinds of rounds ------------------------------------------------------------------


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
    cases = [c for c in some_cases(r.rng, 4) if c.format.id not in LISTLESS]
    cases = cases or [Case(FORMATS[0], COMPRESSIONS[0])]
    data = make_data(r.folder, r.rng, cases, 2000)
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


def has_torch() -> bool:
    import importlib.util

    return importlib.util.find_spec("torch") is not None


def soak_round(seed: int, number: int, workers: bool) -> tuple[str, str, int, str]:
    """Return the round's kind, its verdict, its rows, and what was seen if it is bad."""
    rng = random.Random(f"{seed}/{number}")
    weights = {
        kind: weight
        for kind, (_, weight) in KINDS.items()
        if workers or "loader" not in kind
    }
    (kind,) = rng.choices(list(weights), list(weights.values()))
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        verdict, rows = KINDS[kind][0](Round(rng, folder))
    except WrongError as wrong:
        return kind, wrong.verdict, 0, str(wrong)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return kind, verdict, rows, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--round", type=int, help="only this one")
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--report", type=Path, help="JSON; added to if it is there")
    options = parser.parse_args()
    workers = has_torch()
    if options.round is not None:
        kind, verdict, _, seen = soak_round(options.seed, options.round, workers)
        print(f"{kind}: {verdict}\n{seen}")
        return int(bool(seen))
    report: dict[str, Any] = {"version": fast_axolotl.__version__, "seconds": 0}
    report |= {"rounds": 0, "rows": 0, "kinds": {}, "failures": []}
    if options.report and options.report.exists():
        report = json.loads(options.report.read_text())
    begin = time.monotonic()
    number = options.first
    while time.monotonic() - begin < options.minutes * 60:
        try:
            kind, verdict, rows, seen = soak_round(options.seed, number, workers)
        except Exception:  # noqa: BLE001
            print(f"round {number} of seed {options.seed}:", file=sys.stderr)
            traceback.print_exc()
            return 2
        report["rounds"] += 1
        report["rows"] += rows
        counts = report["kinds"].setdefault(kind, dict.fromkeys(VERDICTS, 0))
        counts[verdict] += 1
        if seen:
            failure = {"seed": options.seed, "round": number, "kind": kind}
            report["failures"].append({**failure, "verdict": verdict, "seen": seen})
            print(f"--seed {options.seed} --round {number}: {kind}: {verdict}: {seen}")
        number += 1
    report["seconds"] += round(time.monotonic() - begin)
    print(f"{number - options.first} rounds, {len(report['failures'])} failures")
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(report, indent=1) + "\n")
    return int(bool(report["failures"]))


if __name__ == "__main__":
    raise SystemExit(main())
