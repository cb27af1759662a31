# SPDX-License-Identifier: Apache-2.0
"""Rows for the tests of to_hf(), and what these need."""

import gzip
import importlib.util
import itertools
import json

import pytest

HAS_TORCH = importlib.util.find_spec("torch") is not None
HAS_TORCHDATA = importlib.util.find_spec("torchdata") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
needs_torchdata = pytest.mark.skipif(
    not HAS_TORCHDATA, reason="torchdata is not installed"
)
# torch, asked to fork, warns where threads run; and of fewer cores than workers.
QUIET = [
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]

ROWS = 3001


def row(i):
    """Of a simple kind, a list, and values that have no kind in common."""
    mixed = [i, {"of": i}, None, f"text {i}", [i, "a"]][i % 5]
    return {"id": i, "text": f"row {i}", "tokens": list(range(i % 4)), "mixed": mixed}


def write_rows(path, count=ROWS, make=row):
    text = "".join(json.dumps(make(i)) + "\n" for i in range(count))
    packed = gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode()
    path.write_bytes(packed)
    return path


def ids(rows):
    return [row["id"] for row in rows]


def joined(parts):
    return list(itertools.chain.from_iterable(parts))


def start(dataset, count):
    """The first rows, and the state behind them."""
    iterator = iter(dataset)
    rows = list(itertools.islice(iterator, count))
    state = json.loads(json.dumps(dataset.state_dict()))
    return rows, state
