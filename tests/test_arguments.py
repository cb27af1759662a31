# SPDX-License-Identifier: Apache-2.0
"""Every parameter's types and values, and what each one does."""

import datetime as dt
import gzip
import inspect
import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from formats import FORMATS, exact, read_batches, read_rows, read_until_error, table

import fast_axolotl
from fast_axolotl import CsvOptions, PackOptions, streaming_dataset_reader

ENTRANCES = {
    "streaming_dataset_reader": streaming_dataset_reader,
    "create_streaming_dataset": fast_axolotl.create_streaming_dataset,
    "StreamingDataset": fast_axolotl.StreamingDataset,
    "count_rows": fast_axolotl.count_rows,
}
DATA = table(id=[1, 2, 3], text=["a", "b", None])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\n')
    return path


def everywhere(**options):
    """Every entrance that takes all of the options."""
    found = []
    for make in ENTRANCES.values():
        parameters = inspect.signature(make).parameters
        if all(name in parameters for name in options):
            found.append(make)
    assert streaming_dataset_reader in found
    return found


# --- types and values -----------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, b"x.jsonl", 1.5, {"a": 1}, {"x"}, object()),
        *([1], [None], ["x.jsonl", b"y"], [["x.jsonl"]]),
    ],
    ids=repr,
)
def test_path_of_a_wrong_type(value):
    for make in everywhere():
        with pytest.raises(TypeError, match=r"path must be .*, not \w+"):
            make(value)


def test_path_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="empty"):
        streaming_dataset_reader([])
    with pytest.raises((ValueError, FileNotFoundError)):
        streaming_dataset_reader("")
    with pytest.raises((ValueError, OSError), match=r"null|embedded|such"):
        streaming_dataset_reader("a\0b.jsonl")


WRONG_TYPES = {
    "batch_size": [None, "7", 1.5, True, [7], 7.0],
    "columns": ["text", b"text", 1, {"text"}, {"text": 1}, [1], ["id", None], [b"id"],
                (n for n in ["id"])],
    "num_threads": ["2", 1.5, True, [2]],
    "read_ahead_bytes": ["2", 1.5, True, [2]],
    "format": [1, b"jsonl", ["jsonl"], True],
    "csv": ["x", {"delimiter": ";"}, 1, CsvOptions],
    "schema": ["int64", 1, ["id"], [("id",
    "int64")], {"id": 1}, {"id": None}, {1: "int64"},
               {"id": int}, {"id": ["int64"]}],
    "output": [1, b"numpy", ["numpy"], True],
    "pad": [0, "ids", ["ids"], {1: 0}, {"ids": "0"}, {"ids": None}, {"ids": True}],
    "pack": [8, {"length": 8}, True, PackOptions],
    "transform": ["len", 1, [len], {}],
}  # fmt: skip
WRONG_VALUES = {
    "batch_size": [0, -1, 2**31, 2**63, 2**100],
    "columns": [[], (), ["nope"], ["id", "nope"], ["ID"], [""], ["id", "id"]],
    "num_threads": [0, -1, 2**63],
    "read_ahead_bytes": [0, -1, 2**64],
    "format": ["", "JSONL", "xml", ".jsonl", "jsonl.gz", "hf_dataset"],
    "schema": [{"id": ""}, {"id": "int"[:-1]}, {"id": "list<int64"}, {"id": "list<>"},
               {"id": "varchar(3)"}, {"id": "int64 "[:-1] + "x"}, {"id": "timestamp"},
               {"id": "decimal128(99, 2)"}],
    "output": ["", "pandas", "Numpy"],
    "pad": [{}, {"nope": 0}, {"id": 0}, {"text": 0}, {"id": 2**63}],
    "pack": [PackOptions(8), PackOptions(8, tokens="id")],
}  # fmt: skip


def pairs(wrong):
    return [(name, value) for name, values in wrong.items() for value in values]


@pytest.mark.parametrize(("name", "value"), pairs(WRONG_TYPES), ids=repr)
def test_a_wrong_type(name, value, path):
    for make in everywhere(**{name: value}):
        with pytest.raises(TypeError, match=name):
            make(path, **{name: value})


@pytest.mark.parametrize(("name", "value"), pairs(WRONG_VALUES), ids=repr)
def test_a_wrong_value(name, value, path):
    for make in everywhere(**{name: value}):
        with pytest.raises(ValueError, match=r"\w+ \w+"):
            make(path, **{name: value})


def test_a_wrong_argument_is_told_before_any_file_is_looked_for():
    with pytest.raises(TypeError, match="columns"):
        streaming_dataset_reader("missing.jsonl", columns="text")
    with pytest.raises(ValueError, match="batch_size"):
        streaming_dataset_reader("missing.jsonl", 0)


def test_extras_by_keyword_only(path):
    for make in (streaming_dataset_reader, fast_axolotl.create_streaming_dataset):
        with pytest.raises(TypeError):
            make(path, 1, None, 2)
    with pytest.raises(TypeError, match="threads"):
        streaming_dataset_reader(path, threads=2)


def test_the_first_three_by_position(path):
    expected = [{"id": [1]}, {"id": [2]}]
    assert list(streaming_dataset_reader(path, 1, ["id"])) == expected
    assert list(fast_axolotl._rust_streaming_reader(path, 1, ["id"])) == expected
    assert list(fast_axolotl.create_rust_streaming_dataset(path, 1, ["id"])) == expected
    assert list(fast_axolotl.RustStreamingDataset(path, 1, ["id"])) == expected


def test_defaults():
    signature = inspect.signature(streaming_dataset_reader)
    assert signature.parameters["batch_size"].default == 1000
    for make in (fast_axolotl.StreamingDataset, fast_axolotl.create_streaming_dataset):
        assert inspect.signature(make).parameters["batch_size"].default == 32
    assert (
        fast_axolotl.create_streaming_dataset
        is fast_axolotl.create_rust_streaming_dataset
    )
    assert fast_axolotl.StreamingDataset is fast_axolotl.RustStreamingDataset


def arguments(make):
    """Name to (kind, default, annotation), in their order."""
    found = inspect.signature(make).parameters.values()
    return {p.name: (p.kind, p.default, p.annotation) for p in found}


def test_entrances_take_the_same_arguments():
    """Written out at each of them, for editors and type checkers."""
    dataset = arguments(fast_axolotl.StreamingDataset)
    made = arguments(fast_axolotl.create_streaming_dataset)
    assert list(made.items()) == list(dataset.items())
    reader = arguments(streaming_dataset_reader)
    of_an_epoch = {
        *("shuffle", "seed", "num_lanes", "shuffle_window", "tail", "distributed")
    }
    shared = {name: dataset[name] for name in dataset if name not in of_an_epoch}
    del shared["batch_size"], reader["batch_size"]  # their defaults differ
    assert list(reader.items()) == list(shared.items())


def test_every_argument_is_passed_on(path, monkeypatch):
    names = arguments(fast_axolotl.create_streaming_dataset)
    given = {name: object() for name in names}
    monkeypatch.setattr(
        fast_axolotl,
        "StreamingDataset",
        lambda *three, **options: dict(zip(names, three, strict=False)) | options,
    )
    assert fast_axolotl.create_streaming_dataset(**given) == given


def test_every_argument_is_described():
    for make in (fast_axolotl.StreamingDataset, streaming_dataset_reader):
        for name in arguments(make):
            assert f"    {name}: " in make.__doc__


def test_integers_of_numpy_and_tuples_will_do(path):
    options = {"num_threads": np.int32(2), "read_ahead_bytes": np.uint64(10**6)}
    batches = list(streaming_dataset_reader(path, np.int64(1), ("id",), **options))
    assert batches == [{"id": [1]}, {"id": [2]}]


def test_unknown_column_names_the_columns_there_are(tmp_path):
    for format_ in FORMATS:
        path = tmp_path / f"data{format_.suffix}"
        data = format_.fit(DATA)
        path.write_bytes(format_.write(data))
        for make in everywhere(columns=[]):
            with pytest.raises(ValueError, match=r"\btxt\b") as raised:
                make(path, columns=["txt"])
            assert all(name in str(raised.value) for name in data.columns)


def test_a_column_of_a_later_file_is_known(tmp_path):
    """Footers and samples of all of a few files are looked at."""
    for suffix in (".parquet", ".jsonl", ".csv"):
        (format_,) = (f for f in FORMATS if f.suffix == suffix)
        paths = [
            tmp_path / f"{i}{suffix}" for i in range(40 if suffix == ".parquet" else 3)
        ]
        for i, path in enumerate(paths):
            path.write_bytes(format_.write(table(**{f"c{i}": [i]})))
        last = len(paths) - 1
        assert read_rows(paths, columns=[f"c{last}"])[last] == {f"c{last}": last}


def test_outputs_that_do_not_go_together(path):
    for make in everywhere(output=None, pad=None, pack=None):
        for output in ("python", "arrow"):
            with pytest.raises(ValueError, match=f"pad makes tensors.*{output}"):
                make(path, output=output, pad={"id": 0})
            with pytest.raises(ValueError, match=f"pack makes tensors.*{output}"):
                make(path, output=output, pack=PackOptions(8))
        with pytest.raises(ValueError, match="exclude each other"):
            make(path, pad={"id": 0}, pack=PackOptions(8))


# --- CsvOptions -----------------------------------------------------------------------


@pytest.mark.parametrize("value", [b";", 1, ["a"]])
def test_delimiter_of_a_wrong_type(value):
    with pytest.raises(TypeError, match="delimiter"):
        CsvOptions(delimiter=value)


@pytest.mark.parametrize("value", ["", ",,", "é", '"', "\n", "\r", "\0", "\\t"])
def test_delimiter_of_a_wrong_value(value):
    with pytest.raises(ValueError, match="delimiter"):
        CsvOptions(delimiter=value)


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_header_of_a_wrong_type(value):
    with pytest.raises(TypeError, match="header"):
        CsvOptions(header=value)


# --- schema= --------------------------------------------------------------------------


def file_of(tmp_path, suffix, values, name="x"):
    (format_,) = (f for f in FORMATS if f.suffix == suffix and f.id != "json_pretty"
                  and not f.id.startswith("json_"))  # fmt: skip
    path = tmp_path / f"data{suffix}"
    path.write_bytes(format_.write(table(**{name: values, "other": ["o"] * len(values)})))
    return path


def typed(path, kind, name="x", **options):
    with streaming_dataset_reader(path, schema={name: kind}, **options) as reader:
        schema = reader.schema[name]
        return schema, [value for batch in reader for value in batch[name]]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".arrow"])
@pytest.mark.parametrize(
    ("kind", "arrow", "values", "wanted"),
    [
        ("float64", pa.float64(), [1, None, 2], [1.0, None, 2.0]),
        ("double", pa.float64(), [1, None, 2], [1.0, None, 2.0]),
        ("int32", pa.int32(), [1, None, -2], [1, None, -2]),
        ("uint8", pa.uint8(), [1, None, 255], [1, None, 255]),
        ("float32", pa.float32(), [0.5, None], [0.5, None]),
        ("float16", pa.float16(), [0.5, None], [0.5, None]),
        ("int64", pa.int64(), [1, None, 2], [1, None, 2]),
        ("string", pa.string(), ["a", None], ["a", None]),
        ("large_string", pa.large_string(), ["a", None], ["a", None]),
        ("bool", pa.bool_(), [True, None, False], [True, None, False]),
        ("date32", pa.date32(), ["2024-02-29", None], [dt.date(2024, 2, 29), None]),
        (
            "timestamp[s]", pa.timestamp("s"), ["2024-02-29 12:30:00", None],
            [dt.datetime(2024, 2, 29, 12, 30), None],
        ),
    ],
    ids=lambda v: str(v) if isinstance(v, (str, pa.DataType)) else "",
)  # fmt: skip
def test_a_type_by_name_and_by_arrow_type(suffix, kind, arrow, values, wanted, tmp_path):
    path = file_of(tmp_path, suffix, values)
    by_name, got = typed(path, kind)
    assert exact(got) == exact(wanted)
    by_type, also = typed(path, arrow)
    assert by_name == by_type
    assert exact(also) == exact(wanted)
    assert typed(path, by_name)[0] == by_name
    with streaming_dataset_reader(path, schema=pa.schema([("x", arrow)])) as reader:
        assert reader.schema["x"] == by_name


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".arrow"])
def test_types_of_nested_values(suffix, tmp_path):
    path = file_of(tmp_path, suffix, [[1, 2], None, []])
    for kind in ("list<float64>", "list<item: double>", pa.list_(pa.float64())):
        assert exact(typed(path, kind)[1]) == exact([[1.0, 2.0], None, []])
    path = file_of(tmp_path, suffix, [{"a": 1, "b": "x"}, None])
    for kind in ("struct<a: int64, b: string>",
                 pa.struct([("a", pa.int64()), ("b", pa.string())])):  # fmt: skip
        assert typed(path, kind)[1] == [{"a": 1, "b": "x"}, None]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".arrow"])
def test_types_that_no_json_reader_knows(suffix, tmp_path):
    path = file_of(tmp_path, suffix, [1, None, -2])
    assert typed(path, "duration[s]")[1] == [
        dt.timedelta(seconds=1), None, dt.timedelta(seconds=-2)
    ]  # fmt: skip
    path = file_of(tmp_path, suffix, [[1, 2], None, []])
    assert typed(path, "large_list<int8>")[1] == [[1, 2], None, []]
    path = file_of(tmp_path, suffix, [[0.5], None, []])
    assert exact(typed(path, "list<float16>")[1]) == exact([[0.5], None, []])


def test_a_number_may_be_read_as_its_spelling_from_csv(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x,y\n007,1.50\n1,2\n")
    assert read_rows(path, schema={"x": "string", "y": "string"}) == [
        {"x": "007", "y": "1.50"},
        {"x": "1", "y": "2"},
    ]
    assert read_rows(path, schema={"x": "int64", "y": "decimal128(5, 2)"})[1:] == [
        {"x": 1, "y": Decimal("2.00")}
    ]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".arrow"])
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int64", [1, 2, "x", 4]),
        ("int8", [1, 2, 300, 4]),
        ("int64", [1, 2, 2.5, 4]),
        ("uint8", [1, 2, -1, 4]),
    ],
)
def test_a_value_that_does_not_fit_the_type_given(suffix, kind, values, tmp_path):
    if suffix in {".parquet", ".arrow"} and len({type(v) for v in values}) > 1:
        values = ["1", "2", "x", "4"] if "x" in values else [1.0, 2.0, 2.5, 4.0]
        if "x" in values:
            # Of another kind altogether: no value fits.
            rows, error = read_until_error(
                file_of(tmp_path, suffix, values), schema={"x": kind}
            )
            assert rows == []
            assert error is not None
            return
    path = file_of(tmp_path, suffix, values)
    for batch_size in (1, 1000):
        rows, error = read_until_error(path, batch_size, schema={"x": kind})
        assert [row["x"] for row in rows] == values[:2]
        message = str(error)
        assert path.name in message
        assert '"x"' in message
        assert kind in message
        assert "line 4" in message if suffix == ".csv" else True
        assert "line 3" in message if suffix == ".jsonl" else True
        assert "row 3" in message if suffix in {".parquet", ".arrow"} else True


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", ".arrow"])
@pytest.mark.parametrize(
    "values", [[0, 1, 2], [1.0, 2.5], ["yes"], ["", "true"]], ids=repr
)
def test_only_bools_are_bools(suffix, values, tmp_path):
    path = file_of(tmp_path, suffix, values)
    rows, error = read_until_error(path, schema={"x": "bool"})
    assert [row["x"] for row in rows] in ([], [bool(value) for value in values[:-1]])
    assert path.name in str(error)


def test_json_type(tmp_path):
    path = tmp_path / "data.jsonl"
    values = [{"a": 1}, [1, "x"], None, 2.5, "s", 10**30]
    path.write_text("".join(json.dumps({"x": value}) + "\n" for value in values))
    assert exact(typed(path, "json")) == exact(("json", values))
    path.write_text('{"x": 1}\n{"x": 2}\n')
    assert exact(typed(path, "json")) == exact(("json", [1, 2]))


def test_json_type_of_strings_that_hold_json(tmp_path):
    """Tool calls are often kept so in Parquet and CSV."""
    texts = ['{"a": [1, 2.0]}', "null", "7", '"s"', "[]"]
    values = [json.loads(text) for text in texts]
    for suffix in (".parquet", ".csv", ".arrow"):
        path = file_of(tmp_path, suffix, [*texts, None])
        assert exact(typed(path, "json")) == exact(("json", [*values, None]))
        path = file_of(tmp_path, suffix, [*texts, "{oops"])
        rows, error = read_until_error(path, schema={"x": "json"})
        assert [row["x"] for row in rows] == values
        assert path.name in str(error)


def test_a_type_for_a_column_that_is_not_there(tmp_path):
    for suffix in (".jsonl", ".csv", ".parquet"):
        path = file_of(tmp_path, suffix, [1, 2])
        assert read_rows(path, schema={"more": "int64"}, columns=["more", "x"]) == [
            {"more": None, "x": 1},
            {"more": None, "x": 2},
        ]
        (row, _) = read_rows(path, schema={"more": "int64"})
        assert row == {"x": 1, "other": "o", "more": None}


def test_a_column_named_in_schema_that_comes_late(tmp_path):
    path = tmp_path / "data.jsonl"
    with path.open("w") as file:
        file.writelines(json.dumps({"text": "x" * 1000}) + "\n" for _ in range(8000))
        file.write('{"late": 1}\n')
    with pytest.raises(ValueError, match="late"):
        streaming_dataset_reader(path, columns=["late"])
    batches = read_batches(path, 8000, columns=["late"], schema={"late": "int64"})
    assert batches == [{"late": [None] * 8000}, {"late": [1]}]


def test_files_of_two_types(tmp_path):
    """The schema widens; the values of a typed file stay what they are in their file."""
    for suffix, wanted in (
        (".parquet", [1, 2, 0.5]),
        (".arrow", [1, 2, 0.5]),
        (".csv", [1.0, 2.0, 0.5]),
    ):
        paths = []
        for i, values in enumerate([[1, 2], [0.5]]):
            (tmp_path / str(i)).mkdir(exist_ok=True)
            paths.append(file_of(tmp_path / str(i), suffix, values))
        with streaming_dataset_reader(paths, columns=["x"]) as reader:
            assert reader.schema == {"x": "float64"}
            assert exact(list(reader)) == exact([{"x": wanted}]), suffix


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


@pytest.mark.parametrize("suffix", [f.suffix for f in FORMATS if f.id != "json_pretty"])
def test_binary_bytes_decide_over_the_suffix(suffix, tmp_path):
    for format_ in FORMATS:
        if format_.text:
            continue
        path = tmp_path / f"data{suffix}"
        path.write_bytes(format_.write(DATA))
        assert read_rows(path) == DATA.dicts()
        name, _ = fast_axolotl.detect_format(path)
        assert (name == "parquet") == (format_.name == "parquet")
    # Binary data behind a text suffix under a compression, too.
    path = tmp_path / f"data{suffix}.gz"
    path.write_bytes(gzip.compress(FORMATS[1].write(DATA)))
    assert read_rows(path) == DATA.dicts()


@pytest.mark.parametrize("suffix", [".gz", ".zst", ".zstd", ".gzip"])
def test_plain_text_under_a_compressed_name(suffix, tmp_path):
    path = tmp_path / f"data.jsonl{suffix}"
    path.write_text('{"a": 1}\n')
    with pytest.raises(OSError, match=r"data\.jsonl") as raised:
        read_rows(path)
    assert ("gzip" if "g" in suffix else "zstd") in str(raised.value)
    with pytest.raises(OSError, match=r"data\.jsonl"):
        fast_axolotl.detect_format(path)


def test_an_array_under_a_name_of_lines(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text(' \n[{"a": 1}]')
    assert fast_axolotl.detect_format(path) == ("json", None)


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
