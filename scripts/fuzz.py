# SPDX-License-Identifier: Apache-2.0
"""Run the fuzz targets that are built, one after another.

    python scripts/fuzz.py BUILD [--seconds S] [--each S] [TARGET ...]

``./dev fuzz`` builds them and calls this. BUILD is the folder they were built into;
``--seconds`` are shared out among the targets, ``--each`` is for each of them. What they
find stays under ``build/fuzzing``: ``found/`` holds inputs that reach new code, from
which the next run goes on, and ``crashes/`` those that broke something; ``report.json``
says what was run. The exit code is 1 if something broke.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/fuzzing"
RUNS = re.compile(r"stat::number_of_executed_units: (\d+)|^Done (\d+) runs", re.MULTILINE)
KEPT = ("crash-", "leak-", "timeout-", "oom-", "slow-unit-")
TIMEOUT = 20  # seconds for one input of some kilobytes
FLAGS = [f"-timeout={TIMEOUT}", "-rss_limit_mb=2048", "-max_len=4096"]
# Buffers from plain malloc, whose bounds the sanitizer knows. More than half a gigabyte
# at a time, which a damaged file may ask for, is refused as where memory is short.
ENVIRONMENT = {
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "ASAN_OPTIONS": "allocator_may_return_null=1:max_allocation_size_mb=512",
}
MOST_FAILURES = 3  # of one target; each ends a run


def kept(crashes: Path) -> set[Path]:
    return {path for path in crashes.iterdir() if path.name.startswith(KEPT)}


def run_once(binary: Path, seconds: int, folders: dict[str, Path]) -> tuple[int, str]:
    """Return the inputs that were run, and the end of what was said if it failed."""
    command = [
        binary,
        f"-max_total_time={seconds}",
        f"-artifact_prefix={folders['crashes']}/",
        "-print_final_stats=1",
        *FLAGS,
        folders["found"],
        folders["seeds"],
    ]
    done = subprocess.run(
        command,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        check=False,
        errors="replace",
        text=True,
    )
    said = done.stdout + done.stderr
    runs = [int(a or b) for a, b in RUNS.findall(said)]
    if done.returncode != 0 and not runs:
        # Where a target dies no statistics come; it counts at every power of two.
        runs = [int(n) for n in re.findall(r"^#(\d+)", said, re.MULTILINE)]
    return max(runs, default=0), said if done.returncode != 0 else ""


def run_target(binary: Path, seconds: int) -> dict[str, Any]:
    name = binary.name.removeprefix("fuzz_")
    folders = {kind: FOLDER / kind / name for kind in ("seeds", "found", "crashes")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    before = kept(folders["crashes"])
    begin = time.monotonic()
    runs = failures = 0
    while failures < MOST_FAILURES:
        left = round(seconds - (time.monotonic() - begin))
        if left < 1:
            break
        more, said = run_once(binary, left, folders)
        runs += more
        if not said:
            break
        failures += 1
        print(said[-4000:], file=sys.stderr)
    new = sorted(kept(folders["crashes"]) - before)
    for path in new:
        print(f"to see it again: {binary} {path}", file=sys.stderr)
    return {
        "target": name,
        "inputs": runs,
        "seconds": round(time.monotonic() - begin),
        "failures": failures,
        "hangs": sum(path.name.startswith("timeout-") for path in new),
        "inputs_that_failed": [str(path.relative_to(ROOT)) for path in new],
    }


def engine(build: Path) -> str:
    cache = (build / "CMakeCache.txt").read_text()
    libfuzzer = "FAST_AXOLOTL_LIBFUZZER:INTERNAL=1" in cache
    return "libFuzzer" if libfuzzer else "random changes"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, help="for all targets together")
    parser.add_argument("--each", type=int, default=600, help="for each target")
    options = parser.parse_args()
    binaries = sorted(
        path for path in options.build.glob("fuzz_*") if os.access(path, os.X_OK)
    )
    if options.targets:
        wanted = {f"fuzz_{target}" for target in options.targets}
        binaries = [path for path in binaries if path.name in wanted]
        if len(binaries) < len(wanted):
            parser.error(f"no such target among {' '.join(options.targets)}")
    each = options.each
    if options.seconds is not None:
        each = max(1, options.seconds // len(binaries))
    report = {"engine": engine(options.build), "targets": []}
    for binary in binaries:
        result = run_target(binary.resolve(), each)
        report["targets"].append(result)
        print(
            f"{result['target']:>9}: {result['inputs']:,} inputs in"
            f" {result['seconds']} s, {result['failures']} failures",
            flush=True,
        )
    (FOLDER / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return int(any(target["failures"] for target in report["targets"]))


if __name__ == "__main__":
    raise SystemExit(main())
