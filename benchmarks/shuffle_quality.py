# SPDX-License-Identifier: Apache-2.0
"""How well rows are mixed: our shuffle, a full permutation, and a shuffle buffer.

    python benchmarks/shuffle_quality.py [--rows N] [--seeds N] [--write]

Rows are numbered in the order of one JSONL file, and read in shuffled order by each
candidate with the same number of rows held at a time. With ``--write`` the figures, the
plot and the section of the documentation are written into docs/performance/.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import report

BATCH = 32
ROW_BYTES = 1000
HELD = [1024, 8192, 32768]
Order = np.ndarray[Any, np.dtype[np.int64]]


def make_rows(path: Path, rows: int) -> None:
    """Numbered rows, each about ROW_BYTES long."""
    rng = random.Random(20260)
    words = ["".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(500)]
    with path.open("w") as file:
        for number in range(rows):
            text = " ".join(rng.choices(words, k=(ROW_BYTES - 25) // 8))
            file.write(json.dumps({"id": number, "text": text}) + "\n")


# --- the candidates: each returns the rows' numbers in the order they are given ---------


def ours(path: Path, held: int, lanes: int, seed: int) -> Order:
    from fast_axolotl import StreamingDataset

    dataset = StreamingDataset(
        path,
        BATCH,
        ["id"],
        shuffle=True,
        seed=seed,
        shuffle_window=held,
        num_lanes=lanes,
        distributed="off",
    )
    return np.fromiter((i for batch in dataset for i in batch["id"]), np.int64)


def buffer(path: Path, held: int, seed: int) -> Order:
    import datasets

    datasets.disable_progress_bars()
    rows = datasets.load_dataset(
        "json", data_files=str(path), split="train", streaming=True
    ).select_columns(["id"])
    shuffled = rows.shuffle(seed=seed, buffer_size=held)
    return np.fromiter((row["id"] for row in shuffled), np.int64)


def permutation(rows: int, seed: int) -> Order:
    return np.random.default_rng(seed).permutation(rows)


# --- what is measured -------------------------------------------------------------------


def measure(order: Order) -> dict[str, float]:
    """Figures of one shuffled order; those of positions as shares of the rows."""
    rows = len(order)
    if not np.array_equal(np.sort(order), np.arange(rows)):
        raise SystemExit("a row was lost or came twice")
    place = np.empty(rows, np.int64)
    place[order] = np.arange(rows)
    moved = np.abs(place - np.arange(rows)) / rows
    low, middle, high = np.percentile(moved, [5, 50, 95])
    neighbours = np.abs(np.diff(place))
    return {
        # Of two orders of the same numbers, the correlation of ranks is Spearman's.
        "spearman": float(np.corrcoef(np.arange(rows), place)[0, 1]),
        "moved_mean": float(moved.mean()),
        "moved_p5": float(low),
        "moved_p50": float(middle),
        "moved_p95": float(high),
        "neighbours": float((neighbours == 1).mean()),
        "same_batch": float((place[1:] // BATCH == place[:-1] // BATCH).mean()),
    }


def run(
    name: str, held: str, shuffle: Callable[[int], Order], seeds: int
) -> tuple[dict[str, Any], Order]:
    orders = [shuffle(seed) for seed in range(seeds)]
    found = [measure(order) for order in orders]
    figures = {
        key: {
            "mean": float(np.mean([one[key] for one in found])),
            "min": min(one[key] for one in found),
            "max": max(one[key] for one in found),
        }
        for key in found[0]
    }
    result = {"candidate": name, "held": held, "seeds": seeds, **figures}
    print(json.dumps(result), flush=True)
    return result, orders[0]


# --- what is written --------------------------------------------------------------------


def plot(orders: list[tuple[str, Order]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 4, figsize=(10, 5.4), sharex=True, sharey=True)
    for axis, (title, order) in zip(axes.flat, orders, strict=False):
        rows = len(order)
        shown = np.random.default_rng(0).choice(rows, min(rows, 2500), replace=False)
        axis.plot(shown, order[shown], ",", color="#20639b")
        axis.set_title(title, fontsize=9)
        axis.set_xlim(0, rows)
        axis.set_ylim(0, rows)
        axis.set_aspect("equal")
        axis.tick_params(labelsize=7)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")
        axis.yaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")
    for axis in axes.flat[len(orders) :]:
        axis.axis("off")
    figure.supxlabel("position in the epoch", fontsize=9)
    figure.supylabel("position in the file", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def section(result: dict[str, Any]) -> str:
    def share(figure: dict[str, float]) -> str:
        return f"{figure['mean'] * 100:.1f} %"

    rows = []
    for one in result["results"]:
        spearman = one["spearman"]
        places = [one[f"moved_p{percent}"]["mean"] for percent in (5, 50, 95)]
        spread = " / ".join(f"{place * 100:.1f}" for place in places)
        between = f"{spearman['min']:+.3f} to {spearman['max']:+.3f}"
        rows.append(
            [
                one["candidate"],
                one["held"],
                f"{spearman['mean']:+.3f} ({between})",
                share(one["moved_mean"]),
                f"{spread} %",
                f"{one['neighbours']['mean'] * 100:.3f} %",
                f"{one['same_batch']['mean'] * 100:.2f} %",
            ]
        )
    header = [
        "shuffle",
        "rows held",
        "correlation",
        "moved, mean",
        "moved, 5th / 50th / 95th percentile",
        "still neighbours",
        "neighbours in one batch",
    ]
    return (
        f"{result['rows']:,} rows of about {ROW_BYTES:,} bytes in one JSONL file, means "
        f"over {result['seeds']} seeds:\n\n{report.table(header, rows)}\n"
        "![Position in the epoch against position in the file](shuffle_quality.png)\n\n"
        "The same figures, with their least and greatest values, are in "
        "[shuffle_quality.json](shuffle_quality.json). "
        f"{report.conditions(result)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write docs/performance/")
    args = parser.parse_args()
    results: list[dict[str, Any]] = []
    orders: list[tuple[str, Order]] = []

    def add(name: str, held: str, shuffle: Callable[[int], Order]) -> None:
        result, order = run(name, held, shuffle, args.seeds)
        results.append(result)
        orders.append((f"{name}\n{held} rows held", order))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        make_rows(path, args.rows)
        add("full permutation", "all", lambda seed: permutation(args.rows, seed))
        for held in HELD:
            add(
                "fast_axolotl",
                f"{held:,}",
                lambda seed, held=held: ours(path, held, 1, seed),
            )
        add(
            "fast_axolotl, 8 lanes",
            f"8 x {HELD[0]:,}",
            lambda seed: ours(path, HELD[0], 8, seed),
        )
        try:
            import datasets  # noqa: F401
        except ImportError:
            print("datasets is not installed: its buffer is left out")
        else:
            for held in HELD:
                add(
                    "datasets",
                    f"{held:,}",
                    lambda seed, held=held: buffer(path, held, seed),
                )
    result = {
        "rows": args.rows,
        "seeds": args.seeds,
        "machine": report.machine(),
        "versions": report.versions("datasets", "numpy"),
        "command": report.command(),
        "results": results,
    }
    if args.write:
        target = report.DOCS / "shuffle_quality.json"
        target.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        plot(orders, report.DOCS / "shuffle_quality.png")
        report.write_section(report.DOCS / "shuffle.md", "shuffle", section(result))


if __name__ == "__main__":
    main()
