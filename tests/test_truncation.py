# SPDX-License-Identifier: Apache-2.0
"""A file cut off at any byte: exactly the whole rows before the cut, then an error.

Where a cut leaves a whole file, it cannot be told: between rows of text, CSV and JSON
lines, behind the last bracket of JSON, between members of gzip and frames of zstd, and
between the messages of an Arrow stream. What is expected is worked out here from the
bytes that are left, by the standard library and pyarrow.
"""

import csv
import io
import json
import zlib

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from formats import CASES, table, to_arrow
from inner_cases import ids, inner, ipc_cases, parquet

DATA = table(
    id=[1, 2, 3, 4, 5],
    text=["one", 'a,"b"', "dréi,\nvier", None, "five"],
)


# --- what is left of compressed data --------------------------------------------------


def rest_of_gzip(data):
    """The bytes before the cut, and whether they end where a member does."""
    out, whole = b"", False
    while data:
        member = zlib.decompressobj(31)
        out += member.decompress(data)
        whole = member.eof
        if not whole:
            break
        data = member.unused_data.lstrip(b"\0")
    return out, whole


def rest_of_zstd(data):
    # A magic number that is cut off is of no frame.
    if len(data) < 4:
        return b"", False
    stream = pa.CompressedInputStream(pa.BufferReader(data), "zstd")
    out = b""
    try:
        while byte := stream.read(1):
            out += byte
    except OSError:
        return out, False
    return out, True


def rest(compression, data):
    if compression.name is None:
        return data, True
    return {"gzip": rest_of_gzip, "zstd": rest_of_zstd}[compression.name](data)


# --- what is left of a format ---------------------------------------------------------
#
# Each tells of the bytes that are left the rows that are whole in any case, and all rows
# if the bytes look like a whole file, or None.


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def rest_of_text(data):
    *lines, last = data.split(b"\n")
    sure = [{"text": line.decode()} for line in lines]
    if not is_utf8(last):
        return sure, None
    return sure, sure + ([{"text": last.decode()}] if last else [])


def rest_of_lines(data):
    *lines, last = data.split(b"\n")
    sure = [json.loads(line) for line in lines]
    try:
        return sure, sure + ([json.loads(last)] if last else [])
    except ValueError:
        return sure, None


def rest_of_json_lines(data):
    """No line at all is no JSON."""
    sure, rows = rest_of_lines(data)
    return sure, rows or None


def rest_of_array(data):
    """An element is whole where it is followed by another one, or by the end."""
    text = data.decode(errors="replace")
    decoder = json.JSONDecoder()
    sure, at = [], text.find("[") + 1
    while at:
        start = at + len(text[at:]) - len(text[at:].lstrip())
        try:
            row, end = decoder.raw_decode(text, start)
        except ValueError:
            break
        border = end + len(text[end:]) - len(text[end:].lstrip())
        if text[border : border + 1] == "]":
            return [*sure, row], [*sure, row]
        if text[border : border + 1] != ",":
            break
        sure.append(row)
        at = border + 1
    return sure, None


def rest_of_object(data):
    try:
        row = json.loads(data)
    except ValueError:
        return [], None
    return [], [row]


def csv_rows(text):
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [tuple(cell or None for cell in row) for row in rows]


def csv_typed(rows):
    return [(int(number), *text) for number, *text in rows[1:]]


def rest_of_csv(data):
    """A cut in a row's last cell leaves a whole row, and in the header another one."""
    quoted, end = False, 0
    for at, byte in enumerate(data):
        quoted ^= byte == ord('"')
        if byte == ord("\n") and not quoted:
            end = at + 1
    sure = csv_typed(csv_rows(data[:end].decode()))
    try:
        rows = csv_rows(data.decode())
    except (csv.Error, UnicodeDecodeError):
        return sure, None
    if len({len(row) for row in rows}) > 1:
        return sure, None
    return sure, csv_typed(rows)


def rest_of_stream(data):
    """Any message from the schema on may be the last, without a mark of the end."""
    stream = pa.BufferReader(data)
    rows, ends = [], set()
    try:
        reader = pa.ipc.open_stream(stream)
        ends.add(stream.tell())
        for batch in reader:
            rows += zip(*batch.to_pydict().values(), strict=True)
            ends.add(stream.tell())
    except (OSError, pa.ArrowInvalid):
        pass
    return rows, rows if len(data.removesuffix(END_MARK)) in ends else None


END_MARK = b"\xff\xff\xff\xff\0\0\0\0"


def rest_of_footer(data):
    """Without the footer at its end there is nothing to read."""
    read = pq.read_table if data.startswith(b"PAR1") else pyarrow.feather.read_table
    try:
        return [], read(pa.BufferReader(data)).to_pylist()
    except (OSError, pa.ArrowInvalid):
        return [], None


REST = {
    "parquet": rest_of_footer,
    "ipc_file": rest_of_footer,
    "ipc_stream": rest_of_stream,
    "feather": rest_of_footer,
    "json_array": rest_of_array,
    "json_pretty": rest_of_array,
    "json_object": rest_of_object,
    "json_lines": rest_of_json_lines,
    "jsonl": rest_of_lines,
    "csv": rest_of_csv,
    "text": rest_of_text,
}


def shown(row):
    return repr(tuple(row.values()) if isinstance(row, dict) else tuple(row))


# --- formats with codecs of their own -------------------------------------------------


def feather_with(codec):
    def write(data):
        out = io.BytesIO()
        pyarrow.feather.write_feather(to_arrow(data), out, compression=codec)
        return out.getvalue()

    return write


INNER = [
    *(
        inner(f"parquet:{codec}", "parquet", ".parquet", parquet(3, compression=codec))
        for codec in ("none", "gzip", "zstd", "lz4", "brotli")
    ),
    *ipc_cases(rows=3),
    *(
        inner(f"feather:{codec}", "feather", ".feather", feather_with(codec))
        for codec in ("uncompressed", "zstd")
    ),
]

CUT = [
    *(
        case
        for case in CASES
        # The same code as jsonl and csv, and one more frame.
        if case.format.id not in {"ndjson", "tsv"}
        and case.compression.id != "zstd_skippable"
    ),
    *INNER,
]


# --- cut off --------------------------------------------------------------------------


@pytest.mark.parametrize("case", CUT, ids=ids(CUT))
def test_cut_off_at_every_byte(case, worker, tmp_path):
    path = tmp_path / f"data{case.suffix}"
    data = case.encode(DATA)
    rows, kind, _ = worker.read(path, data)
    assert kind is None
    rest_of = REST[case.format.id.split(":")[0]]
    told = 0
    for cut in range(len(data)):
        got, kind, text = worker.read(path, data[:cut])
        where = f"cut at {cut} of {len(data)}: {got} {kind} {text}"
        left, between = rest(case.compression, data[:cut])
        sure, rows = rest_of(left)
        whole = between and rows is not None
        assert got == [shown(row) for row in (rows if whole else sure)], where
        assert kind == (None if whole else "OSError"), where
        if kind:
            assert path.name in text, where
            told += 1
        # Everything again with an index and a plan takes long.
        if cut % 5 == 0 or kind is None:
            again = worker.read(path, data[:cut], how="planned")
            assert again.kind == kind, f"planned: {where}: {again}"
            assert kind or sorted(again.rows) == sorted(got), where
    assert told
