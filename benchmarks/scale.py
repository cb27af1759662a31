# SPDX-License-Identifier: Apache-2.0
"""How this package does on files of 40 MB, 400 MB and 4 GB, with one thread and two.

    python benchmarks/scale.py [--files GLOB ...] [--repeats N] [--factor F]
                               [--data FOLDER] [--out FILE] [--keep]

Seconds per GB and peak memory by size, one thread against two, and the speed of counting
rows; one JSON line each. The largest file of each format is made, measured
and removed before the next, so 15 GB of disk are enough. Making takes most of the time;
``data.py --size 100 'text.*'`` and ``--size 25 'tok.*'`` make all at once, with 60 GB.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import report

report.require("numpy", "pyarrow", "rich")

from data import NAMES, Data, dataset_of, default_folder  # noqa: E402
from harness import Harness, Line, Results  # noqa: E402
from loaders import OURS  # noqa: E402
from rich.progress import (  # noqa: E402
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

# So that text in JSON has about 40 MB, 400 MB and 4 GB, whatever the data set.
SIZES: dict[str, list[float]] = {
    "text": [1, 10, 100],
    "txt": [1, 10, 100],
    "tok": [0.25, 3, 25],
}
# Decoding dominates in these; a stream of gzip or zstd is decompressed by one thread.
THREADS = ["text.jsonl", "tok.jsonl", "text.csv", "text.json", "text.parquet"]
THREADS += ["tok.parquet", "text.jsonl.gz", "text.jsonl.zst"]
COUNTED = ["text.jsonl", "tok.jsonl"]


class Task(NamedTuple):
    """One figure: ``at`` is what varies, the size or the threads."""

    what: str
    file: str
    size: float
    at: float


def tasks(file: str, factor: float) -> Iterator[Task]:
    sizes = [size * factor for size in SIZES[dataset_of(file)]]
    for size in sizes:
        yield Task("size", file, size, size)
    if file in THREADS:
        yield Task("threads", file, sizes[1], 1)
        yield Task("threads", file, sizes[1], 2)
    if file in COUNTED:
        yield Task("count", file, sizes[-1], sizes[-1])


def measure(harness: Harness, task: Task) -> Line:
    job = {
        "loader": OURS,
        "output": {"size": "lists", "threads": "arrow", "count": "count"}[task.what],
        "path": str(harness.data.path(task.file)),
        "columns": None,
        "check": False,
        "options": {"num_threads": int(task.at)} if task.what == "threads" else {},
    }
    found = harness.run(job)
    size = harness.data.bytes(task.file)
    if "error" not in found:
        gigabytes = size / 1e9
        found["s_per_gb"] = found["warm_s"] / gigabytes
        found["gb_per_s"] = gigabytes / found["warm_s"]
    line = {"scale": task.what, "file": task.file, "size": task.size, "at": task.at}
    return {**line, "bytes": size, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--files", nargs="+", default=["*"], metavar="GLOB")
    add("--repeats", type=int, default=3)
    add("--factor", type=float, default=1, help="of all sizes")
    add("--timeout", type=float, default=900, help="seconds for one process")
    add("--data", type=Path, default=default_folder(), help="where the data are kept")
    add("--out", type=Path, help="default: scale.jsonl in the folder of the data")
    add("--keep", action="store_true", help="keep the largest files")
    args = parser.parse_args()
    files = [
        name
        for name in NAMES
        if dataset_of(name) in SIZES and any(fnmatch(name, glob) for glob in args.files)
    ]
    about = {
        "machine": report.machine(),
        "versions": report.versions("pyarrow"),
        "command": report.command(),
    }
    results = Results(args.out or args.data / "scale.jsonl", about)
    columns = [
        *Progress.get_default_columns(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    ]
    total = sum(len(list(tasks(file, args.factor))) for file in files) * args.repeats
    with Progress(*columns, refresh_per_second=1) as progress:
        bar = progress.add_task("measuring", total=total, now="")
        for file in files:
            todo = list(tasks(file, args.factor))
            data = {task.size: Data(args.data, task.size) for task in todo}
            for one in data.values():
                progress.update(bar, now=f"making {file}")
                one.make([file], lambda _: None)
            for repeat in range(args.repeats):
                for task in todo:
                    told = f"{file}, {task.what} {task.at:g}"
                    progress.update(bar, now=told)
                    harness = Harness(data[task.size], args.timeout)
                    harness.warm([file])
                    results.add({**measure(harness, task), "repeat": repeat})
                    progress.advance(bar)
            if not args.keep:
                largest = data[max(data)].path(file)
                largest.unlink()
    print(f"Tables and plots: python benchmarks/report.py --scale {results.path} --write")


if __name__ == "__main__":
    main()
