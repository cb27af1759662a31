# SPDX-License-Identifier: Apache-2.0
"""Writes what was measured into the documentation; what stands beside every figure.

    python benchmarks/report.py [RESULTS] [--scale RESULTS] [--write]

Shows how the results of run.py, and those of scale.py, stand to the goals. With
``--write`` tables, plots and figures go into docs/performance/.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import shlex
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "performance"
INSTALL = "pip install '.[bench]'"


def machine() -> dict[str, Any]:
    """The processor, its cores that may be used, the memory, the system, its load."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": cores or os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "system": platform.system(),
        "load": round(os.getloadavg()[0], 1),
    }


def versions(*packages: str) -> dict[str, str]:
    """The versions of Python and of those packages that are installed."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    import fast_axolotl  # which may be on the path without being installed

    found["fast-axolotl"] = fast_axolotl.get_version()
    return found


def require(*packages: str) -> None:
    """End with one sentence if something is not installed."""
    absent = [name for name in packages if find_spec(name) is None]
    if absent:
        sys.exit(f"Not installed: {', '.join(absent)}; run: {INSTALL}")


def command() -> str:
    """The command that is running, as it is written from the repository's root.

    Where data and results are kept is left out: it is another place elsewhere.
    """
    script = Path(sys.argv[0]).resolve().relative_to(ROOT)
    words = ["python", str(script)]
    for before, word in itertools.pairwise(sys.argv):
        if not {before, word} & {"--data", "--out"}:
            words.append(shlex.quote(word))
    return " ".join(words)


def conditions(about: dict[str, Any]) -> str:
    """The machine, the versions and the command as a paragraph and a block."""
    where, what = about["machine"], about["versions"]
    cores = f"{where['cores']} core{'' if where['cores'] == 1 else 's'}"
    told = ", ".join(f"{name} {version}" for name, version in what.items())
    return (
        f"Measured on {cores} of {where['cpu']}, {where['memory_gib']} GiB of memory, "
        f"{where['system']}, load average {where['load']} at "
        f"the start; {told}. To repeat it:\n\n"
        f"```bash\npip install '.[bench]'\n{about['command']}\n```\n"
    )


def write_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between the two comments that carry ``name``."""
    begin, end = f"<!-- {name}: written by", f"<!-- end of {name} -->"
    content = page.read_text(encoding="utf-8")
    start = content.index("\n", content.index(begin)) + 1
    stop = content.index(end)
    page.write_text(f"{content[:start]}\n{text.strip()}\n\n{content[stop:]}", "utf-8")


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, with all columns but the first set to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


# --- reading and scale ------------------------------------------------------------------


def show(path: Path) -> None:
    """Print how a run stands to the goals, and what failed in it."""
    import tables
    from results import Speed
    from rich.console import Console
    from rich.table import Table

    speed = Speed(path)
    console = Console()
    console.width = max(console.width, 110)  # also in a pipe
    for key, what in Speed.KEYS.items():
        shown = Table(title=what)
        for name in ("cell", "peer", "peer ÷ ours", "goal", ""):
            shown.add_column(name, no_wrap=True)
        for one in speed.verdicts(key):
            if one.ratio is not None:
                mark = "met" if one.met else "[red]not met"
                told = [one.cell.name, tables.peer(one), tables.ratio(one)]
                shown.add_row(*told, f"≥ {one.goal:g}", mark)
        if shown.rows:
            console.print(shown)
    console.print("Failed:", tables.failures(speed), sep="\n", markup=False)


def write_speed(path: Path) -> None:
    import plots
    import tables
    from results import Speed

    speed = Speed(path)
    drawn = {"warm_s": "speed_warm_pass", "first_s": "speed_first_batch"}
    for key, name in drawn.items():
        plots.against_best(speed, key, DOCS / f"{name}.png")
    section = tables.speed_section(speed, list(drawn.values()))
    write_section(DOCS / "benchmarks.md", "speed", section)
    shutil.copyfile(path, DOCS / "speed.jsonl")


def write_scale(path: Path) -> None:
    import plots
    import tables
    from results import Scale

    scale = Scale(path)
    plots.by_size(scale, DOCS / "scale.png")
    section = tables.scale_section(scale, ["scale"])
    write_section(DOCS / "benchmarks.md", "scale", section)
    shutil.copyfile(path, DOCS / "scale.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", type=Path, nargs="?", help="what run.py wrote")
    parser.add_argument("--scale", type=Path, help="what scale.py wrote")
    parser.add_argument("--write", action="store_true", help="write docs/performance/")
    args = parser.parse_args()
    if args.results:
        write_speed(args.results) if args.write else show(args.results)
    if args.scale and args.write:
        write_scale(args.scale)
    elif args.scale:
        import tables
        from results import Scale

        print(tables.scale_section(Scale(args.scale), []))


if __name__ == "__main__":
    main()
