# SPDX-License-Identifier: Apache-2.0
"""Every parameter's types and values, and what each one does."""

import inspect

import numpy as np
import pytest
from entrances import everywhere
from formats import FORMATS, read_rows, table

import fast_axolotl
from fast_axolotl import CsvOptions, PackOptions, streaming_dataset_reader

DATA = table(id=[1, 2, 3], text=["a", "b", None])


def spelled(value):
    """As an id, the same in every process."""
    return type(value).__name__ if " at 0x" in repr(value) else repr(value)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\n')
    return path


# --- types and values -----------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, b"x.jsonl", 1.5, {"a": 1}, {"x"}, object()),
        *([1], [None], ["x.jsonl", b"y"], [["x.jsonl"]]),
    ],
    ids=spelled,
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


@pytest.mark.parametrize(("name", "value"), pairs(WRONG_TYPES), ids=spelled)
def test_a_wrong_type(name, value, path):
    for make in everywhere(**{name: value}):
        with pytest.raises(TypeError, match=name):
            make(path, **{name: value})


@pytest.mark.parametrize(("name", "value"), pairs(WRONG_VALUES), ids=spelled)
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
