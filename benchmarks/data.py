# SPDX-License-Identifier: Apache-2.0
"""The data of the benchmarks: the same bytes on every machine, made once and kept.

    python benchmarks/data.py [--data FOLDER] [--size N] [GLOB ...]

* *text*: 50,000 instruction rows, with quotes, newlines and several scripts;
* *tok*: 10,000 rows of 200 to 2,048 tokens, labels and mask (11 million tokens);
* *text.txt*: 50,000 lines of text;
* *wide*: 100,000 rows of 40 columns;
* *many*: 10,000 files of 10 rows.

``--size 10`` makes all of them ten times as long, ``--size 0.1`` a tenth. Beside each
file lies what its rows amount to, taken from the values before they were written.
"""

from __future__ import annotations

import argparse
import csv
import functools
import gzip
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO

import checksum
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

VERSION = 1  # of what is made here: a change of any byte needs another
LENGTH = 4096  # tokens in a packed row
PADDED_ROWS = 32
PAD = {"input_ids": 0, "labels": -100, "attention_mask": 0}
MANY_ROWS = 10  # in each file of *many*

Write = Callable[["Chunk"], object]


def default_folder() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fast-axolotl-benchmarks"


# --- values -----------------------------------------------------------------------------


def noise(seed: int, count: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Random 64-bit numbers: SplitMix64, which no release of numpy will change."""
    z = np.arange(1, count + 1, dtype=np.uint64)
    z = (z + np.uint64(seed << 40)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def below(seed: int, count: int, limit: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return (noise(seed, count) % np.uint64(limit)).astype(np.int64)


def unit(seed: int, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return (noise(seed, count) >> np.uint64(11)) / float(1 << 53)


@functools.cache
def vocabulary() -> list[str]:
    """5,000 words of 2 to 10 letters, some quoted, some of other scripts."""
    letters = np.array(list("etaoinshrdlcumwfgypbvkjxqz"))
    picked = below(1, 50_000, len(letters)).reshape(5_000, 10)
    words = [
        "".join(letters[row[:length]])
        for row, length in zip(picked, 2 + below(2, 5_000, 9), strict=True)
    ]
    others = ["naïve", "élan", "слово", "данные", "漢字", "データ", "مثال", "🦎", "λόγος"]
    for at, word in enumerate(others * 10):
        words[at * 50] = word
    for at in range(25, 5_000, 100):
        words[at] = f'"{words[at]}"'
    return words


def sentences(seed: int, rows: int, least: int, most: int) -> list[str]:
    """Texts of ``least`` to ``most`` words, every fifth with a newline in it."""
    lengths = least + below(seed, rows, most - least + 1)
    ends = np.cumsum(lengths)
    words = vocabulary()
    text = [words[i] for i in below(seed + 1, int(ends[-1]), len(words)).tolist()]
    begins = (ends - lengths).tolist()
    for middle in (ends - lengths // 2)[::5].tolist():
        text[middle] += "\n"
    pairs = zip(begins, ends.tolist(), strict=True)
    return [" ".join(text[begin:end]) for begin, end in pairs]


def text_rows(number: int, rows: int) -> pa.Table:
    seed = 100 + number * 20
    return pa.table(
        {
            "id": np.arange(number * rows, (number + 1) * rows),
            "instruction": sentences(seed, rows, 8, 32),
            "input": sentences(seed + 2, rows, 8, 32),
            "output": sentences(seed + 4, rows, 20, 120),
            "score": np.rint(unit(seed + 6, rows) * 1e6) / 1e6,
        }
    )


def txt_rows(number: int, rows: int) -> pa.Table:
    lines = sentences(100 + number * 20 + 8, rows, 20, 120)
    return pa.table({"text": [line.replace("\n", "") for line in lines]})


def tok_rows(number: int, rows: int) -> pa.Table:
    """Ids from 1 to 128,000, small ones the most frequent; a prompt without labels."""
    seed = 100 + number * 20 + 10
    lengths = 200 + below(seed, rows, 1849)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    count = int(offsets[-1])
    ids = 1 + (below(seed + 1, count, 128_000) >> below(seed + 3, count, 12))
    ids = ids.astype(np.int32)
    prompts = (lengths * (0.1 + 0.4 * unit(seed + 2, rows))).astype(np.int64)
    place = np.arange(len(ids)) - np.repeat(offsets[:-1], lengths)
    labels = np.where(place < np.repeat(prompts, lengths), np.int32(-100), ids)
    columns = {
        "input_ids": ids,
        "labels": labels.astype(np.int32),
        "attention_mask": np.ones(len(ids), np.int8),
    }
    ends = pa.array(offsets.astype(np.int32))
    return pa.table(
        {
            name: pa.ListArray.from_arrays(ends, pa.array(values))
            for name, values in columns.items()
        }
    )


def wide_rows(number: int, rows: int) -> pa.Table:
    """Ten times: a whole number, two floats, a short text."""
    columns: dict[str, Any] = {}
    for at in range(0, 40, 4):
        seed = 10_000 + number * 100 + at
        columns[f"c{at:02}"] = below(seed, rows, 1 << 40)
        columns[f"c{at + 1:02}"] = np.rint(unit(seed + 1, rows) * 1e6) / 1e6
        columns[f"c{at + 2:02}"] = np.rint(unit(seed + 2, rows) * 1e6) / 1e6
        columns[f"c{at + 3:02}"] = sentences(seed + 50, rows, 2, 8)
    return pa.table(columns)


def many_rows(number: int, rows: int) -> pa.Table:
    seed = 20_000 + number * 10
    return pa.table(
        {
            "id": np.arange(number * rows, (number + 1) * rows),
            "text": sentences(seed, rows, 5, 15),
            "score": np.rint(unit(seed + 2, rows) * 1e6) / 1e6,
        }
    )


ROWS: dict[str, tuple[Callable[[int, int], pa.Table], int]] = {
    "text": (text_rows, 50_000),
    "txt": (txt_rows, 50_000),
    "tok": (tok_rows, 10_000),
    "wide": (wide_rows, 100_000),
    "many": (many_rows, 100_000),
}


class Chunk:
    """Rows of a data set, and their text, which several files share."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    @functools.cached_property
    def json_rows(self) -> list[str]:
        return [json.dumps(row, ensure_ascii=False) for row in self.table.to_pylist()]

    @functools.cached_property
    def lines(self) -> bytes:
        return "".join(f"{row}\n" for row in self.json_rows).encode()

    @functools.cached_property
    def text(self) -> bytes:
        return "".join(f"{line}\n" for line in self.table["text"].to_pylist()).encode()


# --- files ------------------------------------------------------------------------------


@contextmanager
def packed_file(path: Path, suffix: str) -> Iterator[BinaryIO]:
    """A file that is compressed while it is written, as its suffix says."""
    with path.open("wb") as file:
        if suffix == ".gz":
            # Without a name or a time, so that the same rows are the same bytes.
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as stream:
                yield stream  # type: ignore[misc]
        elif suffix == ".zst":
            with pa.CompressedOutputStream(file, "zstd") as stream:
                yield stream
        else:
            yield file


@contextmanager
def write_lines(path: Path, suffix: str) -> Iterator[Write]:
    with packed_file(path, suffix) as file:
        yield lambda chunk: file.write(chunk.lines)


@contextmanager
def write_text(path: Path, suffix: str) -> Iterator[Write]:
    with packed_file(path, suffix) as file:
        yield lambda chunk: file.write(chunk.text)


@contextmanager
def write_json_array(path: Path, _: str) -> Iterator[Write]:
    with path.open("w", encoding="utf-8") as file:
        opening = itertools.chain("[", itertools.repeat(",\n"))
        yield lambda chunk: file.write(next(opening) + ",\n".join(chunk.json_rows))
        file.write("]\n")


@contextmanager
def write_csv(path: Path, _: str) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")

        def write(chunk: Chunk) -> None:
            if file.tell() == 0:
                writer.writerow(chunk.table.column_names)
            columns = [column.to_pylist() for column in chunk.table.columns]
            writer.writerows(zip(*columns, strict=True))

        yield write


@contextmanager
def write_parquet(path: Path, _: str) -> Iterator[Write]:
    with ExitStack() as stack:
        writer: pq.ParquetWriter | None = None

        def write(chunk: Chunk) -> None:
            nonlocal writer
            if writer is None:
                new = pq.ParquetWriter(path, chunk.table.schema, compression="zstd")
                writer = stack.enter_context(new)
            writer.write_table(chunk.table)

        yield write


@contextmanager
def write_ipc(path: Path, suffix: str) -> Iterator[Write]:
    """Batches of 1,000 rows; Feather as its own writer does it, 65,536 rows and LZ4."""
    feather = suffix == ".feather"
    options = pa.ipc.IpcWriteOptions(compression="lz4" if feather else None)
    with ExitStack() as stack:
        writer: pa.RecordBatchFileWriter | None = None

        def write(chunk: Chunk) -> None:
            nonlocal writer
            if writer is None:
                new = pa.ipc.new_file(str(path), chunk.table.schema, options=options)
                writer = stack.enter_context(new)
            writer.write_table(chunk.table, 65_536 if feather else 1_000)

        yield write


@contextmanager
def write_folder(path: Path, _: str) -> Iterator[Write]:
    path.mkdir()
    numbers = itertools.count()

    def write(chunk: Chunk) -> None:
        for begin in range(0, len(chunk.json_rows), MANY_ROWS):
            rows = chunk.json_rows[begin : begin + MANY_ROWS]
            name = f"part-{next(numbers):07}.jsonl"
            (path / name).write_text("\n".join(rows) + "\n", "utf-8")

    yield write


WRITERS: dict[str, Callable[[Path, str], Any]] = {
    ".jsonl": write_lines,
    ".json": write_json_array,
    ".csv": write_csv,
    ".parquet": write_parquet,
    ".arrow": write_ipc,
    ".feather": write_ipc,
    ".txt": write_text,
}
NAMES = [
    "text.parquet",
    "text.jsonl",
    "text.jsonl.gz",
    "text.jsonl.zst",
    "text.csv",
    "text.json",
    "text.arrow",
    "text.feather",
    "text.txt",
    "text.txt.gz",
    "text.txt.zst",
    "tok.parquet",
    "tok.jsonl",
    "tok.jsonl.gz",
    "tok.jsonl.zst",
    "tok.arrow",
    "wide.parquet",
    "many.jsonl",
]


def dataset_of(name: str) -> str:
    """Whose rows a file holds: a key of ROWS."""
    return "txt" if ".txt" in name else name.partition(".")[0]


def open_writer(path: Path, name: str) -> Any:
    if name == "many.jsonl":
        return write_folder(path, "")
    suffixes = Path(name).suffixes
    return WRITERS[suffixes[0]](path, suffixes[-1])


# --- what the rows amount to ------------------------------------------------------------


def padded_batches(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows of *tok* in padded batches, written for being read, not for speed."""
    for begin in range(0, len(table), PADDED_ROWS):
        rows = table.slice(begin, PADDED_ROWS).to_pydict()
        longest = max(map(len, rows["input_ids"]))
        yield {
            name: np.array([row + [fill] * (longest - len(row)) for row in rows[name]])
            for name, fill in PAD.items()
        }


class Expected:
    """The checksums that every loader's rows are held against, by output."""

    def __init__(self, dataset: str) -> None:
        outputs = ["lists", "padded", "packed"] if dataset == "tok" else ["lists"]
        self._sums = {output: checksum.KINDS[output]() for output in outputs}
        self._left: pa.Table | None = None  # rows that do not fill a padded batch yet

    def add(self, table: pa.Table) -> None:
        self._sums["lists"].add(table)
        if "padded" not in self._sums:
            return
        ids = table["input_ids"].combine_chunks().flatten()
        self._sums["packed"].add({"input_ids": ids.to_numpy()})
        if self._left is not None:
            table = pa.concat_tables([self._left, table]).combine_chunks()
        whole = len(table) // PADDED_ROWS * PADDED_ROWS
        self._pad(table.slice(0, whole))
        self._left = table.slice(whole)

    def _pad(self, table: pa.Table) -> None:
        for batch in padded_batches(table):
            self._sums["padded"].add(batch)

    def figures(self) -> dict[str, checksum.Figures]:
        if self._left is not None:
            self._pad(self._left)
        return {output: one.figures() for output, one in self._sums.items()}


# --- making -----------------------------------------------------------------------------


class Data:
    """The files of one size in a folder."""

    def __init__(self, folder: Path, size: float = 1) -> None:
        self.folder = folder.resolve() / f"v{VERSION}-x{size:g}"
        self.size = size

    def path(self, name: str) -> Path:
        return self.folder / name

    def bytes(self, name: str) -> int:
        path = self.path(name)
        files = path.iterdir() if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)

    def expected(self, dataset: str) -> dict[str, checksum.Figures]:
        """What the rows amount to, by output; ``"arrow"`` is as ``"lists"``."""
        sums = (self.folder / f"{dataset}.sums.json").read_text()
        return dict(json.loads(sums))

    def missing(self, names: list[str]) -> list[str]:
        return [name for name in names if not self.path(name).exists()]

    def make(self, names: list[str], tell: Callable[[str], None] = print) -> None:
        """Make those of the named files that are not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for dataset in ROWS:
            mine = self.missing([n for n in names if dataset_of(n) == dataset])
            if mine:
                tell(f"making {', '.join(mine)}")
                self._make(dataset, mine)

    def chunks(self, dataset: str) -> Iterator[Chunk]:
        """The rows, at most one size 1 at a time."""
        make_rows, rows = ROWS[dataset]
        whole = max(1, round(self.size))
        for number in range(whole):
            yield Chunk(make_rows(number, max(100, round(rows * min(self.size, 1)))))

    def _make(self, dataset: str, names: list[str]) -> None:
        expected = Expected(dataset)
        drafts = {name: self.path(f"{name}.part") for name in names}
        for draft in drafts.values():
            shutil.rmtree(draft) if draft.is_dir() else draft.unlink(missing_ok=True)
        with ExitStack() as stack:
            writers = [
                stack.enter_context(open_writer(draft, name))
                for name, draft in drafts.items()
            ]
            for chunk in self.chunks(dataset):
                for write in writers:
                    write(chunk)
                expected.add(chunk.table)
        sums = json.dumps(expected.figures(), indent=1)
        (self.folder / f"{dataset}.sums.json").write_text(sums + "\n")
        # A file has its own name only when it is whole.
        for name, draft in drafts.items():
            draft.rename(self.path(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", default=["*"], metavar="GLOB")
    parser.add_argument("--data", type=Path, default=default_folder())
    parser.add_argument("--size", type=float, default=1)
    args = parser.parse_args()
    data = Data(args.data, args.size)
    names = [n for n in NAMES if any(fnmatch(n, pattern) for pattern in args.names)]
    data.make(names)
    for name in names:
        print(f"{data.bytes(name) / 1e6:10,.1f} MB  {data.path(name)}")


if __name__ == "__main__":
    main()
