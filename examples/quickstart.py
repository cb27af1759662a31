# SPDX-License-Identifier: Apache-2.0
"""Stream fine-tuning data in batches, and show what came and how fast.

    python examples/quickstart.py           the sample data, in every format
    python examples/quickstart.py PATH      your own file, folder or glob

torch is not needed; where it is installed, ``ds.loader()`` gives a DataLoader over the
same batches.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from fast_axolotl import StreamingDataset, detect_format

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data"
Batch = dict[str, list[Any]]


@dataclass
class Run:
    """What one pass over a dataset gave."""

    name: str
    files: list[str]
    schema: dict[str, str]
    rows: int
    batches: int
    seconds: float
    first_rows: list[dict[str, Any]]

    @property
    def columns(self) -> list[str]:
        return list(self.schema)

    @property
    def megabytes(self) -> float:
        """The size of the files as they lie on disk, compressed or not."""
        return sum(Path(file).stat().st_size for file in self.files) / 1e6


def train_step(batch: Batch) -> int:
    """Stand in for the model; return the number of rows it was shown."""
    return max((len(values) for values in batch.values()), default=0)


def train(name: str, path: str, batch_size: int, show: int) -> Iterator[Run]:
    """Go once through the data, as a training loop does; yield now and then."""
    start = time.perf_counter()
    dataset = StreamingDataset(path, batch_size=batch_size)
    run = Run(name, dataset.files, dataset.schema, 0, 0, 0.0, [])
    for batch in dataset:
        run.rows += train_step(batch)
        run.batches += 1
        if len(run.first_rows) < show:
            rows = zip(*batch.values(), strict=True)
            run.first_rows += [dict(zip(batch, row, strict=True)) for row in rows]
            del run.first_rows[show:]
        run.seconds = time.perf_counter() - start
        yield run
    run.seconds = time.perf_counter() - start
    yield run


def watch(console: Console, runs: Iterator[Run]) -> Run:
    """Run to the end and meanwhile say on a terminal how far it is."""
    columns = [SpinnerColumn(), TextColumn("{task.description}")]
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task("reading")
        shown = 0.0
        for run in runs:
            if run.seconds - shown > 0.1:
                shown = run.seconds
                text = f"{run.name}: {run.rows:,} rows, {run.rows / shown:,.0f} rows/s"
                progress.update(task, description=text)
    return run


def print_summary(console: Console, runs: list[Run]) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("data", overflow="fold")
    table.add_column("format")
    table.add_column("rows", justify="right")
    table.add_column("MB/s", justify="right")
    table.add_column("columns", overflow="fold")
    for run in runs:
        kinds = dict.fromkeys(map(detect_format, run.files))
        table.add_row(
            Text(run.name),
            ", ".join(" ".join(filter(None, kind)) for kind in kinds),
            f"{run.rows:,}",
            f"{run.megabytes / run.seconds:,.1f}",
            Text(", ".join(run.columns)),
        )
    console.print(table)
    console.print(
        f"{sum(len(run.files) for run in runs):,} file(s), "
        f"{sum(run.megabytes for run in runs):,.3f} MB, "
        f"{sum(run.rows for run in runs):,} rows, "
        f"{sum(run.batches for run in runs):,} batches "
        f"in {sum(run.seconds for run in runs):.3f} s"
    )


def print_first_rows(console: Console, run: Run) -> None:
    """One line a column, so that it does not matter how many columns there are."""
    table = Table(
        title=f"First rows of {run.name}", title_justify="left", show_lines=True
    )
    table.add_column("column", overflow="fold")
    table.add_column("type", overflow="fold")
    for number in range(1, len(run.first_rows) + 1):
        table.add_column(f"row {number}", overflow="fold")
    for name, type_name in run.schema.items():
        cells = [Text(shorten(row.get(name))) for row in run.first_rows]
        table.add_row(Text(name), Text(type_name), *cells)
    console.print(table)


def shorten(value: object, limit: int = 100) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("path", nargs="?", help="a file, folder or glob of your own")
    parser.add_argument("--batch-size", type=int, default=32, help="rows a batch (32)")
    parser.add_argument("--rows", type=int, default=3, help="first rows to show (3)")
    args = parser.parse_args()

    console = Console()
    if args.path:
        sources = {args.path: args.path}
    else:
        sources = {path.name: str(path) for path in sorted(DATA.iterdir())}
    try:
        runs = [
            watch(console, train(name, path, args.batch_size, args.rows))
            for name, path in sources.items()
        ]
    except (OSError, ValueError) as error:
        text = str(error)
        if isinstance(error, OSError) and error.filename:
            text = f"{error.filename}: {error.strerror}"
        print(f"error: {text}", file=sys.stderr)
        return 1
    print_summary(console, runs)
    print_first_rows(console, max(runs, key=lambda run: len(run.columns)))
    if not args.path:
        console.print(
            "These files are tiny, so MB/s says little here: try a PATH of your own."
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
