# SPDX-License-Identifier: Apache-2.0
"""Files that change while they are read: the old rows, or an error that names the file.

Never a mixture of old and new rows, never fewer rows without an error, and no crash: a
mapped file that shrinks would kill the process.
"""

import gzip
import io
import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fast_axolotl
from fast_axolotl import StreamingDataset

ROWS = 30_000


def text_lines(sign, rows):
    return "".join(f"{sign}{i:09d} {'x' * 90}\n" for i in range(rows)).encode()


def json_lines(sign, rows):
    return "".join(
        f'{{"id": "{sign}{i:09d}", "text": "{"x" * 80}"}}\n' for i in range(rows)
    ).encode()


def json_array(sign, rows):
    elements = json_lines(sign, rows).decode().splitlines()
    return ("[" + ",\n".join(elements) + "]").encode()


def cells(sign, rows):
    lines = (f"{sign}{i:09d},{'x' * 90}\n" for i in range(rows))
    return ("id,text\n" + "".join(lines)).encode()


def arrow_table(sign, rows):
    # Text that no codec makes small.
    text = [f"{i * 2654435761 % 2**32:08x}" * 10 for i in range(rows)]
    return pa.table({"id": [f"{sign}{i:09d}" for i in range(rows)], "text": text})


def parquet(sign, rows):
    out = io.BytesIO()
    pq.write_table(
        arrow_table(sign, rows),
        out,
        row_group_size=rows // 6,
        compression="none",
        use_dictionary=False,
        column_encoding="PLAIN",
    )
    return out.getvalue()


def ipc(new):
    def write(sign, rows):
        data, out = arrow_table(sign, rows), io.BytesIO()
        with new(out, data.schema) as writer:
            writer.write_table(data, max_chunksize=rows // 10)
        return out.getvalue()

    return write


def stored(write):
    """Behind gzip, in as many bytes: nothing is compressed."""

    def zipped(sign, rows):
        return gzip.compress(write(sign, rows), 0, mtime=0)

    return zipped


WRITERS = {
    ".txt": text_lines,
    ".jsonl": json_lines,
    ".json": json_array,
    ".csv": cells,
    ".parquet": parquet,
    ".arrow": ipc(pa.ipc.new_file),
    ".ipc": ipc(pa.ipc.new_stream),
    ".jsonl.gz": stored(json_lines),
    ".parquet.gz": stored(parquet),
}


def touch(path):
    """The clock of a file system may stand still for some milliseconds."""
    info = path.stat()
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 5_000_000_000))


# --- what happens to the file ---------------------------------------------------------


def rewritten(path, write):
    """Other rows in as many bytes, in the same place."""
    data = write("b", ROWS)
    assert len(data) == path.stat().st_size
    with path.open("r+b") as file:
        file.write(data)
    touch(path)


def replaced(path, write):
    """By another file of that size, as editors and writers of whole files do."""
    other = path.with_name("other")
    other.write_bytes(write("b", ROWS))
    touch(other)
    other.replace(path)


def replaced_by_a_longer_one(path, write):
    other = path.with_name("other")
    other.write_bytes(write("b", ROWS + ROWS // 10))
    other.replace(path)


def truncated(path, write):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def emptied(path, write):
    path.write_bytes(b"")


def grown(path, write):
    with path.open("ab") as file:
        file.write(write("b", 100))


def deleted(path, write):
    path.unlink()


CHANGES = [
    rewritten,
    replaced,
    replaced_by_a_longer_one,
    truncated,
    emptied,
    grown,
    deleted,
]


# --- reading --------------------------------------------------------------------------


@pytest.fixture(scope="module", params=WRITERS)
def kind(request):
    write = WRITERS[request.param]
    return request.param, write, write("a", ROWS)


@pytest.fixture
def changing(kind, tmp_path):
    suffix, write, data = kind
    path = tmp_path / f"data{suffix}"
    path.write_bytes(data)
    return path, write


def rows_of(batch):
    (name,) = {"id", "text"} & set(list(batch)[:1])
    return [value[:10] for value in batch[name]]


def until_error(batches):
    """The rows that were given, and the error, if any."""
    seen = []
    try:
        for batch in batches:
            seen += rows_of(batch)
    except OSError as error:
        return seen, error
    return seen, None


def expect_old_rows(path, batches, seen, *, in_order=True):
    """The rest of the old rows, or some of them and then an error; tells which."""
    more, error = until_error(batches)
    seen = seen + more
    assert {row[0] for row in seen} <= {"a"}
    numbers = [int(row[1:]) for row in seen]
    if in_order:
        assert numbers == list(range(len(numbers)))
    assert len(set(numbers)) == len(numbers)
    if error is None:
        assert len(numbers) == ROWS
    else:
        assert path.name in str(error)
    return error


SMALL_STEPS = {"num_threads": 1, "read_ahead_bytes": 1}


@pytest.mark.parametrize("change", CHANGES)
def test_between_two_batches(change, changing):
    path, write = changing
    with fast_axolotl.streaming_dataset_reader(path, 100, **SMALL_STEPS) as reader:
        seen = rows_of(next(reader))
        change(path, write)
        error = expect_old_rows(path, reader, seen)
    if change is rewritten and error:
        assert "the file was written to after it was looked at" in str(error)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_between_two_batches_of_a_plan(change, shuffle, changing):
    path, write = changing
    data = StreamingDataset(
        path, 100, num_lanes=2, shuffle=shuffle, shuffle_window=500, **SMALL_STEPS
    )
    with iter(data) as batches:
        seen = rows_of(next(batches))
        change(path, write)
        expect_old_rows(path, batches, seen, in_order=False)
    # What was decompressed to a temporary file is still there for the next pass.
    error = expect_old_rows(path, iter(data), [], in_order=False)
    assert error or path.name.endswith(".parquet.gz")


@pytest.mark.parametrize("change", CHANGES)
def test_between_index_and_pass(change, changing):
    path, write = changing
    data = StreamingDataset(path, 100, num_lanes=2, shuffle=False)
    assert len(data) >= ROWS // 100
    change(path, write)
    expect_old_rows(path, iter(data), [], in_order=False)


@pytest.mark.parametrize("change", [rewritten, replaced, grown])
def test_a_new_dataset_reads_the_new_rows(change, changing):
    """What was kept of the old file is of no use to it."""
    path, write = changing
    list(StreamingDataset(path, 1000, num_lanes=2, shuffle=True))
    change(path, write)
    if change is grown and path.suffix not in {".txt", ".jsonl"}:
        return
    seen = [
        row
        for batch in StreamingDataset(path, 1000, num_lanes=2, shuffle=True)
        for row in rows_of(batch)
    ]
    assert len(seen) == ROWS + (100 if change is grown else 0)
    assert len([row for row in seen if row[0] == "b"]) == (
        100 if change is grown else ROWS
    )


@pytest.mark.parametrize("change", [rewritten, replaced, truncated, deleted])
def test_small_files(change, tmp_path):
    """They are read in one go: old rows, new ones are an error."""
    paths = [tmp_path / f"{i}.jsonl" for i in range(50)]
    for path in paths:
        path.write_bytes(b'{"id": "a"}\n' * 3)
    data = StreamingDataset(paths, 3, **SMALL_STEPS)
    batches = iter(data)
    assert next(batches)["id"] == ["a"] * 3
    for path in paths[20:]:
        change(path, lambda sign, _: b'{"id": "%s"}\n' % sign.encode() * 3)
    seen, error = until_error(batches)
    assert set(seen) == {"a"}
    assert len(seen) >= 19 * 3
    assert ".jsonl" in str(error)


def test_a_file_that_is_written_all_the_time(tmp_path):
    """Rows that are given are rows that were there together."""
    path = tmp_path / "data.txt"
    path.write_bytes(text_lines("a", ROWS))
    reader = iter(StreamingDataset(path, 100, **SMALL_STEPS))
    seen = [row for _ in range(3) for row in rows_of(next(reader))]
    with path.open("r+b") as file:
        # What is read next is new.
        file.seek(ROWS * 101 // 2)
        file.write(text_lines("b", ROWS)[: ROWS * 101 // 4])
    touch(path)
    more, error = until_error(reader)
    assert {row[0] for row in seen + more} == {"a"}
    assert "data.txt: the file was written to" in str(error)


def test_links_to_other_files(tmp_path):
    """A link that is turned to another file, as to the newest version."""
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_bytes(json_lines(name, ROWS))
    touch(tmp_path / "b.jsonl")
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "a.jsonl")
    data = StreamingDataset(link, 100, num_lanes=2, shuffle=False)
    assert len(data) >= ROWS // 100
    (tmp_path / "new").symlink_to(tmp_path / "b.jsonl")
    (tmp_path / "new").replace(link)
    with pytest.raises(OSError, match=r"link\.jsonl: the file was written to"):
        list(data)


@pytest.mark.skipif(sys.platform == "darwin", reason="DataLoader's workers are spawned")
def test_in_a_worker(tmp_path):
    torch_data = pytest.importorskip("torch.utils.data")
    path = tmp_path / "data.jsonl"
    path.write_bytes(json_lines("a", 200_000))
    data = StreamingDataset(path, 100, num_lanes=2, **SMALL_STEPS)
    len(data)
    batches = iter(torch_data.DataLoader(data, batch_size=None, num_workers=1))
    seen = rows_of(next(batches))
    truncated(path, None)
    more, error = until_error(batches)
    assert {row[0] for row in seen + more} == {"a"}
    assert "data.jsonl: the file shrank" in str(error)


def test_the_error_says_what_to_do(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"x": 1}\n')
    data = StreamingDataset(path)
    path.write_text('{"x": 1}\n{"x": 2}\n')
    with pytest.raises(
        OSError,
        match=r"data\.jsonl: the file grew after it was looked at: it had 9 bytes, now "
        r"it has 18; make the dataset anew",
    ):
        list(data)
    assert [json.loads(line) for line in path.read_text().splitlines()] == list(
        StreamingDataset(path).rows()
    )
