# SPDX-License-Identifier: Apache-2.0
"""Which format a file is taken for, and what is refused with a way out."""

import gzip

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from entrances import everywhere
from formats import FORMATS, read_rows, table, to_arrow

import fast_axolotl

DATA = table(id=[1, 2, 3], text=["a", "b", None])

# --- format=, and the bytes against the name ------------------------------------------


def test_list_supported_formats():
    formats = fast_axolotl.list_supported_formats()
    assert formats[:7] == ["parquet", "arrow", "feather", "json", "jsonl", "csv", "text"]
    assert {f"{f}{c}" for f in formats[:7] for c in (".gz", ".zst")} < set(formats)
    assert formats[-1] == "hf_dataset"
    assert len(set(formats)) == len(formats) == 7 * 3 + 1


def test_format_decides_between_formats_of_text(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('{"a": 1}\n{"a": 2}\n')
    assert read_rows(path, format="jsonl") == read_rows(path, format="json")
    assert read_rows(path, format="jsonl") == [{"a": 1}, {"a": 2}]
    assert read_rows(path, format="text") == [{"text": '{"a": 1}'}, {"text": '{"a": 2}'}]
    assert [list(row.values()) for row in read_rows(path)] == [['{"a": 2}']]


def test_format_against_the_bytes(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(next(f for f in FORMATS if f.id == "parquet").write(DATA))
    for name in ("csv", "jsonl", "arrow", "text"):
        with pytest.raises(ValueError, match="parquet"):
            read_rows(path, format=name)
    path.write_text("a,b\n1,2\n")
    for name in ("parquet", "arrow", "feather"):
        with pytest.raises(OSError, match=r"data\.bin"):
            read_rows(path, format=name)


@pytest.mark.parametrize("compression", ["", "gzip", "zstd"])
@pytest.mark.parametrize("suffix", [f.suffix for f in FORMATS if f.id != "json_pretty"])
def test_binary_bytes_decide_over_the_suffix(suffix, compression, tmp_path):
    for format_ in FORMATS:
        if format_.text:
            continue
        data = format_.write(DATA)
        # Under the compression's own suffix, and under a name that says nothing of it.
        for ending in {"", {"gzip": ".gz", "zstd": ".zst"}.get(compression, "")}:
            path = tmp_path / f"data{suffix}{ending}"
            path.write_bytes(pa.compress(data, compression, asbytes=True) if compression
                             else data)  # fmt: skip
            assert read_rows(path) == DATA.dicts()
            name, codec = fast_axolotl.detect_format(path)
            assert (name == "parquet") == (format_.name == "parquet")
            assert codec == (compression or None)
            with pytest.raises(ValueError, match="first bytes are those of"):
                read_rows(path, format="text")


@pytest.mark.parametrize(
    "options",
    [
        {"data_page_version": "2.0"},
        {"use_dictionary": False, "compression": "none"},
        {"version": "1.0", "write_statistics": False},
        {"write_page_index": True, "write_page_checksum": True},
    ],
)
@pytest.mark.parametrize("rows", [0, 3])
def test_parquet_under_a_name_of_text(options, rows, tmp_path):
    data = to_arrow(DATA).slice(0, rows)
    pq.write_table(data, tmp_path / "data.parquet", **options)
    raw = (tmp_path / "data.parquet").read_bytes()
    for name, written in {"a.txt": raw, "a.csv.gz": gzip.compress(raw)}.items():
        (tmp_path / name).write_bytes(written)
        assert read_rows(tmp_path / name) == data.to_pylist()


def test_parquet_that_is_cut_off_is_no_text_either(tmp_path):
    data = FORMATS[0].write(DATA)[:-30]
    for name, written in {"a.txt": data, "a.txt.gz": gzip.compress(data)}.items():
        (tmp_path / name).write_bytes(written)
        with pytest.raises(OSError, match=rf"{name}: .*[Pp]arquet"):
            read_rows(tmp_path / name, on_error="skip")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_text_may_begin_as_binary_formats_do(pack, tmp_path):
    path = tmp_path / "data.csv"
    for head in ("PAR1", "PARENT", "PARE", "FEA1", "PAR1\tx", "ARROW1"):
        path.write_bytes(pack(f"{head},b\n1,2\nPAR1,FEA1".encode()))
        assert read_rows(path) == [{head: "1", "b": "2"}, {head: "PAR1", "b": "FEA1"}]


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".zstd", ".gzip"])
def test_plain_text_under_a_compressed_name(suffix, tmp_path):
    path = tmp_path / f"data.jsonl{suffix}"
    path.write_text('{"a": 1}\n')
    with pytest.raises(OSError, match=r"data\.jsonl") as raised:
        read_rows(path)
    assert ("gzip" if "g" in suffix else "zstd") in str(raised.value)
    with pytest.raises(OSError, match=r"data\.jsonl"):
        fast_axolotl.detect_format(path)


MARK = "\ufeff"


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}, {"a": 2}]',
        '[{"a": 1},\n{"a": 2}]\n',
        '[\n  {\n    "a": 1\n  },\n  {"a": 2}\n]\n',
        ' \r\n\t[ \n{"a": 1}, {"a": 2}]',
        MARK + '[{"a": 1}, {"a": 2}]',
        MARK + ' \n[{"a": 1}, {"a": 2}]',
    ],
)
def test_an_array_of_objects_under_a_name_of_lines(text, tmp_path):
    path = tmp_path / "data.jsonl"
    for written in (text.encode(), gzip.compress(text.encode())):
        path.write_bytes(written)
        assert fast_axolotl.detect_format(path)[0] == "json"
        assert read_rows(path) == [{"a": 1}, {"a": 2}]
        assert read_rows(path, on_error="skip") == [{"a": 1}, {"a": 2}]


def test_an_empty_array_under_a_name_of_lines(tmp_path):
    path = tmp_path / "data.jsonl"
    for text in ("[]", "[]\n", " [ \n ] \n", MARK + "[]"):
        path.write_text(text)
        assert read_rows(path) == []


@pytest.mark.parametrize("row", ["[1, 2]", "[[1]]", "[[]]", '["a"]', "[null]", "[", "[,"])
@pytest.mark.parametrize("before", ["", MARK, " \t"])
def test_lines_that_are_arrays_are_bad_rows(before, row, tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text(f'{before}{row}\n[3]\n{{"a": 1}}\n')
    assert fast_axolotl.detect_format(path) == ("jsonl", None)
    with pytest.raises(
        OSError, match=r"data\.jsonl: line 1, .*an object, '\{', found .\["
    ):
        read_rows(path)
    bad = []
    assert read_rows(path, on_error=lambda row: bad.append((row.line, row.row))) == [
        {"a": 1}
    ]
    assert bad == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    "name", ["data", "data.xyz", "data.gz", "data.tar", ".jsonl.bak"]
)
def test_a_name_that_says_nothing(name, tmp_path):
    path = tmp_path / name
    with pytest.raises(ValueError, match=r"\.parquet"):
        fast_axolotl.detect_format(path)
    path.write_bytes(
        gzip.compress(b"a,b\n1,2\n") if name.endswith("gz") else b"a,b\n1,2\n"
    )
    for make in (*everywhere(), fast_axolotl.detect_format):
        with pytest.raises(ValueError, match=name) as raised:
            make(path)
        assert "format=" in str(raised.value)
    assert read_rows(path, format="csv") == [{"a": 1, "b": 2}]


@pytest.mark.parametrize("value", [None, 1, b"x.jsonl", ["x.jsonl"]])
def test_detect_format_of_a_wrong_type(value):
    with pytest.raises(TypeError, match="path"):
        fast_axolotl.detect_format(value)


def test_detect_format_by_name():
    for name, expected in {
        "a.parquet": ("parquet", None), "a.JSONL.GZ": ("jsonl", "gzip"),
        "no/such/a.tsv.zst": ("csv", "zstd"), "a.ndjson.zstd": ("jsonl", "zstd"),
        "a.b.feather": ("feather", None), "a.ipc": ("arrow", None),
        "a.txt.gz": ("text", "gzip"),
    }.items():  # fmt: skip
        assert fast_axolotl.detect_format(name) == expected


# --- refused with the way out ---------------------------------------------------------


def assert_refused(path, match):
    for make in (*everywhere(), fast_axolotl.detect_format):
        with pytest.raises(ValueError, match=match) as raised:
            make(path)
        assert path.name in str(raised.value)


@pytest.mark.filterwarnings("ignore")
def test_feather_v1_is_refused(tmp_path):
    path = tmp_path / "old.feather"
    pyarrow.feather.write_feather(pa.table({"a": [1, 2]}), str(path), version=1)
    assert path.read_bytes()[:4] == b"FEA1"
    assert_refused(path, r"Feather V1.*write_feather")
    path = path.rename(tmp_path / "old.bin")
    assert_refused(path, "Feather V1")


class PlainKms(pe.KmsClient):
    def __init__(self, config):
        super().__init__()

    def wrap_key(self, key_bytes, master_key_identifier):
        return key_bytes.hex()

    def unwrap_key(self, wrapped_key, master_key_identifier):
        return bytes.fromhex(wrapped_key)


@pytest.mark.parametrize("plaintext_footer", [False, True])
def test_encrypted_parquet_is_refused(plaintext_footer, tmp_path):
    path = tmp_path / "secret.parquet"
    properties = pe.CryptoFactory(PlainKms).file_encryption_properties(
        pe.KmsConnectionConfig(),
        pe.EncryptionConfiguration(
            footer_key="f",
            column_keys={"c": ["a"]},
            plaintext_footer=plaintext_footer,
            double_wrapping=False,
        ),
    )
    data = pa.table({"a": [1, 2], "b": [3, 4]})
    pq.write_table(data, path, encryption_properties=properties)
    if plaintext_footer:
        # The columns that are not encrypted can be read; the other one cannot.
        assert read_rows(path, columns=["b"]) == [{"b": 3}, {"b": 4}]
        with pytest.raises((OSError, ValueError), match=r"secret\.parquet.*crypt"):
            read_rows(path)
    else:
        assert_refused(path, "encrypted")


@pytest.mark.parametrize(
    "head", [b"BZh91AY&SY", b"\xfd7zXZ\0", b"PK\x03\x04", b"7z\xbc\xaf'\x1c"]
)
def test_other_compressions_are_refused(head, tmp_path):
    for name in ("data.jsonl", "data.csv", "data.json"):
        path = tmp_path / name
        path.write_bytes(head + b"x" * 100)
        assert_refused(path, "decompress")
