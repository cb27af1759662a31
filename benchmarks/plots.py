# SPDX-License-Identifier: Apache-2.0
"""The plots of docs/performance/benchmarks.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

if TYPE_CHECKING:
    from results import Scale, Speed

mpl.use("Agg")
from matplotlib import pyplot as plt

MET, NOT_MET = "#2a7f62", "#c8553d"


def against_best(speed: Speed, key: str, path: Path) -> None:
    """Bars of the best peer's seconds over ours, with a tick where the goal is."""
    found = [
        (f"{one.cell.file}, {one.cell.output}", one.ratio, one.goal)
        for one in speed.verdicts(key)
        if one.against == "best" and one.ratio is not None
    ]
    names, ratios, goals = zip(*found, strict=True)
    places = range(len(found))
    colours = [MET if r >= goal else NOT_MET for _, r, goal in found]
    figure, axis = plt.subplots(figsize=(8, 0.8 + 0.28 * len(found)))
    axis.barh(places, [r - 1 for r in ratios], left=1, color=colours)
    axis.plot(goals, places, "k|", markersize=12)
    axis.axvline(1, color="#888888", linewidth=0.8)
    axis.set_yticks(places, names, fontsize=8)
    axis.margins(y=0.01)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.tick_params(axis="x", which="both", labelsize=8)
    axis.set_xlabel("best peer's seconds ÷ ours (bars), goal (ticks)", fontsize=8)
    save(figure, path)


def by_size(scale: Scale, path: Path) -> None:
    """Seconds per GB and peak memory over the size of the file."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2))
    sizes = scale.medians("size", "bytes")
    for axis, key, unit, name in (
        (axes[0], "s_per_gb", 1, "seconds per GB"),
        (axes[1], "peak_bytes", 1e6, "peak memory, MB"),
    ):
        axis.set_prop_cycle(color=plt.get_cmap("tab20").colors)
        for file, figures in scale.medians("size", key).items():
            at = [size / 1e6 for size in sizes[file].values()]
            values = [one / unit for one in figures.values()]
            axis.plot(at, values, "o-", label=file)
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
        axis.set_xlabel("size of the file, MB", fontsize=8)
        axis.set_ylabel(name, fontsize=8)
        axis.tick_params(labelsize=8)
    axes[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, path)


def save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)
