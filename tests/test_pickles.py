# SPDX-License-Identifier: Apache-2.0
"""Data sets can be pickled, and take along what they are; readers cannot."""

import pickle

import pytest
from iterators import PACK, SHARED, numbers, same

import fast_axolotl
from fast_axolotl import StreamingDataset, streaming_dataset_reader


def test_a_dataset_can_be_pickled(ten_files):
    dataset = StreamingDataset(
        ten_files,
        7,
        ["i", "more"],
        schema={"more": "int64"},
        num_threads=2,
        csv=fast_axolotl.CsvOptions(delimiter=";"),
    )
    expected = list(dataset)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(dataset, protocol))
        assert list(copy) == expected
        assert copy.columns == dataset.columns
        assert copy.schema == dataset.schema
        assert copy.batch_size == 7
        assert len(copy) == len(dataset)
    iterator = iter(dataset)
    next(iterator)
    assert list(pickle.loads(pickle.dumps(dataset))) == expected
    assert len(list(iterator)) == len(expected) - 1


def packed(path):
    return StreamingDataset(path, 10, shuffle=True, pack=PACK)


def mixed(path):
    return fast_axolotl.mix([StreamingDataset(path, 10), StreamingDataset(path, 7)])


PICKLED = {
    "plain": lambda path: StreamingDataset(path, 10),
    "shuffled": lambda path: StreamingDataset(path, 10, shuffle=True, num_lanes=4),
    "mapped": lambda path: StreamingDataset(path, 10).map(same).take(9),
    "packed": packed,
    "mixed": mixed,
}


@pytest.mark.parametrize("kind", PICKLED)
def test_a_pickle_holds_options_and_a_state_and_stays_small(kind, small_file):
    dataset = PICKLED[kind](small_file)
    before = len(pickle.dumps(dataset))
    assert before < 20_000
    list(dataset)
    reader = iter(dataset)
    next(reader)
    # What was read, and what was found on the way, is no part of it.
    assert abs(len(pickle.dumps(dataset)) - before) < 100
    assert b"_core" not in pickle.dumps(dataset)
    copy = dataset
    for _ in range(10):
        copy = pickle.loads(pickle.dumps(copy))
    # Which of equal words are one object, and so written once, may change.
    assert abs(len(pickle.dumps(copy)) - before) < 100
    rest = len(list(reader))
    assert len(list(copy)) == rest + 1


@pytest.mark.parametrize("kind", PICKLED)
def test_a_pickle_takes_a_pending_state_along(kind, small_file):
    dataset = PICKLED[kind](small_file)
    reader = iter(dataset)
    next(reader)
    state = reader.state_dict()
    rest = [numbers(batch) for batch in reader]
    other = PICKLED[kind](small_file)
    other.load_state_dict(state)
    copy = pickle.loads(pickle.dumps(other))
    assert [numbers(batch) for batch in copy] == rest


def test_a_reader_cannot_be_pickled(ten_files):
    reader = streaming_dataset_reader(ten_files)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="pickle"):
            pickle.dumps(reader, protocol)
    assert len(list(reader)) == 1


@pytest.mark.parametrize("way", SHARED)
def test_no_reader_can_be_pickled(way, small_file):
    reader = SHARED[way](small_file)
    next(reader)
    with pytest.raises(TypeError, match="cannot be pickled: it holds threads"):
        pickle.dumps(reader)


def test_csv_options_are_values():
    one, other = fast_axolotl.CsvOptions(";"), fast_axolotl.CsvOptions(";")
    assert one == other
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.delimiter = ","
