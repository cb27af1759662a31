# SPDX-License-Identifier: Apache-2.0
"""What it costs to resume at 90 % of an epoch: seconds and bytes to the first batch.

    python benchmarks/resume.py [--gb SIZE] [--rounds N] [--write]

Makes a JSONL file, its .gz and a Parquet file of the same rows in a temporary folder.
Each candidate first runs to 90 % of the epoch and saves its state; then, in a fresh
process for each measurement, it loads the state and gives the next batch, which must hold
the rows that came next. One JSON line a measurement goes to stdout. With ``--write`` the
tables of the documentation are written. Peers run only where they are installed.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import report

BATCH = 32
POINT = 0.9
ROW_GROUP = 10_000  # rows in a Parquet row group
FILES = {"jsonl": "rows.jsonl", "jsonl.gz": "rows.jsonl.gz", "parquet": "rows.parquet"}


# --- data -------------------------------------------------------------------------------


def make_files(folder: Path, size: int) -> int:
    """Write the three files; JSON lines of ``size`` bytes. Return the number of rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = random.Random(20260)
    letters = "etaoinshrdlucm"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(4000)]
    sentences = [
        " ".join(rng.choices(words, k=rng.randint(5, 20))) for _ in range(30_000)
    ]
    kinds = [(name, pa.string()) for name in ("instruction", "input", "output")]
    schema = pa.schema([("id", pa.int64()), *kinds])
    rows = written = 0
    with (
        (folder / FILES["jsonl"]).open("wb") as plain,
        gzip.open(folder / FILES["jsonl.gz"], "wb", compresslevel=6) as packed,
        pq.ParquetWriter(folder / FILES["parquet"], schema, compression="zstd") as table,
    ):
        while written < size:
            group = []
            for _ in range(ROW_GROUP):
                parts = rng.choices(sentences, k=12)
                group.append(
                    {
                        "id": rows + len(group),
                        "instruction": parts[0],
                        "input": " ".join(parts[1:4]),
                        "output": " ".join(parts[4:]),
                    }
                )
            text = "".join(json.dumps(row) + "\n" for row in group).encode()
            plain.write(text)
            packed.write(text)
            table.write_table(pa.Table.from_pylist(group, schema=schema))
            rows += len(group)
            written += len(text)
    return rows


# --- candidates -------------------------------------------------------------------------
# Each opens the file, goes on from a state if there is one, and gives batches as lists of
# the rows' numbers; state() is the state after the batches given so far.


class Ours:
    def __init__(self, path: Path, *, shuffle: bool) -> None:
        from fast_axolotl import StreamingDataset

        self.dataset = StreamingDataset(path, BATCH, shuffle=shuffle, seed=1)

    def batches(self, state: Any, _: int) -> Any:
        if state is not None:
            self.dataset.load_state_dict(state)
        for batch in self.dataset:
            yield batch["id"]

    def state(self) -> Any:
        return self.dataset.state_dict()


class Datasets:
    def __init__(self, path: Path, *, skip: bool) -> None:
        import datasets

        datasets.disable_progress_bars()
        kind = "parquet" if path.suffix == ".parquet" else "json"
        self.skip = skip
        self.dataset = datasets.load_dataset(
            kind, data_files=str(path), split="train", streaming=True
        )

    def batches(self, state: Any, given: int) -> Any:
        dataset = self.dataset
        if state is not None and self.skip:
            dataset = dataset.skip(given * BATCH)
        elif state is not None:
            dataset.load_state_dict(state)
        rows = iter(dataset)
        while batch := [row["id"] for _, row in zip(range(BATCH), rows, strict=False)]:
            yield batch

    def state(self) -> Any:
        return self.dataset.state_dict()


class Litdata:
    def __init__(self, path: Path) -> None:
        from litdata import StreamingDataLoader, StreamingDataset
        from litdata.streaming.item_loader import ParquetLoader

        # It wants a folder, which holds nothing else, and an index there.
        folder = path.parent / "litdata"
        dataset = StreamingDataset(str(folder), item_loader=ParquetLoader())
        self.loader = StreamingDataLoader(dataset, batch_size=BATCH, num_workers=0)

    def batches(self, state: Any, _: int) -> Any:
        if state is not None:
            self.loader.load_state_dict(state)
        for batch in self.loader:
            yield batch["id"].tolist()

    def state(self) -> Any:
        return self.loader.state_dict()


CANDIDATES: dict[str, Any] = {
    "fast_axolotl": lambda path: Ours(path, shuffle=False),
    "fast_axolotl, shuffled": lambda path: Ours(path, shuffle=True),
    "datasets, load_state_dict": lambda path: Datasets(path, skip=False),
    "datasets, skip": lambda path: Datasets(path, skip=True),
    "litdata": Litdata,
}


def load_modules(who: str) -> None:
    """Import what a candidate needs, torch included where it asks for that."""
    package = importlib.import_module(who.partition(",")[0])
    if package.__name__ == "fast_axolotl":
        getattr(package, "StreamingDataset")  # noqa: B009  (made at this access)


def candidates(kind: str) -> list[str]:
    """Those that are installed and read files of this kind."""
    names = ["fast_axolotl", "fast_axolotl, shuffled"]
    if find_spec("datasets"):
        names += ["datasets, load_state_dict", "datasets, skip"]
    if kind == "parquet" and find_spec("litdata"):
        names.append("litdata")
    return names


# --- what runs in processes of its own --------------------------------------------------


def bytes_read() -> int:
    """Bytes that this process has read from files, whether they were cached or not."""
    text = Path("/proc/self/io").read_text()
    return int(text.split("rchar:")[1].split()[0])


def child_index(path: Path, who: str) -> dict[str, Any]:
    if who == "litdata":
        import litdata

        folder = path.parent / "litdata"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / path.name).hardlink_to(path)
        start, read = time.perf_counter(), bytes_read()
        litdata.index_parquet_dataset(str(folder))
    else:
        from fast_axolotl import build_index

        shutil.rmtree(os.environ["FAST_AXOLOTL_CACHE"], ignore_errors=True)
        start, read = time.perf_counter(), bytes_read()
        build_index(path)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "bytes": bytes_read() - read}


def child_prepare(path: Path, who: str, given: int, state_file: Path) -> dict[str, Any]:
    candidate = CANDIDATES[who](path)
    batches = iter(candidate.batches(None, 0))
    for _ in range(given):
        next(batches)
    state = json.loads(json.dumps(candidate.state()))
    state_file.write_text(json.dumps({"state": state, "next": next(batches)}))
    return {}


def child_resume(path: Path, who: str, given: int, state_file: Path) -> dict[str, Any]:
    saved = json.loads(state_file.read_text())
    load_modules(who)
    start, read = time.perf_counter(), bytes_read()
    candidate = CANDIDATES[who](path)
    opened, read_opened = time.perf_counter(), bytes_read()
    batch = next(iter(candidate.batches(saved["state"], given)))
    end = time.perf_counter()
    return {
        "right": batch == saved["next"],
        "open_seconds": opened - start,
        "open_bytes": read_opened - read,
        "seconds": end - opened,
        "bytes": bytes_read() - read_opened,
    }


def child(job: dict[str, Any]) -> None:
    path, state_file = Path(job["path"]), Path(job["state"])
    try:
        if job["task"] == "index":
            result = child_index(path, job["who"])
        else:
            task = child_prepare if job["task"] == "prepare" else child_resume
            result = task(path, job["who"], job["given"], state_file)
        code = 0
    except BaseException:  # noqa: BLE001  (whatever a peer raises is its result)
        traceback.print_exc()
        result, code = {}, 1
    print(json.dumps(result), flush=True)
    sys.stderr.flush()
    # Nobody's threads, caches or exit handlers may hold up what comes next.
    os._exit(code)


def in_process(job: dict[str, Any], timeout: float, cache: Path) -> dict[str, Any]:
    """What the child measured, or why there is nothing."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", json.dumps(job)]
    environment = {
        **os.environ,
        # One for each file, so that its index can be built anew.
        "FAST_AXOLOTL_CACHE": str(cache / "fast_axolotl" / Path(job["path"]).name),
        "HF_HOME": str(cache / "datasets"),
    }
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"more than {timeout:.0f} s"}
    if done.returncode != 0:
        return {"failed": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


# --- the run ----------------------------------------------------------------------------


class Measuring:
    """The files in a folder, and what was measured with them."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.timeout = args.timeout
        self.folder = folder
        self.rows = make_files(folder, int(args.gb * 1e9))
        self.measurements: list[dict[str, Any]] = []

    def do(self, task: str, kind: str, who: str, **more: Any) -> bool:
        """Do one task in a process of its own; return whether it went well."""
        job = {
            "task": task,
            "path": str(self.folder / FILES[kind]),
            "who": who,
            "given": int(self.rows / BATCH * POINT),
            "state": str(self.folder / f"{kind}-{who}.state"),
        }
        found = in_process(job, self.timeout, self.folder / "cache")
        if found:
            what = {"task": task, "file": kind, "who": who, **more, **found}
            print(json.dumps(what), flush=True)
            self.measurements.append(what)
        return "failed" not in found

    def index(self, number: int) -> None:
        for kind in FILES:
            for who in ("fast_axolotl", "litdata"):
                if who in candidates(kind):
                    self.do("index", kind, who, round=number)


def run(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    machine = report.machine()
    measuring = Measuring(args, folder)
    measuring.index(0)
    able = [
        (kind, who)
        for kind in FILES
        for who in candidates(kind)
        if measuring.do("prepare", kind, who)
    ]
    for number in range(args.rounds):
        if number > 0:
            measuring.index(number)
        # They take turns, since a machine's speed drifts, and not always in one order.
        turn = number % len(able)
        for kind, who in able[turn:] + able[:turn]:
            measuring.do("resume", kind, who, round=number)
    kept = [p for p in (folder / "cache" / "fast_axolotl").rglob("*") if p.is_file()]
    return {
        "rows": measuring.rows,
        "rounds": args.rounds,
        "sizes": {kind: (folder / name).stat().st_size for kind, name in FILES.items()},
        "index_bytes": sum(p.stat().st_size for p in kept),
        "machine": machine,
        "versions": report.versions("datasets", "litdata", "pyarrow"),
        "command": report.command(),
        "measurements": measuring.measurements,
    }


def spread(values: list[float], digits: int) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def is_index(measured: dict[str, Any], kind: str, who: str) -> bool:
    what = (measured["task"], measured["file"], measured["who"])
    return what == ("index", kind, who) and "seconds" in measured


def section(result: dict[str, Any]) -> str:
    found = result["measurements"]
    lines = []
    for kind in FILES:
        for who in CANDIDATES:
            mine = [m for m in found if (m["file"], m["who"]) == (kind, who)]
            failed = [m["failed"] for m in mine if "failed" in m]
            rounds = [m for m in mine if m["task"] == "resume" and "seconds" in m]
            if failed:
                lines.append([kind, who, f"failed: {failed[0]}", "", "", ""])
            elif rounds:
                lines.append(
                    [
                        kind,
                        who,
                        spread([m["seconds"] for m in rounds], 3),
                        spread([m["bytes"] / 1e6 for m in rounds], 1),
                        spread([m["open_seconds"] for m in rounds], 3),
                        "yes" if all(m["right"] for m in rounds) else "no",
                    ]
                )
    resumed = report.table(
        [
            "file",
            "loader",
            "seconds to the first batch",
            "MB read for it",
            "seconds to open, before",
            "the right rows",
        ],
        lines,
    )
    indexed = report.table(
        ["file", "loader", "MB on disk", "seconds", "MB read"],
        [
            [
                kind,
                who,
                f"{result['sizes'][kind] / 1e6:,.0f}",
                spread([m["seconds"] for m in mine], 3),
                spread([m["bytes"] / 1e6 for m in mine], 1),
            ]
            for kind in FILES
            for who in CANDIDATES
            if (mine := [m for m in found if is_index(m, kind, who)])
        ],
    )
    sizes = [f"{kind} {size / 1e6:,.0f} MB" for kind, size in result["sizes"].items()]
    return (
        f"{result['rows']:,} rows ({', '.join(sizes)}, of {ROW_GROUP:,} rows a row "
        f"group), batches of {BATCH}, resumed at {POINT * 100:.0f} % of the epoch; "
        f"median of {result['rounds']} fresh processes, least and greatest value in "
        "parentheses; files and index in the page cache.\n\n"
        f"{resumed}\n"
        "Before it, once, a file is indexed:\n\n"
        f"{indexed}\n"
        f"The indexes take {result['index_bytes'] / 1e3:,.0f} kB together.\n\n"
        f"{report.conditions(result)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gb", type=float, default=2.0, help="size of the JSONL file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--timeout", type=float, default=900, help="seconds a process")
    parser.add_argument("--folder", type=Path, help="where the files are made")
    parser.add_argument("--write", action="store_true", help="write docs/performance/")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(json.loads(args.child))
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        result = run(args, Path(folder))
    if args.write:
        target = report.DOCS / "resume.json"
        target.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        report.write_section(report.DOCS / "benchmarks.md", "resume", section(result))


if __name__ == "__main__":
    main()
