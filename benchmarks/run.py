# SPDX-License-Identifier: Apache-2.0
"""Measure this package and its peers on the same files, in one run.

    python benchmarks/run.py [--quick] [--cells GLOB ...] [--loaders NAME ...]
                             [--repeats N] [--size N] [--data FOLDER] [--out FILE]

Makes the data, has peers convert what they want converted, and then lets the loaders of
each cell take turns, A B C A B C, each measurement in a fresh process. One JSON line each
goes to the file; ``benchmarks/report.py`` makes tables and plots of it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

import report

report.require("numpy", "pyarrow", "rich")

import checksum  # noqa: E402
import loaders  # noqa: E402
from cells import CELLS, Cell  # noqa: E402
from data import Data, dataset_of, default_folder  # noqa: E402
from harness import Harness, Results, missing  # noqa: E402

REPEATS = 5
# --quick: the peers that were the fastest of a cell, by the first pattern that fits.
QUICK = {
    "tok.jsonl*/lists": ["orjson"],
    "*.jsonl*/lists": ["polars", "orjson"],
    "text.json/lists": ["polars", "orjson"],
    "text.txt*": ["polars", "python"],
    "*/padded": ["litdata", "pyarrow"],
    "tok.*": ["pyarrow"],
    "*": ["polars", "pyarrow"],
}
QUICK_REPEATS = 3
QUICK_MINUTES = 4.5


class Turn(NamedTuple):
    """One loader of one cell."""

    cell: Cell
    loader: str


def quick_loaders(cell: Cell) -> list[str]:
    peers = next(QUICK[glob] for glob in QUICK if fnmatch(cell.name, glob))
    return [loaders.OURS, *peers]


def turns(plan: list[Turn], repeat: int) -> Iterator[Turn]:
    """Cell by cell, its loaders one after the other, another one first each time."""
    for _, group in itertools.groupby(plan, lambda turn: turn.cell):
        able = list(group)
        first = repeat % len(able)
        yield from able[first:] + able[:first]


class Run:
    """What was measured so far, and what is still worth measuring."""

    def __init__(self, harness: Harness, results: Results) -> None:
        self.harness = harness
        self.data = harness.data
        self.results = results
        self._failed: dict[Turn, str] = {}
        self._checked: set[Turn] = set()

    def convert(self, turn: Turn) -> None:
        """Convert the file of a loader that wants it, and keep how long it took."""
        if not hasattr(loaders.load(turn.loader), "convert"):
            return
        line = self.harness.convert(turn.loader, turn.cell.file)
        if {"conversion": line} not in self.results.lines:
            self.results.add({"conversion": line})
        if "error" in line:
            self._failed[turn] = f"converting: {line['error']}"

    def measure(self, turn: Turn, repeat: int) -> None:
        """Measure once; a loader that failed on a cell is not asked again."""
        line = {"cell": turn.cell.name, "loader": turn.loader, "repeat": repeat}
        if turn in self._failed:
            if repeat == 0:
                self.results.add({**line, "error": self._failed[turn]})
            return
        job = {
            "loader": turn.loader,
            "output": turn.cell.output,
            "path": str(self.harness.source(turn.loader, turn.cell.file)),
            "columns": turn.cell.columns,
            "check": turn not in self._checked,
        }
        found = self.harness.run(job)
        sums = found.pop("sums", None)
        if sums is not None:
            self._checked.add(turn)
            wrong = checksum.difference(sums, self._expect(turn.cell))
            if wrong:
                found["error"] = f"wrong: {wrong}"
        if "error" in found:
            self._failed[turn] = found["error"]
        if "warm_s" in found:
            size = self.data.bytes(turn.cell.file)
            found["bytes"] = size
            found["rows_per_s"] = found["rows"] / found["warm_s"]
            found["mb_per_s"] = size / 1e6 / found["warm_s"]
        self.results.add({**line, **found})

    def _expect(self, cell: Cell) -> checksum.Figures:
        sums = self.data.expected(dataset_of(cell.file))
        expected = sums["lists" if cell.output == "arrow" else cell.output]
        if cell.columns is None:
            return expected
        columns = {name: expected["columns"][name] for name in cell.columns}
        return {"rows": expected["rows"], "columns": columns}


def measure_all(run: Run, plan: list[Turn], repeats: int, minutes: float) -> int:
    """Take all turns, with a progress bar; return how many there was no time for."""
    from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    late = time.monotonic() + minutes * 60
    left_out = 0
    columns = [
        *Progress.get_default_columns(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    ]
    # Drawn once a second, since it takes from the cores that are measured.
    with Progress(*columns, refresh_per_second=1) as progress:
        bar = progress.add_task("measuring", total=len(plan) * repeats, now="")
        say = progress.console.print
        files = sorted({turn.cell.file for turn in plan})
        run.data.make(files, say)
        for name in dict.fromkeys(turn.loader for turn in plan):
            if hasattr(loaders.load(name), "VENV"):
                progress.update(bar, now=f"environment of {name}")
                run.harness.venv(name)
        for turn in plan:
            progress.update(bar, now=f"converting for {turn.loader}")
            run.convert(turn)
        run.harness.warm(files)
        for repeat in range(repeats):
            for turn in turns(plan, repeat):
                if time.monotonic() > late:
                    left_out += 1
                else:
                    progress.update(bar, now=f"{turn.cell.name} {turn.loader}")
                    run.measure(turn, repeat)
                progress.advance(bar)
    return left_out


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog=f"loaders: {', '.join(loaders.NAMES)}",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="the best peers only, in under 5 minutes")
    add("--cells", nargs="+", default=["*"], metavar="GLOB", help="file/output")
    add("--loaders", nargs="+", choices=loaders.NAMES, metavar="NAME")
    add("--repeats", type=int, help=f"default {REPEATS}, with --quick {QUICK_REPEATS}")
    add("--size", type=float, default=1, help="how long the data are, e.g. 10")
    add("--timeout", type=float, default=120, help="seconds for one process")
    add("--minutes", type=float, help="start no measurement after so many minutes")
    add("--data", type=Path, default=default_folder(), help="where the data are kept")
    add("--out", type=Path, help="default: results.jsonl in the folder of the data")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    cells = [c for c in CELLS if any(fnmatch(c.name, glob) for glob in args.cells)]
    if not cells:
        sys.exit(f"no cell is named like that; there are {[c.name for c in CELLS]}")
    plan = [
        Turn(cell, name)
        for cell in cells
        for name in args.loaders or (quick_loaders(cell) if args.quick else loaders.NAMES)
        if loaders.reads(name, cell.file, cell.output)
    ]
    absent = missing({(turn.loader, turn.cell.output) for turn in plan})
    if absent:
        sys.exit(
            f"Not installed: {', '.join(absent)}; run: {report.INSTALL}\n"
            "or leave some out with --loaders."
        )
    about: dict[str, Any] = {
        "machine": report.machine(),
        "command": report.command(),
        "size": args.size,
    }
    out = args.out or args.data / "results.jsonl"
    run = Run(Harness(Data(args.data, args.size), args.timeout), Results(out, about))
    repeats = args.repeats or (QUICK_REPEATS if args.quick else REPEATS)
    minutes = args.minutes or (QUICK_MINUTES if args.quick else float("inf"))
    left_out = measure_all(run, plan, repeats, minutes)
    report.show(out)
    if left_out:
        print(f"{left_out} measurements were left out: the time was up.")
    print(f"Tables and plots: python benchmarks/report.py {out}")


if __name__ == "__main__":
    main()
