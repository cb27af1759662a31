# SPDX-License-Identifier: Apache-2.0
"""Make the inputs that fuzzing begins with: small files, valid and damaged.

    python scripts/make_fuzz_corpus.py [FOLDER] [--seed S]

Writes a folder for each target of ``fuzz/`` into FOLDER (``build/fuzzing/seeds``). The
first bytes of an input say how the rest is read; the targets' sources say which. The same
seed gives the same inputs, for the same versions of pyarrow, zlib and zstd.
"""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import random
import struct
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent

# --- texts ----------------------------------------------------------------------------

JSON_VALUES = [
    b"null", b"true", b"-0", b"-12.5e-3", b"1e400", b"9223372036854775808", b"NaN",
    b"-Infinity", b'""', b'"a\\u00e9\\n\\/\\ud83d\\ude00 \\ud800"', b"[]", b"{}",
    b"[1, 22, 333, 4444444, 55555555]", b"[1, 2.5, null]", b'["a", "b\\t"]',
    b"[true, false]", b"[1, [2]]", b'{"a": {"b": [1]}, "a": 2}', b"[" * 40 + b"]" * 40,
    b"12345678901234567890123", b"0.1", b"[1,]", b'"\\u12"', b"01", b'"a',
]  # fmt: skip
JSON_LINES = [
    b'{"id": 1, "text": "a"}\n{"id": 2, "text": "b\\"c"}\n\n{"id": null}\n',
    b'{"ids": [1, 2, 3], "m": {"k": []}}\r\n{"ids": [], "x": 1.5}\n{"ids": null, "x": 2}',
    b'{"a": 1}\n{"a": "s"}\n{"a": [1]}\n{"a": {}}\n{"b": true}\n',
    b'{"a": 9223372036854775808}\n{"a": 1.0}\n{"a": 1}\n',
    b'\xef\xbb\xbf{"\xc3\xa9": "\xe8\xaf\xb7"}\n{}\n',
    b'{"a": 1}\n{"a": oops}\n{"a": 3}\n',
    b'{"a": "\xff"}\n',
]
JSON_FILES = [
    b'[{"a": 1}, {"a": "],[\\"{"},\n {"b": [1, [2]]} ] \n',
    b"[]",
    b'[{"a": 1},]',
    b'[{"a": 1}, {"a"',
    b'{\n "a": 1,\n "b": [{}]\n}\n',
    b'{"a": 1}\n{"a": 2}\n',
    b'[{"a": 1}] x',
]
CSV_FILES = [
    b'id,text,x\n1,"a, ""b""\n c",0.5\n2,,\n-3,"",nan\r\n',
    b"a\tb\n1\ttrue\n2\tfalse\n",
    b'a;b\n"1";2\r3;4\n\n5;6',
    b"a,a,\n1,2,3\n007,+1,1e5\n9223372036854775808,.5,1.\n",
    b'a"b","c"d\ne"f,"g""h"\n',
    b"a,b\n1,2\n3\n",
    b'a,b\n1,"2\n',
    b"a\n\n1\n\n\n2\n",
    b"axb\n1x2\n",
    b"\xef\xbb\xbfa,b\n\xc3\xa9,\xff\n",
]
CSV_CELLS = [b"true", b"0", b"-9223372036854775808", b"1.", b".5", b"1e+5", b"nan",
             b"-inf", b"007", b"+1", b"9223372036854775808", b"2024-01-01"]  # fmt: skip
TEXTS = [b"one\ntwo\r\n\nthree", b"\xef\xbb\xbfa\n", b"\xe8\xaf\xb7\n\xff\n", b""]

# --- compressions ---------------------------------------------------------------------


def to_zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def gzip_header(flags: int, fields: bytes) -> bytes:
    return b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff" + fields


def gzip_files() -> list[bytes]:
    text = b"".join(b"%d words\n" % (i * 7919 % 1000) for i in range(60))
    plain = gzip.compress(text, mtime=0)
    stored = gzip.compress(text, 0, mtime=0)
    raw = zlib.compressobj(wbits=-15)
    body = raw.compress(b"hello") + raw.flush()
    tail = struct.pack("<II", zlib.crc32(b"hello"), 5)
    named = gzip_header(8 | 16, b"name\0a comment\0") + body + tail
    extra = gzip_header(4, struct.pack("<H", 4) + b"abcd") + body + tail
    head = gzip_header(2, b"")
    checked = head + struct.pack("<H", zlib.crc32(head) & 0xFFFF) + body + tail
    blocks = zlib.compressobj(wbits=31)
    flushed = b"".join(
        blocks.compress(text[i : i + 100]) + blocks.flush(zlib.Z_FULL_FLUSH)
        for i in range(0, len(text), 100)
    )
    return [
        plain,
        stored,
        named,
        extra,
        checked,
        flushed + blocks.flush(),
        plain + gzip.compress(b"", mtime=0) + stored + bytes(20),
        plain + b"garbage",
        gzip.compress(bytes(100_000), mtime=0),
    ]


def zstd_files() -> list[bytes]:
    text = b"".join(b"%d words\n" % (i * 7919 % 1000) for i in range(60))
    frame = to_zstd(text)
    skippable = struct.pack("<II", 0x184D2A53, 3) + b"abc"
    return [
        frame,
        to_zstd(b""),
        skippable + frame + skippable + frame,
        frame + b"garbage",
        to_zstd(bytes(100_000)),
        to_zstd(random.Random(1).randbytes(300)),
    ]


# --- columns --------------------------------------------------------------------------


def tables() -> list[pa.Table]:
    return [
        pa.table({"id": [1, None, 3], "text": ["a", "é", None], "x": [0.5, None, 2.0]}),
        pa.table({"ids": [[1, 2], [], None, [3, None]], "y": [[0.5], None, [], [1.5]]}),
        pa.table(
            {
                "s": [{"a": 1, "b": ["x"]}, None],
                "d": pa.array(["a", "b"]).dictionary_encode(),
                "t": pa.array([1, 2], pa.timestamp("us", "UTC")),
                "b": [b"\xff", None],
            }
        ),
        pa.table({"u": pa.array([1, 2, 3], pa.uint8()), "n": pa.nulls(3)}),
    ]


def parquet_file(table: pa.Table, compression: str) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=2, compression=compression)
    return out.getvalue()


def arrow_file(table: pa.Table, *, stream: bool) -> bytes:
    out = io.BytesIO()
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


def columnar_files() -> tuple[list[bytes], list[bytes]]:
    parquet = [
        parquet_file(table, compression)
        for table, compression in zip(
            tables(), itertools.cycle(["none", "snappy", "zstd", "gzip"])
        )
    ]
    arrow = [arrow_file(table, stream=stream) for table in tables() for stream in (0, 1)]
    return parquet, arrow


# --- the index, as DESIGN.md lays it out ----------------------------------------------


def text_field(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def fragments(*parts: tuple[int, int, int, int, int]) -> bytes:
    """Return fragments with no bad rows before them."""
    return struct.pack("<Q", len(parts)) + b"".join(
        struct.pack("<6q", *part, 0) for part in parts
    )


def index_bodies() -> list[bytes]:
    key = text_field(b"key")
    none = fragments()
    point = struct.pack("<qiqII", 0, 0, 0, 0, 0) + text_field(b"")
    inside = struct.pack("<qiqII", 40, 3, 60, 0xDEADBEEF, 60) + text_field(b"w" * 50)
    points = struct.pack("<Q", 2) + point + inside
    sound = b"\0" + bytes(8) + bytes(8)
    damage = struct.pack("<Qq", 1, 20) + text_field(b"damaged")
    bad = b"\1" + damage + struct.pack("<3Q", 2, 3, 7)
    return [
        key + b"\0\0" + fragments((0, 210, 20, 0, 0)) + none + bytes(8) + sound,
        key + b"\1\0" + fragments((1, 120, 12, 0, 0), (120, 211, 8, 12, 12)) + none
        + bytes(8) + sound,
        key + b"\2\1" + fragments((0, 9, 1, 0, 0)) + none + bytes(8) + sound,
        key + b"\0\0" + fragments((0, 210, 18, 0, 0)) + none + bytes(8) + bad,
        key + b"\0\0" + fragments((0, 210, 20, 0, 0))
        + fragments((0, 100, 10, 0, 0), (100, 210, 10, 10, 10)) + points + sound,
        key + b"\0\0" + none + none + bytes(8) + sound,
    ]  # fmt: skip


# --- targets --------------------------------------------------------------------------


def inputs() -> dict[str, list[bytes]]:
    """Return the valid inputs of each target, by its name."""
    parquet, arrow = columnar_files()
    gzips, zstds = gzip_files(), zstd_files()
    lines = gzip.compress(JSON_LINES[0], mtime=0)
    named = [
        *((1, text) for text in JSON_LINES),
        *((2, text) for text in JSON_FILES),
        *((3, text) for text in CSV_FILES),
        *((5, text) for text in TEXTS),
        (0, parquet[0]),
        (6, parquet[0]),
        (7, arrow[0]),
        (11, lines),
        (12, to_zstd(JSON_FILES[0])),
        (3, b"PARENT,b\n1,2\n"),
        (5, b"PAR1 of something\n"),
        (3, b"FEA1,b\n"),
        (1, "{}\n".encode("utf-16")),
        (0, b"BZh91AY&SY"),
        (0, b"PK\x03\x04"),
    ]
    return {
        "json": [
            *(b"\0\0" + value for value in JSON_VALUES),
            # From 128 on the second byte says that bad rows are kept.
            *(b"\1" + second + t for t in JSON_LINES for second in (b"\3", b"\x83")),
            *(b"\2" + second + t for t in JSON_FILES for second in (b"\3", b"\x83")),
        ],
        "csv": [
            *(b"\0\0" + cell for cell in CSV_CELLS),
            *(bytes([1 + 32 * (i % 4), 3]) + t for i, t in enumerate(CSV_FILES)),
            *(bytes([2 + 4 * (i % 5), 3]) + t for i, t in enumerate(CSV_FILES)),
            *(bytes([3 + 4 * (i % 5), 131]) + t for i, t in enumerate(CSV_FILES)),
        ],
        "framing": [
            bytes([kind + flag, 3, *([9] if flag >= 240 else []), 7, 90]) + text
            for kind, texts in enumerate([TEXTS, JSON_LINES, JSON_FILES, CSV_FILES])
            for text in texts
            for flag in (0, 16, 240)
        ],
        "gzip": [
            *(b"\1\3" + data for data in gzips),
            *(
                b"\0\3\x09" + bytes([bits]) + bytes(8) + b"\0\1" + bytes(129) + data[10:]
                for bits in (0, 3)
                for data in gzips[:3]
            ),
        ],
        "zstd": [b"\3" + data for data in zstds],
        "detect": [bytes([name, 255]) + data for name, data in named],
        "index": [
            *(bytes([2, file]) + b for b in index_bodies() for file in range(12)),
            bytes([1, 0]) + text_field(b"key") + struct.pack("<QIII", 3, 1, 0, 7),
            b"\0\0FAXIDX03",
        ],
        "columnar": [
            *(b"\0" + data for data in parquet),
            *(b"\1" + data for data in arrow),
        ],
    }


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return some bytes cut short, or with a bit turned over, or with some repeated."""
    at = rng.randrange(len(data))
    kind = rng.randrange(3)
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    return data[:at] + data[at // 2 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=ROOT / "build/fuzzing/seeds")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    for target, seeds in inputs().items():
        folder = Path(options.folder) / target
        folder.mkdir(parents=True, exist_ok=True)
        for i, data in enumerate(seeds):
            (folder / f"{i:03}").write_bytes(data)
            (folder / f"{i:03}-damaged").write_bytes(damaged(data, rng))


if __name__ == "__main__":
    main()
