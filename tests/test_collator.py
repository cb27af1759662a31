# SPDX-License-Identifier: Apache-2.0
"""PadCollator: what `pad=` does, for rows of any dataset."""

import pickle

import numpy as np
import pytest

from fast_axolotl import PadCollator, PadOptions

ROWS = [
    {"input_ids": [1, 2, 3], "id": 7, "text": "a", "score": 1},
    {"input_ids": np.array([4], dtype=np.int32), "id": 8, "text": "b", "score": 0.5},
]
PAD = PadOptions({"input_ids": 0, "labels": -100}, pad_to_multiple_of=4)


def test_rows_become_a_batch():
    batch = PadCollator(PAD, "numpy")(ROWS)
    assert batch["input_ids"].tolist() == [[1, 2, 3, 0], [4, 0, 0, 0]]
    assert batch["labels"].tolist() == [[1, 2, 3, -100], [4, -100, -100, -100]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert batch["id"].dtype == np.int64
    assert batch["id"].tolist() == [7, 8]
    assert batch["score"].tolist() == [1.0, 0.5]
    assert batch["text"] == ["a", "b"]


def test_it_goes_to_workers_that_are_spawned():
    torch = pytest.importorskip("torch")
    copy = pickle.loads(pickle.dumps(PadCollator(PAD)))
    batch = copy(ROWS)
    assert batch["input_ids"].dtype == torch.int64
    assert batch["input_ids"].tolist() == [[1, 2, 3, 0], [4, 0, 0, 0]]
    assert batch["id"].tolist() == [7, 8]


def test_what_it_refuses():
    with pytest.raises(TypeError, match="pad must map"):
        PadCollator(None)
    with pytest.raises(ValueError, match="output must be"):
        PadCollator(PAD, "arrow")
    collate = PadCollator(PAD, "numpy")
    with pytest.raises(ValueError, match="at least one row"):
        collate([])
    with pytest.raises(ValueError, match="row 1 has the columns"):
        collate([{"input_ids": [1]}, {"input_ids": [1], "more": 2}])
    with pytest.raises(TypeError, match=r"input_ids\[0\] must be a sequence of numbers"):
        collate([{"input_ids": "abc"}])
