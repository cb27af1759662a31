# SPDX-License-Identifier: Apache-2.0
"""Read random data in random ways, break off, go on, damage it; check every row.

    python scripts/soak.py [--minutes 60] [--seed S] [--report FILE]
    python scripts/soak.py --seed S --round N

Each round makes a data set of random formats, compressions and sizes, does one thing to
it (``soak_rounds.KINDS``), and reads it in processes of their own. A row is right if it
has just the values it was written with, comes in its turn, and comes once. Whatever
cannot be read right has to be an error that names the file, behind the rows before it.
The report counts what came of each kind; a round that went wrong is run again by its
seed and number.

Where damage makes another valid file, as a changed letter in a text does, the rows must
be those that other readers (the standard library, pyarrow) find in it.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from soak_processes import WrongError
from soak_rounds import KINDS, Round
from soak_verdicts import VERDICTS

import fast_axolotl


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
    workers = find_spec("torch") is not None
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
