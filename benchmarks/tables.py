# SPDX-License-Identifier: Apache-2.0
"""The sections of docs/performance/benchmarks.md, from what was measured."""

from __future__ import annotations

from statistics import median

import cells as goals
from cells import Cell
from report import conditions, table
from results import Scale, Speed, Verdict, title


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def met(good: bool | None) -> str:
    return {True: "met", False: "**not met**", None: ""}[good]


def ratio(verdict: Verdict) -> str:
    if verdict.ratio is None:
        return ""
    told = f"{verdict.ratio:.2f}"
    if verdict.spread is not None:
        low, high = verdict.spread
        told += f" ({low:.2f} to {high:.2f})"
    return told


def peer(verdict: Verdict) -> str:
    name = title(verdict.peer)
    return f"best: {name}" if verdict.against == "best" else name


def images(names: list[str]) -> list[str]:
    return [f"![{name.replace('_', ' ')}]({name}.png)" for name in names]


def joined(parts: list[str]) -> str:
    return "\n\n".join(part.strip() for part in parts)


# --- speed ------------------------------------------------------------------------------


def goals_table(speed: Speed, key: str) -> str:
    """Ours, the peer, the ratio and the goal, a line for each goal."""
    lines = [
        [
            one.cell.file,
            one.cell.output,
            seconds(one.ours) or "failed",
            peer(one),
            seconds(one.theirs) or "failed",
            ratio(one),
            f"≥ {one.goal:g}",
            met(one.met),
        ]
        for one in speed.verdicts(key)
    ]
    header = ["file", "output", "ours, s", "peer", "its s", "peer ÷ ours", "goal", ""]
    return table(header, lines)


def matrix(speed: Speed, cells: list[Cell], key: str, unit: float, digits: int) -> str:
    """One figure of all loaders, a line for each cell."""
    names = speed.loaders(cells)

    def shown(cell: Cell, name: str) -> str:
        value = speed.median(cell, name, key)
        if value is not None:
            return f"{value / unit:,.{digits}f}"
        return "failed" if speed.error(cell, name) else ""

    lines = [[cell.file, *(shown(cell, name) for name in names)] for cell in cells]
    return table(["file", *map(title, names)], lines)


def imports(speed: Speed) -> str:
    lines = []
    for name in speed.loaders(speed.cells):
        found = [
            one["import_s"]
            for one in speed.measured
            if one["loader"] == name and "import_s" in one
        ]
        if found:
            lines.append([title(name), seconds(median(found))])
    return table(["loader", "seconds"], lines)


def conversions(speed: Speed) -> str:
    lines = [
        [
            title(one["loader"]),
            one["file"],
            seconds(one.get("warm_s")) or "failed",
            f"{one['bytes'] / 1e6:,.0f}" if "bytes" in one else "",
        ]
        for one in speed.conversions
    ]
    return table(["loader", "of", "seconds", "MB made"], lines)


def failures(speed: Speed) -> str:
    lines = [
        f"* {cell.file}, {cell.output}, {title(name)}: {error}"
        for cell in speed.cells
        for name in speed.loaders([cell])
        if (error := speed.error(cell, name)) is not None
    ]
    return "\n".join(lines) or "Nothing."


def speed_section(speed: Speed, plots: list[str]) -> str:
    verdicts = [one for key in Speed.KEYS for one in speed.verdicts(key)]
    judged = [one.met for one in verdicts if one.met is not None]
    repeats = 1 + max(one["repeat"] for one in speed.measured)
    summary = (
        f"{sum(judged)} of {len(judged)} goals are met. Each figure is the median of "
        f"{repeats} fresh processes, which took turns with those of the other loaders; "
        "a ratio is one of medians, with the least and the greatest ratio of one turn "
        "in parentheses, and above 1 this package is the faster. Only loaders that gave "
        "the right rows are compared."
    )
    parts = [summary, *images(plots)]
    parts += ["### A warm pass against the goals", goals_table(speed, "warm_s")]
    parts += ["### The first batch against the goals"]
    parts += ["From the start of a fresh process, imports included."]
    parts += [goals_table(speed, "first_s")]
    for what, key, unit, digits in (
        ("Seconds of a warm pass", "warm_s", 1, 3),
        ("Seconds to the first batch", "first_s", 1, 3),
        ("Peak memory in MB", "peak_bytes", 1e6, 0),
    ):
        parts.append(f"### {what}")
        for output in dict.fromkeys(cell.output for cell in speed.cells):
            mine = [cell for cell in speed.cells if cell.output == output]
            parts += [f"Output: {output}", matrix(speed, mine, key, unit, digits)]
    parts += ["### Seconds to import", imports(speed)]
    if speed.conversions:
        parts += ["### Conversions, once and not counted above", conversions(speed)]
    parts += ["### What failed", failures(speed)]
    parts += [conditions({**speed.about, "versions": speed.versions()})]
    return joined(parts)


# --- scale ------------------------------------------------------------------------------


def slashed(values: list[float], digits: int) -> str:
    return " / ".join(f"{value:,.{digits}f}" for value in values)


def scale_section(scale: Scale, plots: list[str]) -> str:
    flat, resident = [], []
    for file, of_size in scale.medians("size", "s_per_gb").items():
        speeds = list(of_size.values())
        peaks = [v / 1e6 for v in scale.medians("size", "peak_bytes")[file].values()]
        sizes = [v / 1e6 for v in scale.medians("size", "bytes")[file].values()]
        slower, grown = speeds[-1] / speeds[-2], peaks[-1] / peaks[-2]
        good = slower <= goals.FLAT_SECONDS
        told = [slashed(sizes, 0), slashed(speeds, 2), f"{slower:.2f}", met(good)]
        flat.append([file, *told])
        good = grown <= goals.FLAT_MEMORY and peaks[-1] < goals.MOST_MB
        resident.append([file, slashed(peaks, 0), f"{grown:.2f}", met(good)])
    threads = []
    for file, of_threads in scale.medians("threads", "warm_s").items():
        one, two = of_threads[1], of_threads[2]
        good = one / two >= goals.TWO_THREADS
        threads.append([file, seconds(one), seconds(two), f"{one / two:.2f}", met(good)])
    counts = [
        [file, f"{speed:.2f}", met(speed >= goals.COUNT_GB_S)]
        for file, of_size in scale.medians("count", "gb_per_s").items()
        for speed in of_size.values()
    ]
    summary = (
        "Only this package: lists in batches of 1,000 rows, and Arrow batches where "
        "threads are compared, since lists are made by the one thread that asks for "
        f"them. Medians of {1 + max(one['repeat'] for one in scale.measured)} fresh "
        "processes, a warm pass in each."
    )
    memory = f"at most {goals.FLAT_MEMORY:g} times as much, under {goals.MOST_MB} MB"
    parts = [
        summary,
        *images(plots),
        f"### Seconds per GB of the file: at most {goals.FLAT_SECONDS:g} times as many",
        table(["file", "MB", "seconds per GB", "largest ÷ middle", ""], flat),
        f"### Peak memory: {memory}",
        table(["file", "MB of memory, by size", "largest ÷ middle", ""], resident),
        f"### Two threads: at least {goals.TWO_THREADS:g} times as fast as one",
        table(["file", "one, s", "two, s", "one ÷ two", ""], threads),
        f"### Counting rows: at least {goals.COUNT_GB_S:g} GB/s",
        table(["file", "GB/s", ""], counts),
    ]
    failed = [f"* {one['file']}, {one['scale']}: {one['error']}" for one in scale.failed]
    if failed:
        parts += ["### What failed", "\n".join(failed)]
    return joined([*parts, conditions(scale.about)])
