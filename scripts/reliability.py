# SPDX-License-Identifier: Apache-2.0
"""Write the tables of docs/reliability.md from the reports of runs.

    python scripts/reliability.py [--fuzz FILE] [--soak FILE]

``build/fuzzing/report.json`` is what ``./dev fuzz`` leaves, and ``scripts/soak.py
--report`` writes the other. Reports that are named are first copied beside the page, into
``docs/reliability``, so that the tables can be made again; no number in them is from
anywhere else.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/reliability.md"
REPORTS = ROOT / "docs/reliability"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def fuzz_table(report: dict[str, Any]) -> str:
    rows = []
    for target in report["targets"]:
        failures, hangs = target["failures"], target["hangs"]
        numbers = [target["inputs"], target["seconds"], failures - hangs, hangs]
        rows.append([f"`{target['target']}`", *(f"{n:,}" for n in numbers)])
    inputs = sum(target["inputs"] for target in report["targets"])
    seconds = sum(target["seconds"] for target in report["targets"])
    text = (
        f"The last run: {inputs:,} inputs in {duration(seconds)},"
        f" by {report['engine']}.\n\n"
    )
    head = ["target", "inputs", "seconds", "crashes, broken promises", "hangs"]
    return text + table(head, rows)


def soak_table(report: dict[str, Any]) -> str:
    rows = []
    kinds = report["kinds"]
    verdicts = list(next(iter(kinds.values())))
    for kind in sorted(kinds, key=lambda kind: -sum(kinds[kind].values())):
        counts = kinds[kind]
        numbers = [sum(counts.values()), *(counts[verdict] for verdict in verdicts)]
        rows.append([kind, *(f"{n:,}" for n in numbers)])
    sums = [
        sum(sum(counts.values()) for counts in kinds.values()),
        *(sum(counts[verdict] for counts in kinds.values()) for verdict in verdicts),
    ]
    rows.append(["all", *(f"{n:,}" for n in sums)])
    text = (
        f"The last run took {duration(report['seconds'])}: {report['rounds']:,} rounds,"
        f" in which {report['rows']:,} rows were written and looked for.\n\n"
    )
    return text + table(["kind of round", "tried", *verdicts], rows)


TABLES = {"fuzz": fuzz_table, "soak": soak_table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in TABLES:
        parser.add_argument(f"--{name}", type=Path)
    options = vars(parser.parse_args())
    text = PAGE.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        kept = REPORTS / f"{name}.json"
        if options[name]:
            REPORTS.mkdir(exist_ok=True)
            shutil.copyfile(options[name], kept)
        made = make(json.loads(kept.read_text(encoding="utf-8")))
        begin, end = f"<!-- begin {name} -->\n", f"\n<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        if not rest:
            raise SystemExit(f"{PAGE}: there is no {begin}")
        text = before + begin + made + end + rest.partition(end)[2]
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
