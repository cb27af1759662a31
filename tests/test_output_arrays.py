# SPDX-License-Identifier: Apache-2.0
"""Batches as arrays of numpy and torch: what becomes of columns, and whose memory."""

from __future__ import annotations

import gc
import math
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from arrow_cases import CASES
from outputs import (
    ARRAYS,
    assert_same,
    column_of,
    kinds_of,
    until_error,
    values_of,
    write_ipc,
    write_lines,
)

from fast_axolotl import StreamingDataset, streaming_dataset_reader

# --- what a column becomes --------------------------------------------------------------

DTYPES = {
    "bool": (pa.array([True, False, True, True]), "bool"),
    "float16": (pa.array([0.5, -1.5, 65504.0], pa.float16()), "float16"),
    "float32": (pa.array([0.1, 2.0, -3.0], pa.float32()), "float32"),
    "float64": (pa.array([0.1, 2.0, -3.0], pa.float64()), "float64"),
    **{
        f"{sign}int{bits}": (
            pa.array([0, 1, 2 ** (bits - (not sign)) - 1], f"{sign}int{bits}"),
            f"{sign}int{bits}",
        )
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


@pytest.mark.parametrize("output", ARRAYS)
@pytest.mark.parametrize("kind", DTYPES)
def test_numbers_become_arrays(kind, output, tmp_path):
    column, dtype = DTYPES[kind]
    path = write_ipc(tmp_path / "x.arrow", pa.table({"x": column}), rows=2)
    for batch_size in (1, 2, 1000):
        arrays = column_of(path, batch_size, output)
        assert {str(array.dtype).removeprefix("torch.") for array in arrays} == {dtype}
        assert all(array.ndim == 1 for array in arrays)
        assert [v for array in arrays for v in array.tolist()] == column.to_pylist()


@pytest.mark.parametrize("output", ARRAYS)
@pytest.mark.parametrize("kind", DTYPES)
def test_lists_of_numbers_become_ragged(kind, output, tmp_path):
    items, dtype = DTYPES[kind]
    rows = [items.to_pylist(), None, [], items.to_pylist()[:1]]
    for kind_of_list in (pa.list_, pa.large_list, pa.list_view, pa.large_list_view):
        column = pa.array(rows, kind_of_list(items.type))
        path = write_ipc(tmp_path / "x.arrow", pa.table({"x": column}), rows=3)
        (ragged,) = column_of(path, output=output)
        assert str(ragged.values.dtype).removeprefix("torch.") == dtype
        assert ragged.offsets == [0, len(items), len(items), len(items), len(items) + 1]
        assert [None if r is None else r.tolist() for r in ragged] == rows
        assert ragged.values.tolist() == rows[0] + rows[3]
        # A row is a view of the values.
        assert all(r is None or type(r) is type(ragged.values) for r in ragged)


@pytest.mark.parametrize("output", ARRAYS)
def test_a_ragged_column_pickles_as_one_array(output, tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [{"x": [1, 2]}, {"x": None}, {"x": []}])
    (ragged,) = column_of(path, output=output)
    again = pickle.loads(pickle.dumps(ragged))
    assert [None if r is None else r.tolist() for r in again] == [[1, 2], None, []]
    assert again.values.tolist() == [1, 2]
    assert again.offsets == [0, 2, 2, 2]


@pytest.mark.parametrize("output", ARRAYS)
def test_lists_of_one_length_become_matrices(output, tmp_path):
    column = pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int16(), 2))
    path = write_ipc(tmp_path / "x.arrow", pa.table({"x": column.slice(1)}), rows=1)
    (array,) = column_of(path, output=output)
    assert array.shape == (2, 2)
    assert array.tolist() == [[3, 4], [5, 6]]
    floats = pa.array([[1, None], None, [3, 4]], pa.list_(pa.float32(), 2))
    path = write_ipc(tmp_path / "y.arrow", pa.table({"x": floats}), rows=2)
    (array,) = column_of(path, output=output)
    nan = math.nan
    assert repr(array.tolist()) == repr([[1.0, nan], [nan, nan], [3.0, 4.0]])


@pytest.mark.parametrize("output", ARRAYS)
def test_lists_of_no_length(output, tmp_path):
    empty = pa.array([[], [], []], pa.list_(pa.int16(), 0))
    path = write_ipc(tmp_path / "x.arrow", pa.table({"x": empty}))
    (array,) = column_of(path, output=output)
    assert tuple(array.shape) == (3, 0)
    # A null among them has no value that could be NaN.
    null = pa.array([[], None, []], pa.list_(pa.float32(), 0))
    path = write_ipc(tmp_path / "y.arrow", pa.table({"x": null}))
    batches, error = until_error(path, output=output)
    assert [len(batch["x"]) for batch in batches] == [1]
    assert 'row 2, column "x": null' in error


OTHERS = {
    "strings": ["a", None],
    "lists of strings": [["a", None], None],
    "deep lists": [[[1], []], None],
    "structs": [{"a": 1, "b": [1]}, None],
    "lists of structs": [[{"a": 1}], []],
}


@pytest.mark.parametrize("output", ARRAYS)
@pytest.mark.parametrize("kind", OTHERS)
def test_all_else_stays_python_values(kind, output, tmp_path):
    path = write_ipc(tmp_path / "x.arrow", pa.table({"x": OTHERS[kind]}), rows=1)
    (values,) = column_of(path, output=output)
    assert type(values) is list
    assert values == OTHERS[kind]


# What Arrow encodes or wraps is laid out as the values that Python gets of it.
ENCODED = {
    "dictionary of numbers": (
        pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), pa.array([5, 7])),
        [7, 5, 7],
    ),
    "runs of numbers": (
        pa.RunEndEncodedArray.from_arrays(
            pa.array([2, 3], pa.int16()), pa.array([1.5, 2.5])
        ),
        [1.5, 1.5, 2.5],
    ),
    "dictionary of strings": (pa.array(["b", "a", "b"]).dictionary_encode(), None),
    "bool8": (
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([0, -3, 1], pa.int8())),
        [False, True, True],
    ),
    "opaque": (
        pa.ExtensionArray.from_storage(
            pa.opaque(pa.int32(), "k", "v"), pa.array([1, 2, 3], pa.int32())
        ),
        [1, 2, 3],
    ),
    "tensor": (
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.int32(), [2]),
            pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int32(), 2)),
        ),
        [[1, 2], [3, 4], [5, 6]],
    ),
    "json": (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["1", "2", "3"])), None),
    "uuid": (CASES["uuid"].slice(0, 1).take(pa.array([0, 0, 0])), None),
}


@pytest.mark.parametrize("output", ARRAYS)
@pytest.mark.parametrize("kind", ENCODED)
def test_encoded_columns(kind, output, tmp_path):
    column, wanted = ENCODED[kind]
    path = write_ipc(tmp_path / "x.arrow", pa.table({"x": column}), rows=2)
    (lists,) = column_of(path, output="python")
    for batch_size in (2, 1000):
        found = [
            v for x in column_of(path, batch_size, output) for v in values_of({"": x})[""]
        ]
        assert found == lists
    (whole,) = column_of(path, output=output)
    if wanted is None:
        assert type(whole) is list
    else:
        assert whole.tolist() == wanted
        assert type(whole) is not list


@pytest.mark.parametrize("output", ARRAYS)
def test_what_a_null_hides_is_no_part_of_the_data(output, tmp_path):
    """Arrow may have values under a null list, and nulls among them."""
    column = pa.ListArray.from_arrays(
        pa.array([0, 2, 4, 5], pa.int32()),
        pa.array([1, 2, None, 4, 5]),
        mask=pa.array([False, True, False]),
    )
    path = write_ipc(tmp_path / "x.arrow", pa.table({"x": column}))
    (ragged,) = column_of(path, output=output)
    assert [None if r is None else r.tolist() for r in ragged] == [[1, 2], None, [5]]
    assert ragged.values.tolist() == [1, 2, 5]


def test_views_that_overlap_or_lie_in_any_order(tmp_path):
    column = pa.ListViewArray.from_arrays(
        pa.array([4, 0, 2, 0], pa.int32()),
        pa.array([2, 3, 2, 0], pa.int32()),
        pa.array([1, 2, 3, 4, 5, 6]),
    )
    path = write_ipc(tmp_path / "x.arrow", pa.table({"x": column}), rows=3)
    (ragged,) = column_of(path)
    assert [r.tolist() for r in ragged] == [[5, 6], [1, 2, 3], [3, 4], []]


@pytest.mark.parametrize("output", ARRAYS)
def test_slices_of_columns(output, tmp_path):
    """Offsets, and bitmaps that do not begin at a byte, of every kind of column."""
    rows = range(40)
    table = pa.table(
        {
            "int": pa.array(rows, pa.int32()),
            "bool": pa.array([i % 3 == 0 for i in rows]),
            "float": pa.array([None if i % 5 == 0 else i / 2 for i in rows]),
            "list": pa.array([None if i % 7 == 0 else [i] * (i % 4) for i in rows]),
            "bools": pa.array([[i % 2 == 0] * (i % 3) for i in rows]),
            "pair": pa.array([[i, -i] for i in rows], pa.list_(pa.int64(), 2)),
            "text": pa.array([None if i % 6 == 0 else str(i) for i in rows]),
        }
    )
    path = tmp_path / "x.arrow"
    with pa.ipc.new_file(path, table.schema) as writer:
        for batch in table.slice(3, 34).to_batches():
            writer.write_batch(batch.slice(2, 13))
            writer.write_batch(batch.slice(15, 0))
            writer.write_batch(batch.slice(15))
    (lists,) = streaming_dataset_reader(path)
    for batch_size in (1, 3, 7, 13, 1000):
        kinds = []
        at = 0
        for batch in streaming_dataset_reader(path, batch_size, output=output):
            kinds.append(kinds_of(batch))
            got = values_of(batch)
            assert_same(got, {k: v[at : at + batch_size] for k, v in lists.items()})
            at += batch_size
        assert kinds == kinds[:1] * len(kinds)


# --- memory -----------------------------------------------------------------------------


def overwrite_memory(path):
    """Read again and again, so that freed buffers hold other values."""
    for _ in range(3):
        for batch in streaming_dataset_reader(path, 100, output="numpy"):
            del batch
    junk = [bytearray(b"\xee" * (1 << 16)) for _ in range(64)]
    del junk
    gc.collect()


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".jsonl"])
@pytest.mark.parametrize("output", ARRAYS)
def test_arrays_outlive_all_that_they_came_from(output, suffix, tmp_path):
    path = tmp_path / f"data{suffix}"
    count = 3000
    table = pa.table(
        {
            "int": range(count),
            "float": [i / 2 for i in range(count)],
            "list": [[i, i + 1] for i in range(count)],
            "bool": [i % 2 == 0 for i in range(count)],
        }
    )
    other = tmp_path / f"other{suffix}"
    for where, rows in ((path, table), (other, table.take(list(range(count))[::-1]))):
        if suffix == ".parquet":
            pq.write_table(rows, where, row_group_size=500)
        elif suffix == ".arrow":
            write_ipc(where, rows, rows=500)
        else:
            write_lines(where, rows.to_pylist())
    dataset = StreamingDataset(path, 128, output=output)
    reader = iter(dataset)
    batches = list(reader)
    row = batches[3]["list"][5]
    slices = [batch["int"][1:3] for batch in batches]
    reader.close()
    del reader, dataset
    path.unlink()
    gc.collect()
    overwrite_memory(other)
    want = table.to_pydict()
    for i, batch in enumerate(batches):
        part = {name: v[i * 128 : (i + 1) * 128] for name, v in want.items()}
        assert_same(values_of(batch), part)
    del batches, batch
    gc.collect()
    overwrite_memory(other)
    assert row.tolist() == [3 * 128 + 5, 3 * 128 + 6]
    assert [s.tolist() for s in slices] == [
        [i * 128 + 1, i * 128 + 2] for i in range(len(slices))
    ]


def test_arrays_of_numpy_are_read_only_and_copies_are_not(tmp_path):
    table = {"i": [1, 2], "f": [0.5, None], "l": [[1], []], "b": [True, False],
             "p": pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2))}  # fmt: skip
    path = write_ipc(tmp_path / "x.arrow", pa.table(table), rows=1)
    for options in (
        {"batch_size": 1},
        {"batch_size": 2},
        {"batch_size": 2, "shuffle": True},
    ):
        for batch in StreamingDataset(path, output="numpy", **options):
            arrays = [batch[n] for n in "ifbp"] + [batch["l"].values, *batch["l"]]
            for array in arrays:
                assert not array.flags.writeable
                with pytest.raises(ValueError, match="read-only"):
                    array[...] = 0
                array.copy()[...] = 0


def aliased_file(path):
    """An IPC file in which two columns are one buffer."""
    numbers = pa.array(range(100), pa.int64())
    table = pa.record_batch({"a": numbers, "b": pa.array([0] * 100)})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_batch(table)
    data = bytearray(path.read_bytes())
    # The message lists a buffer as offset and length: column b's is set to column a's.
    listed = b"".join(number.to_bytes(8, "little") for number in (800, 0, 800, 800))
    at = data.find(listed) + 16
    assert at > 16
    data[at : at + 8] = bytes(8)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": True, "shuffle_window": 20},
        {"distributed": (0, 3), "tail": "repeat"},
        {"distributed": (2, 3), "tail": "repeat", "shuffle": True},
        {"num_lanes": 2},
    ],
    ids=str,
)
def test_writing_into_a_batch_of_torch_changes_no_other(options, tmp_path):
    if "torch" not in ARRAYS:
        pytest.skip("torch is not installed")
    aliased = aliased_file(tmp_path / "0.arrow")
    plain = pa.table(
        {
            "a": range(100, 150),
            "b": range(50),
            "f": [i / 2 for i in range(50)],
            "l": [[i] * 3 for i in range(50)],
            "p": pa.array([[i, i] for i in range(50)], pa.list_(pa.float32(), 2)),
            "d": pa.array([i % 3 for i in range(50)]).dictionary_encode(),
        }
    )
    write_ipc(tmp_path / "1.arrow", plain, rows=17)
    pq.write_table(plain, tmp_path / "2.parquet", row_group_size=20)
    for paths in ([aliased], [tmp_path / "1.arrow"], [tmp_path / "2.parquet"] * 2):
        batches = list(StreamingDataset(paths, 7, output="torch", **options))
        assert len(batches) > 2

        arrays = {
            (k, name): column.values if name == "l" else column
            for k, batch in enumerate(batches)
            for name, column in batch.items()
        }
        if paths == [aliased]:
            assert arrays[0, "a"].equal(arrays[0, "b"])
        for place, array in arrays.items():
            before = {other: values.clone() for other, values in arrays.items()}
            array.add_(1)
            changed = [
                other for other in arrays if not arrays[other].equal(before[other])
            ]
            assert changed == [place]


def test_rows_of_a_ragged_column_are_views_of_its_values(tmp_path):
    path = write_lines(tmp_path / "x.jsonl", [{"x": [1, 2]}, {"x": [3]}])
    (ragged,) = column_of(path)
    assert all(np.shares_memory(row, ragged.values) for row in ragged)
    if "torch" in ARRAYS:
        (ragged,) = column_of(path, output="torch")
        ragged[1][0] = 7
        assert ragged.values.tolist() == [1, 2, 7]


# --- nothing there ----------------------------------------------------------------------


@pytest.mark.parametrize("output", ARRAYS)
def test_files_without_rows_or_columns(output, tmp_path):
    empty = pa.table({"x": pa.array([], pa.int32())})
    write_ipc(tmp_path / "0.arrow", empty)
    assert list(streaming_dataset_reader(tmp_path / "0.arrow", output=output)) == []
    write_ipc(tmp_path / "1.arrow", pa.table({"x": pa.array([1, 2], pa.int32())}))
    (batch,) = streaming_dataset_reader(tmp_path, output=output)
    assert batch["x"].tolist() == [1, 2]
    (tmp_path / "e.jsonl").write_text("{}\n{}\n")
    assert list(streaming_dataset_reader(tmp_path / "e.jsonl", output=output)) == [{}]
    assert list(StreamingDataset(tmp_path / "e.jsonl", 1, output=output)) == [{}, {}]


def test_a_text_file(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("a\nb\n")
    (batch,) = streaming_dataset_reader(path, output="numpy")
    assert batch == {"text": ["a", "b"]}
    path.write_text("1\n2\n")
    (batch,) = streaming_dataset_reader(path, output="numpy", schema={"text": "int64"})
    assert batch["text"].tolist() == [1, 2]


def test_the_worker_of_a_loader_warns_too(tmp_path):
    if "torch" not in ARRAYS:
        pytest.skip("torch is not installed")
    import torch.utils.data  # noqa: F401

    rows = [{"x": i, "y": "y" * 3900} for i in range(1700)] + [{"x": 1700, "late": 1}]
    path = write_lines(tmp_path / "x.jsonl", rows)
    dataset = StreamingDataset(path, 100, output="torch", columns=["x"])
    loader = dataset.loader(num_workers=1, multiprocessing_context="fork")
    assert sorted(v for b in loader for v in b["x"].tolist()) == list(range(1701))
    dataset = StreamingDataset(path, 100, output="torch")
    loader = dataset.loader(num_workers=1, multiprocessing_context="fork")
    # Warnings are errors here, and so in the worker, which hands it to this process.
    with pytest.raises(UserWarning, match='"late"'):
        list(loader)


def test_threads_that_meet_their_first_ragged_batch_together(tmp_path):
    """An import lets another thread in; where both wait for the same lock, for ever."""
    path = tmp_path / "data.jsonl"
    write_lines(path, [{"a": [1, 2]}, {"a": [3]}])
    code = """
        import sys, threading
        from fast_axolotl import streaming_dataset_reader
        import numpy
        sys.setswitchinterval(1e-6)
        found = []
        def read():
            for batch in streaming_dataset_reader(sys.argv[1], output="numpy"):
                found.append([row.tolist() for row in batch["a"]])
        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert found == [[[1, 2], [3]]] * 8, found
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    for _ in range(3):
        subprocess.run(command, check=True, timeout=60)


def sorted_by_length(batch):
    order = sorted(range(len(batch["a"])), key=lambda i: len(batch["a"][i]))
    batch["a"][:] = [batch["a"][i] for i in order]
    batch["a"][0] = batch["a"][0][:1]
    batch["x"] = batch["x"][order]
    return batch


@pytest.mark.parametrize("output", ARRAYS)
def test_a_changed_ragged_column_reaches_whoever_asked(output, tmp_path):
    """It travels as one array, but not as the one that was read."""
    path = tmp_path / "data.jsonl"
    write_lines(path, [{"a": [i] * (5 - i), "x": i} for i in range(5)])
    data = StreamingDataset(path, 5, output=output).map(sorted_by_length)
    for workers in (0, 1):
        (batch,) = data.loader(num_workers=workers)
        assert [row.tolist() for row in batch["a"]] == [[4], [3] * 2, [2] * 3, *LONG]
        assert batch["x"].tolist() == [4, 3, 2, 1, 0]
    column = next(iter(data))["a"]
    column.append(None)
    found = pickle.loads(pickle.dumps(column))
    assert [None if r is None else r.tolist() for r in found] == [
        None if r is None else r.tolist() for r in column
    ]


LONG = [[1] * 4, [0] * 5]
