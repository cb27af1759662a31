# SPDX-License-Identifier: Apache-2.0
"""Every output holds what output="python" gives, value for value, in every order."""

from __future__ import annotations

import itertools

import pytest
from formats import FORMATS, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from outputs import ARRAYS, OUTPUTS, assert_same, kinds_of, values_of

from fast_axolotl import StreamingDataset, streaming_dataset_reader

FIXED = settings(
    deadline=None,
    derandomize=True,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# --- files ------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SMALL = st.integers(-(2**40), 2**40)
INTS = SMALL | st.sampled_from([2**53 + 1, 2**63 - 1, -(2**63), 0])
FLOATS = st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 1.0, 1e300, 5e-324])


def lists(items):
    return st.lists(items, max_size=3)


# Kinds that all formats know, as far as they know lists.
SCALARS = [INTS, FLOATS, st.booleans(), TEXT]
NESTED = [
    lists(INTS),
    lists(FLOATS),
    lists(st.booleans()),
    lists(TEXT),
    lists(lists(SMALL)),
    lists(st.none() | SMALL),
    lists(st.none() | FLOATS),
    st.fixed_dictionaries({"a": SMALL, "b": st.none() | lists(TEXT)}),
    lists(st.fixed_dictionaries({"role": TEXT, "n": st.none() | FLOATS})),
]
# Those of JSON alone: of several kinds, and objects of any keys.
MIXED = [
    SMALL | FLOATS,
    lists(SMALL | FLOATS),
    SMALL | TEXT | st.booleans(),
    lists(SMALL | TEXT),
    st.dictionaries(TEXT, SMALL | TEXT, max_size=2),
    st.integers(-(2**70), 2**70),
]
NULLS = st.none()
NAMES = ["a", "b", "c d"]


@st.composite
def tables(draw, format_):
    """A table that the format can hold, its columns of kinds of their own."""
    kinds = [*SCALARS, NULLS]
    if format_.nested:
        kinds += NESTED
    if format_.name in ("json", "jsonl"):
        kinds += MIXED
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    if not format_.names:
        return Table(["text"], [(draw(TEXT),) for _ in range(draw(st.integers(0, 9)))])
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(kinds))
        may_be_null = draw(st.booleans())
        columns[name] = st.none() | kind if may_be_null else kind
    low = 0 if format_.may_be_empty else 1
    count = draw(st.integers(low, 1 if format_.only_one_row else 13))
    rows = [tuple(draw(values) for values in columns.values()) for _ in range(count)]
    return Table(names, rows)


@st.composite
def files(draw, folder):
    """Up to four files, each of a format and of types of its own."""
    paths = []
    for _ in range(draw(st.integers(1, 4))):
        format_ = draw(st.sampled_from(FORMATS))
        path = folder / f"{next(_numbers)}{format_.suffix}"
        path.write_bytes(format_.write(format_.fit(draw(tables(format_)))))
        paths.append(path)
    return paths


# A new name for each file: the index tells files apart by name, size and time.
_numbers = itertools.count()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("equal")


# --- what may be an error ---------------------------------------------------------------


def without_value(value, kind):
    """Whether arrays of the kind, or a column of doubles, cannot hold the value."""
    if isinstance(value, list):
        return any(without_value(item, kind) for item in value)
    if isinstance(value, int) and "float" in kind:
        return float(value) != value
    return value is None and ("int" in kind or "bool" in kind)


def is_explained(error, row, schema, output):
    """Whether a row has a value in the column that the error names that is no value."""
    for name, kind in schema.items():
        if f'column "{name}"' not in str(error):
            continue
        value = row[name]
        if value is None and ("list" in kind or output == "arrow"):
            continue
        if output == "arrow" and "float" not in kind:
            continue
        if without_value(value, kind):
            return True
    return False


def assert_equal_stream(make, output, rows_of_all=None):
    """Compare the batches of an output with those of "python".

    In an order that is planned an error may be about any row that is decoded together
    with those of the batch: `rows_of_all` are all there are.
    """
    dataset = make("python")
    lists_ = list(dataset)
    schema = dataset.schema
    stream = iter(make(output))
    kinds = None
    for wanted in lists_:
        try:
            batch = next(stream)
            error = None
        except OSError as caught:
            batch = None
            error = caught
        rows = len(next(iter(wanted.values()))) if wanted else 0
        count = 0
        if batch is not None:
            got = values_of(batch)
            kinds = kinds or kinds_of(batch)
            assert kinds_of(batch) == kinds
            count = len(next(iter(got.values()))) if got else 0
            assert_same(got, {name: v[:count] for name, v in wanted.items()})
            if count == rows:
                continue
            with pytest.raises(OSError, match=r".") as raised:
                next(stream)
            error = raised.value
        assert error is not None
        suspects = rows_of_all or [{name: v[count] for name, v in wanted.items()}]
        assert any(is_explained(error, row, schema, output) for row in suspects), error
        with pytest.raises(OSError, match=r".") as again:
            next(stream)
        assert str(again.value) == str(error)
        return
    with pytest.raises(StopIteration):
        next(stream)


# --- the tests --------------------------------------------------------------------------


@FIXED
@given(data=st.data())
def test_in_the_order_of_the_files(folder, data):
    paths = data.draw(files(folder))
    options = {
        "batch_size": data.draw(st.sampled_from([1, 2, 3, 7, 1000])),
        "num_threads": data.draw(st.sampled_from([1, 3])),
    }
    names = list(streaming_dataset_reader(paths).columns)
    if names and data.draw(st.booleans()):
        options["columns"] = data.draw(
            st.lists(st.sampled_from(names), min_size=1, unique=True)
        )
    for output in OUTPUTS:
        assert_equal_stream(
            lambda kind: streaming_dataset_reader(paths, output=kind, **options),
            output,
        )


@FIXED
@given(data=st.data())
def test_shuffled_and_shared(folder, data):
    paths = data.draw(files(folder))
    world = data.draw(st.integers(1, 3))
    options = {
        "batch_size": data.draw(st.sampled_from([1, 2, 3, 7, 1000])),
        "shuffle": data.draw(st.booleans()),
        "seed": data.draw(st.integers(0, 99)),
        "shuffle_window": data.draw(st.sampled_from([1, 5, 1000])),
        "num_lanes": data.draw(st.integers(1, 3)),
        "distributed": (data.draw(st.integers(0, world - 1)), world),
        "tail": data.draw(st.sampled_from(["keep", "drop", "repeat"])),
    }
    # An order that is that of the files is not planned.
    options["num_lanes"] += world == 1 and not options["shuffle"]
    names = StreamingDataset(paths).columns
    if names and data.draw(st.booleans()):
        options["columns"] = data.draw(
            st.lists(st.sampled_from(names), min_size=1, unique=True)
        )
    rows = list(StreamingDataset(paths, columns=options.get("columns")).rows())
    for output in OUTPUTS:
        assert_equal_stream(
            lambda kind: StreamingDataset(paths, output=kind, **options), output, rows
        )


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("shuffle", [False, True], ids=["plain", "shuffled"])
def test_with_workers(output, shuffle, tmp_path):
    if "torch" not in ARRAYS:
        pytest.skip("torch is not installed")
    rows = [
        (i, i / 2, i % 3 == 0, str(i), [i] * (i % 4), [{"k": [i]}], [0.5, None])
        for i in range(200)
    ]
    data = Table(list("abcdefg"), rows)
    for format_ in FORMATS:
        if format_.names and format_.nested and not format_.only_one_row:
            path = tmp_path / f"{format_.id}{format_.suffix}"
            path.write_bytes(format_.write(data))
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 9
    options = {"batch_size": 48, "shuffle": shuffle, "num_lanes": 2}

    def batches(kind):
        dataset = StreamingDataset(paths, output=kind, **options)
        return list(dataset.loader(num_workers=2, multiprocessing_context="fork"))

    pairs = list(zip(batches(output), batches("python"), strict=True))
    assert len({str(kinds_of(batch)) for batch, _ in pairs}) == 1
    for batch, wanted in pairs:
        assert_same(values_of(batch), wanted)
