# SPDX-License-Identifier: Apache-2.0
"""What ``soak_processes.py`` runs: a job, told by JSON on the first line of standard
input. Each batch is a line of JSON on standard output, with its rows as pairs of the
row's number and a checksum of its values; the last line says how it ended.
"""

from __future__ import annotations

import csv
import faulthandler
import io
import json
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

Pair = tuple[Any, int]


def plain(value: object) -> object:
    """Return the value without what outputs may change: NaN stands for None there."""
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124


def loosened(value: object) -> str:
    """Return a value as text, numbers of all kinds and spellings alike."""
    try:
        return repr(float(str(value)))
    except ValueError:
        return str(value)


def checksum(row: dict[str, Any], *, loose: bool = False) -> int:
    """Return a checksum; `loose`: as far as readers of damaged files must agree.

    A damaged key is another column, of which other rows have nothing, and a damaged cell
    may make a column of CSV another type.
    """
    values = {name: plain(value) for name, value in row.items()}
    if loose:
        values = {k: loosened(v) for k, v in values.items() if v is not None and v != ""}
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())


def pairs(rows: list[dict[str, Any]], *, loose: bool = False) -> list[Pair]:
    if loose:
        return [(loosened(row.get("id")), checksum(row, loose=True)) for row in rows]
    return [(row.get("id"), checksum(row)) for row in rows]


def rows_of(
    batch: Any,  # noqa: ANN401
    output: str | None,
) -> list[dict[str, Any]]:
    if output is not None:
        from outputs import values_of

        batch = values_of(batch)
    return [
        dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True)
    ]


def unpadded(batch: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a padded batch: 0 is the padding, and no token."""
    columns = {
        name: batch[name].tolist() if hasattr(batch[name], "tolist") else batch[name]
        for name in batch
        if name in {"id", "text", "x", "ids"}
    }
    columns["ids"] = [[token for token in row if token] for row in columns["ids"]]
    return [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def given(
    batch: Any,  # noqa: ANN401
    job: dict[str, Any],
) -> dict[str, Any]:
    """Return what is told of a batch."""
    options = job["options"]
    if job.get("pack"):
        return {"tokens": [int(token) for token in batch["input_ids"].ravel() if token]}
    rows = unpadded(batch) if job.get("pad") else rows_of(batch, options.get("output"))
    return {"rows": pairs(rows, loose=job.get("loose", False))}


def batches(job: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the batches of a job, each with a function that tells the state behind it."""
    import fast_axolotl

    options = dict(job["options"])
    if job.get("pad"):
        options["pad"] = {"ids": 0}
    if job.get("pack"):
        options["pack"] = fast_axolotl.PackOptions(job["pack"], tokens="ids")
    if job["mode"] == "reader":
        for batch in fast_axolotl.streaming_dataset_reader(job["paths"], **options):
            yield batch, lambda: None
        return
    dataset = fast_axolotl.StreamingDataset(job["paths"], **options)
    if job.get("state"):
        dataset.load_state_dict(job["state"])
    else:
        dataset.set_epoch(job.get("epoch", 0))
    if job.get("workers"):
        loader = dataset.loader(num_workers=job["workers"])
        for count, batch in enumerate(loader, 1):
            yield batch, lambda count=count: dataset.state_at(count)
        return
    for batch in dataset:
        yield batch, dataset.state_dict


def read(job: dict[str, Any]) -> None:
    steps = job.get("steps")
    if steps == 0:
        return
    for step, (batch, state) in enumerate(batches(job), 1):
        say(**given(batch, job), state=state() if job.get("states") else None)
        if step == job.get("pause_after"):
            say(paused=True)
            sys.stdin.readline()
        if job.get("sleep"):
            time.sleep(job["sleep"])
        if step == steps:
            return


# --- another reader, for what damage has made of a file --------------------------------


def inflate(data: bytes) -> tuple[bytes, bool]:
    """Return what can be decompressed of all members, and whether it is all."""
    out = b""
    while data.strip(b"\0"):
        stream = zlib.decompressobj(wbits=31)
        try:
            while data and not stream.eof:
                out += stream.decompress(data[:64])
                data = stream.unused_data + data[64:]
        except zlib.error:
            return out, False
        if not stream.eof:
            return out, False
    return out, True


def unzstd(data: bytes) -> tuple[bytes, bool]:
    import pyarrow as pa

    out = b""
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            while part := stream.read(64):
                out += part
    except OSError:
        return out, False
    return out, True


def json_rows(data: bytes, *, whole: bool) -> Iterator[dict[str, Any]]:
    if data.lstrip().startswith(b"["):
        yield from array_rows(data.decode(errors="replace" if whole else "ignore"))
        return
    for line in data.split(b"\n")[: None if whole else -1]:
        if line.strip():
            yield json.loads(line)


def array_rows(text: str) -> Iterator[dict[str, Any]]:
    """Yield the elements of an array one by one, up to the first that is none."""
    decoder = json.JSONDecoder()
    rest = text.lstrip()[1:].lstrip()
    while not rest.startswith("]"):
        value, end = decoder.raw_decode(rest)
        yield value
        rest = rest[end:].lstrip()
        if not rest.startswith((",", "]")):
            raise ValueError("no comma")
        rest = rest.removeprefix(",").lstrip()
    if rest[1:].strip():
        raise ValueError("more than an array")


def csv_rows(data: bytes, delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(1 << 30)
    rows = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter)
    names = next(rows, [])
    for row in rows:
        if row:
            yield dict(zip(names, row, strict=True))


def arrow_rows(data: bytes) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    if data.startswith(b"ARROW1"):
        file = pa.ipc.open_file(data)
        found = (file.get_batch(i) for i in range(file.num_record_batches))
    else:
        found = iter(pa.ipc.open_stream(data))
    for batch in found:
        batch.validate(full=True)
        yield from batch.to_pylist()


def parquet_rows(data: bytes) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
    for i in range(file.num_row_groups):
        yield from file.read_row_group(i).to_pylist()


def read_otherwise(job: dict[str, Any]) -> None:
    """Tell the rows that other readers find in a file, as far as they come."""
    path = Path(job["paths"][0])
    data, whole = path.read_bytes(), True
    if data.startswith(b"\x1f\x8b"):
        data, whole = inflate(data)
    elif path.suffix in {".zst", ".zstd"}:
        data, whole = unzstd(data)
    name = path.name
    if ".csv" in name or ".tsv" in name:
        rows = csv_rows(data, "," if ".csv" in name else "\t")
    elif ".parquet" in name:
        rows = parquet_rows(data)
    elif ".json" in name or ".ndjson" in name:
        rows = json_rows(data, whole=whole)
    else:
        rows = arrow_rows(data)
    # One after the other: a fault comes behind the rows before it.
    for row in rows:
        say(rows=pairs([row], loose=job.get("loose", False)))
    if not whole:
        raise OSError("cannot be decompressed")


def main() -> None:
    faulthandler.enable()
    job = json.loads(sys.stdin.readline())
    run = read_otherwise if job["mode"] == "otherwise" else read
    try:
        run(job)
    except Exception as error:  # noqa: BLE001
        kinds = [kind.__name__ for kind in type(error).__mro__]
        say(error=kinds, text=str(error))
        return
    say(end=True)


if __name__ == "__main__":
    main()
