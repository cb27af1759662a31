# SPDX-License-Identifier: Apache-2.0
"""to_hf(): a real datasets.IterableDataset of rows, its values and operations."""

import datetime as dt
import itertools
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from formats import CASES, table
from hf_rows import (
    HAS_TORCH,
    QUIET,
    ROWS,
    ids,
    joined,
    row,
    write_rows,
)

import fast_axolotl

datasets = pytest.importorskip("datasets", reason="datasets is not installed")
np = pytest.importorskip("numpy")


pytestmark = QUIET


# --- what it is -----------------------------------------------------------------------


def test_it_is_a_dataset_with_features_and_a_length(hf_file):
    dataset = fast_axolotl.StreamingDataset(hf_file)
    rows = dataset.to_hf()
    assert isinstance(rows, datasets.IterableDataset)
    assert rows.features == datasets.Features(
        {
            "id": datasets.Value("int64"),
            "text": datasets.Value("string"),
            "tokens": datasets.List(datasets.Value("int64")),
            "mixed": datasets.Json(),
        }
    )
    assert rows.column_names == ["id", "text", "tokens", "mixed"]
    assert rows.num_shards == rows.n_shards == 64
    assert len(rows) == ROWS
    assert list(rows) == list(dataset.rows()) == [row(i) for i in range(ROWS)]
    assert list(rows) == list(rows)


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_it_is_torch_s_dataset_too(hf_file):
    from torch.utils.data import IterableDataset

    assert isinstance(fast_axolotl.StreamingDataset(hf_file).to_hf(), IterableDataset)


def test_columns_of_the_dataset(hf_file):
    dataset = fast_axolotl.StreamingDataset(hf_file, columns=["tokens", "id"])
    rows = dataset.to_hf()
    assert list(rows.features) == ["tokens", "id"]
    assert next(iter(rows)) == {"tokens": [], "id": 0}


def test_arrow_types_become_features(tmp_path):
    when = dt.datetime(2024, 5, 6, 7, 8, 9, 10, tzinfo=dt.UTC)
    data = pa.table(
        {
            "small": pa.array([1, None], pa.int8()),
            "float": pa.array([0.5, None], pa.float32()),
            "when": pa.array([when, None], pa.timestamp("us", "UTC")),
            "day": pa.array([when.date(), None], pa.date32()),
            "bytes": pa.array([b"\xff", None], pa.binary()),
            "label": pa.array(["a", None]).dictionary_encode(),
            "view": pa.array(["a", None], pa.string_view()),
            "pair": pa.array([[1, 2], None], pa.list_(pa.int32(), 2)),
            "deep": pa.array([{"a": [1], "b": "x"}, None]),
        }
    )
    pq.write_table(data, tmp_path / "types.parquet")
    dataset = fast_axolotl.StreamingDataset(tmp_path / "types.parquet")
    rows = dataset.to_hf()
    assert {name: rows.features[name] for name in ("small", "float", "day", "bytes")} == {
        "small": datasets.Value("int8"),
        "float": datasets.Value("float32"),
        "day": datasets.Value("date32"),
        "bytes": datasets.Value("binary"),
    }
    assert rows.features["when"] == datasets.Value("timestamp[us, tz=UTC]")
    assert rows.features["label"] == datasets.Value("string")
    assert rows.features["view"] == datasets.Value("string")
    assert rows.features["deep"] == {
        "a": datasets.List(datasets.Value("int64")),
        "b": datasets.Value("string"),
    }
    assert list(rows) == list(dataset.rows())
    tables = [pa.Table.from_batches(t.to_batches()) for t in rows.with_format("arrow")]
    whole = pa.concat_tables(tables)
    assert whole.schema == rows.features.arrow_schema.remove_metadata()
    assert whole.to_pylist() == data.to_pylist()


def test_a_type_that_features_cannot_hold(tmp_path):
    data = pa.table({"m": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))})
    pq.write_table(data, tmp_path / "map.parquet")
    with pytest.raises(ValueError, match=r"column 'm' is map<string, int64.*columns="):
        fast_axolotl.StreamingDataset(tmp_path / "map.parquet").to_hf()


def test_arguments(hf_file):
    dataset = fast_axolotl.StreamingDataset(hf_file)
    with pytest.raises(ValueError, match="num_shards must be from 1"):
        dataset.to_hf(0)
    with pytest.raises(TypeError, match="num_shards must be an int"):
        dataset.to_hf(2.0)
    for changed in (dataset.map(len), dataset.take(1), dataset.skip(1)):
        with pytest.raises(ValueError, match=r"map\(\), take\(\) and skip\(\)"):
            changed.to_hf()
    with pytest.raises(ValueError, match="one rank's share"):
        fast_axolotl.StreamingDataset(hf_file, distributed=(0, 2)).to_hf()
    with pytest.raises(ValueError, match="seed must be from 0"):
        dataset.to_hf().shuffle(seed=-1)


def test_datasets_is_imported_by_to_hf_only(hf_file):
    code = """
    import sys, fast_axolotl
    dataset = fast_axolotl.StreamingDataset(sys.argv[1])
    next(dataset.rows())
    assert "datasets" not in sys.modules
    sys.modules["datasets"] = None
    try:
        dataset.to_hf()
    except ImportError as error:
        assert "pip install datasets" in str(error), error
    else:
        raise AssertionError
    """
    program = "import textwrap; exec(textwrap.dedent('''" + code + "'''))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(hf_file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_format(case, tmp_path):
    data = table(
        id=list(range(40)),
        text=[f"row {i}" for i in range(40)],
        score=[i / 4 for i in range(40)],
        tags=[["a"] * (i % 3) for i in range(40)],
    )
    dataset = fast_axolotl.StreamingDataset(case.write(tmp_path, data))
    rows = dataset.to_hf(num_shards=4)
    expected = case.format.fit(data).dicts()
    assert len(rows) == len(expected)
    assert list(rows) == list(dataset.rows()) == expected
    assert sorted(map(repr, rows.shuffle(seed=3))) == sorted(map(repr, expected))
    arrow = [t.to_pylist()[0] for t in rows.with_format("arrow")]
    for name, feature in rows.features.items():
        if isinstance(feature, datasets.Json):  # null, or empty, in all rows
            arrow = [{**row, name: json.loads(row[name] or "null")} for row in arrow]
    assert arrow == expected
    parts = [list(rows.shard(3, i)) for i in range(3)]
    assert joined(parts) == expected


@pytest.mark.parametrize("content", ["", "{}\n{}\n{}\n"], ids=["no rows", "no columns"])
def test_rows_without_columns_and_no_rows(content, tmp_path):
    (tmp_path / "a.jsonl").write_text(content)
    rows = fast_axolotl.StreamingDataset(tmp_path / "a.jsonl").to_hf()
    assert list(rows) == [{}] * content.count("\n")
    assert len(rows) == content.count("\n")


def test_old_versions_are_refused(hf_file):
    code = """
import sys, datasets, fast_axolotl
datasets.__version__ = "4.8.5"
try:
    fast_axolotl.StreamingDataset(sys.argv[1]).to_hf()
except ImportError as error:
    assert "needs datasets 5.0" in str(error) and "4.8.5 is installed" in str(error)
else:
    raise AssertionError
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(hf_file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# --- values ---------------------------------------------------------------------------


def test_json_values_keep_their_types(tmp_path):
    values = [1, 1.0, "1", '{"a": 1}', None, True, {"a": [1, {"b": None}]}, [], 10**30]
    path = write_rows(tmp_path / "a.jsonl", len(values), lambda i: {"v": values[i]})
    rows = fast_axolotl.StreamingDataset(path).to_hf()
    assert rows.features == datasets.Features({"v": datasets.Json()})
    read = [row["v"] for row in rows]
    assert read == values
    assert [type(v) for v in read] == [type(v) for v in values]
    tables = list(rows.with_format("arrow"))
    assert [json.loads(t["v"][0].as_py() or "null") for t in tables] == values
    assert {t["v"].type for t in tables} == {pa.json_()}
    # What datasets decodes itself: all but integers of more than 64 bits.
    decoded = [row["v"] for row in rows.take(8).with_format("python")]
    assert decoded == values[:8]


def test_integers_among_floats_are_cast_by_formats_only(tmp_path):
    values = [0.5, 1, 2, None]
    path = write_rows(tmp_path / "a.jsonl", 4, lambda i: {"v": values[i]})
    rows = fast_axolotl.StreamingDataset(path, schema={"v": "float64"}).to_hf()
    assert rows.features == datasets.Features({"v": datasets.Value("float64")})
    plain = [row["v"] for row in rows]
    assert plain == values
    cast = [row["v"] for row in rows.with_format("python")]
    assert cast == values
    assert [type(v) for v in cast] == [float, float, float, type(None)]
    mapped = rows.map(lambda row: row, features=rows.features)
    assert [type(row["v"]) for row in mapped] == [float, float, float, type(None)]


def test_rows_have_the_columns_of_the_features(tmp_path):
    """Files whose keys the sample cannot show: the first rows are 5 MB."""
    filler = {"v": "x" * 1000}
    path = write_rows(
        tmp_path / "late.jsonl",
        6001,
        lambda i: {"late": 1, **filler} if i == 6000 else filler,
    )
    rows = fast_axolotl.StreamingDataset(path).to_hf()
    assert list(rows.features) == ["v"]
    with pytest.warns(UserWarning, match=r"'late', and which features .*schema="):
        assert list(rows.skip(6000)) == [filler]
    named = fast_axolotl.StreamingDataset(path, schema={"late": "int64"}).to_hf()
    assert list(named.skip(6000)) == [{**filler, "late": 1}]


def test_a_value_that_does_not_fit_names_its_column(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", 3, lambda i: {"v": [1, 2, 3][i], "w": "a"})
    rows = fast_axolotl.StreamingDataset(path).to_hf()
    source = rows._ex_iterable
    field = source.features.arrow_schema.field("v")
    from fast_axolotl._hf_features import arrow_array

    for bad in ("text", 1.5, 2**70, [1], True):
        with pytest.raises(OSError, match=r"column 'v' .* no int64.*schema="):
            arrow_array(field, [1, bad])
    numbers = pa.field("v", pa.list_(pa.float64()))
    assert arrow_array(numbers, [[1, 0.5], None]).to_pylist() == [[1.0, 0.5], None]
    for bad in ([True], ["a"], "a", [2**60 + 1]):
        with pytest.raises(OSError, match=r"column 'v' .* no list"):
            arrow_array(numbers, [[1.0], bad])


@pytest.mark.parametrize("kind", ["numpy", "torch", "arrow", "pandas", "python"])
def test_formats(kind, hf_file):
    if kind == "torch":
        pytest.importorskip("torch")
    rows = fast_axolotl.StreamingDataset(hf_file).to_hf().with_format(kind)
    assert len(rows) == ROWS
    some = list(itertools.islice(iter(rows), 50))
    if kind in {"arrow", "pandas"}:
        numbers = [
            int(t["id"][0]) if kind == "pandas" else t["id"][0].as_py() for t in some
        ]
    else:
        numbers = [int(row["id"]) for row in some]
        tokens = [[int(n) for n in row["tokens"]] for row in some]
        assert tokens == [row(i)["tokens"] for i in range(50)]
        assert [row["text"] for row in some] == [f"row {i}" for i in range(50)]
    assert numbers == list(range(50))
    if kind == "numpy":
        assert isinstance(some[3]["tokens"], np.ndarray)
        assert some[3]["tokens"].dtype == np.int64
    if kind == "torch":
        import torch

        assert isinstance(some[0]["id"], torch.Tensor)
        assert some[0]["id"].dtype == torch.int64
    batch = next(rows.iter(7))
    assert len(batch["id"]) == 7


# --- operations -----------------------------------------------------------------------


def test_operations(hf_file):
    rows = fast_axolotl.StreamingDataset(hf_file).to_hf()
    everything = list(range(ROWS))
    doubled = rows.map(lambda row: {"double": 2 * row["id"]})
    assert [row["double"] for row in doubled] == [2 * i for i in everything]
    batched = rows.map(
        lambda batch: {"double": [2 * i for i in batch["id"]]},
        batched=True,
        remove_columns=["id", "text", "tokens", "mixed"],
    )
    assert [row["double"] for row in batched] == [2 * i for i in everything]
    assert ids(rows.filter(lambda row: row["id"] % 7 == 0)) == everything[::7]
    assert ids(rows.take(10)) == everything[:10]
    assert ids(rows.skip(2990)) == everything[2990:]
    assert ids(rows.skip(100).take(10)) == everything[100:110]
    assert list(rows.select_columns(["text"]).take(1)) == [{"text": "row 0"}]
    assert list(rows.remove_columns(["text", "mixed"]).take(1)) == [
        {"id": 0, "tokens": []}
    ]
    assert next(iter(rows.rename_column("id", "n")))["n"] == 0
    assert ids(rows.repeat(2)) == everything * 2
    both = datasets.concatenate_datasets([rows.take(3), rows.take(2)])
    assert ids(both) == [0, 1, 2, 0, 1]
    cast = rows.select_columns(["id"]).cast_column("id", datasets.Value("float32"))
    assert [type(row["id"]) for row in cast.take(2)] == [float, float]


def test_length_is_kept_where_it_is_known(hf_file):
    rows = fast_axolotl.StreamingDataset(hf_file).to_hf()
    assert len(rows.take(10)) == 10
    assert len(rows.take(10**6)) == ROWS
    assert len(rows.skip(10)) == ROWS - 10
    assert len(rows.skip(10**6)) == 0
    assert len(rows.shuffle(seed=1)) == ROWS
    assert len(rows.map(lambda row: row)) == ROWS
    assert len(rows.with_format("numpy").take(5).skip(1)) == 4
    assert sum(len(rows.shard(5, i)) for i in range(5)) == ROWS
    for unknown in (
        rows.filter(lambda row: True),
        rows.map(lambda batch: batch, batched=True),
    ):
        assert not hasattr(unknown, "__len__")
