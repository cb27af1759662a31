# SPDX-License-Identifier: Apache-2.0
"""What stands beside every figure: the machine, the versions, the command."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "performance"


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


def command() -> str:
    """The command that is running, as it is written from the repository's root."""
    script = Path(sys.argv[0]).resolve().relative_to(ROOT)
    return " ".join(["python", str(script), *sys.argv[1:]])


def conditions(about: dict[str, Any]) -> str:
    """The machine, the versions and the command as a paragraph and a block."""
    where, what = about["machine"], about["versions"]
    cores = f"{where['cores']} core{'' if where['cores'] == 1 else 's'}"
    told = ", ".join(f"{name} {version}" for name, version in what.items())
    return (
        f"Measured on {cores} of {where['cpu']}, {where['memory_gib']} GiB of memory, "
        f"{where['system']}, load average {where['load']} at "
        f"the start; {told}. To repeat it:\n\n"
        f"```bash\npip install -e '.[bench]'\n{about['command']}\n```\n"
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
