# SPDX-License-Identifier: Apache-2.0
"""to_hf(): going on from a state, and pickles."""

import json
import pickle
import subprocess
import sys

import pytest
from hf_rows import (
    QUIET,
    ROWS,
    ids,
    joined,
    needs_torch,
    needs_torchdata,
    start,
    write_rows,
)

import fast_axolotl

datasets = pytest.importorskip("datasets", reason="datasets is not installed")
np = pytest.importorskip("numpy")

from datasets.distributed import split_dataset_by_node  # noqa: E402

pytestmark = QUIET


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Files of many fragments, 30 MB."""
    folder = tmp_path_factory.mktemp("wide")
    filler = "x" * 2000
    for part in range(3):
        rows = (
            json.dumps({"id": part * 5000 + i, "filler": filler}) + "\n"
            for i in range(5000)
        )
        (folder / f"{part}.jsonl").write_text("".join(rows))
    return folder


# --- state ----------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("cut", [0, 1, 1023, 1024, 2000, ROWS - 1, ROWS])
def test_resume(hf_file, cut, epoch, shuffle):
    def made():
        rows = fast_axolotl.StreamingDataset(hf_file, shuffle=shuffle, seed=4).to_hf()
        rows.set_epoch(epoch)
        return rows

    expected = list(made())
    first, state = start(made(), cut)
    assert first == expected[:cut]
    other = made()
    other.load_state_dict(state)
    second, again = start(other, 100)
    assert second == expected[cut : cut + 100]
    third = made()
    third.load_state_dict(again)
    assert list(third) == expected[cut + 100 :]
    # The epoch behind it starts anew.
    third.set_epoch(epoch + 1)
    assert len(list(third)) == ROWS


@pytest.mark.parametrize("cut", [1, 999, 1500])
@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.map(lambda row: {"n": row["id"]}),
        lambda rows: rows.map(lambda batch: {"n": batch["id"]}, batched=True),
        lambda rows: rows.filter(lambda row: row["id"] % 2 == 0),
        lambda rows: rows.skip(100).take(2000),
        lambda rows: rows.with_format("numpy"),
        lambda rows: rows.with_format("python"),
        lambda rows: rows.shard(2, 1),
        lambda rows: split_dataset_by_node(rows, 1, 2),
        lambda rows: split_dataset_by_node(rows, 1, 3),
        lambda rows: rows.select_columns(["id"]).rename_column("id", "n"),
    ],
    ids=[
        "map",
        "batched",
        "filter",
        "skip-take",
        "numpy",
        "python",
        "shard",
        "node",
        "node-examples",
        "columns",
    ],
)
def test_resume_behind_operations(hf_file, change, cut):
    def made():
        return change(fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf())

    def number(rows):
        return [int(row["id"] if "id" in row else row["n"]) for row in rows]

    expected = number(made())
    cut = min(cut, len(expected) - 1)
    first, state = start(made(), cut)
    assert number(first) == expected[:cut]
    other = made()
    other.load_state_dict(state)
    assert number(other) == expected[cut:]


def test_a_state_is_small_and_plain(hf_file):
    rows = fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf()
    assert rows.state_dict()["examples_iterable"]["examples_iterable"]["cursor"] is None
    _, state = start(rows, 10)
    assert len(json.dumps(state)) < 1000
    assert json.loads(json.dumps(state)) == state


def test_a_state_of_something_else_is_refused(hf_file, tmp_path):
    _, state = start(fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf(), 10)
    changed = write_rows(tmp_path / "rows.jsonl", ROWS + 1)
    for other, reason in (
        (fast_axolotl.StreamingDataset(hf_file, shuffle=True, seed=1).to_hf(), "seed"),
        (fast_axolotl.StreamingDataset(hf_file).to_hf(), "shuffle"),
        (
            fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf().shard(2, 1),
            "shards",
        ),
        (fast_axolotl.StreamingDataset(changed, shuffle=True).to_hf(), "files"),
    ):
        other.load_state_dict(state)
        with pytest.raises(ValueError, match=f"saved with other {reason}"):
            next(iter(other))
    edited = json.loads(json.dumps(state).replace('"row": 10', '"row": -1'))
    assert edited != state
    other = fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf()
    other.load_state_dict(edited)
    with pytest.raises(ValueError, match="'row' is -1"):
        next(iter(other))


@pytest.mark.parametrize("shuffle", [False, True])
def test_resume_seeks(wide, shuffle):
    def made():
        return fast_axolotl.StreamingDataset(
            wide,
            shuffle=shuffle,
            shuffle_window=1000,
            read_ahead_bytes=1 << 20,
            num_threads=1,
        ).to_hf()

    rows = made()
    expected = ids(rows)
    iterator = iter(rows)
    for _ in range(13_000):
        next(iterator)
    state = rows.state_dict()
    iterator.close()
    other = made()
    other.load_state_dict(state)
    iterator = iter(other)
    assert next(iterator)["id"] == expected[13_000]
    sources = [other._ex_iterable]
    total = sources[0]._dataset._open().bytes_total
    (read,) = [source.last_reader.bytes_read for source in sources]
    assert 0 < read < total / 3
    assert [row["id"] for row in iterator] == expected[13_001:]


@pytest.mark.parametrize("codec", ["plain", "gzip"])
def test_resume_from_compressed_files(codec, tmp_path):
    name = "rows.jsonl.gz" if codec == "gzip" else "rows.jsonl"
    path = write_rows(tmp_path / name)
    rows = fast_axolotl.StreamingDataset(path).to_hf().shuffle(seed=2)
    expected = ids(rows)
    _, state = start(rows, 1700)
    rows.load_state_dict(state)
    assert ids(rows) == expected[1700:]


@needs_torchdata
@pytest.mark.parametrize("workers", [0, 2])
def test_stateful_data_loader(hf_file, workers):
    from torchdata.stateful_dataloader import StatefulDataLoader

    def made():
        rows = fast_axolotl.StreamingDataset(hf_file, shuffle=True).to_hf()
        return StatefulDataLoader(
            rows.select_columns(["id"]), batch_size=50, num_workers=workers
        )

    def numbers(loader):
        return [[int(i) for i in batch["id"]] for batch in loader]

    expected = numbers(made())
    assert sorted(joined(expected)) == list(range(ROWS))
    loader = made()
    iterator = iter(loader)
    first = [[int(i) for i in next(iterator)["id"]] for _ in range(21)]
    state = loader.state_dict()
    del iterator
    other = made()
    other.load_state_dict(state)
    assert first + numbers(other) == expected


# --- pickling -------------------------------------------------------------------------


def test_pickling(hf_file):
    rows = fast_axolotl.StreamingDataset(hf_file, shuffle=True, seed=3).to_hf()
    expected = ids(rows)
    iterator = iter(rows)
    next(iterator)
    for other in (
        pickle.loads(pickle.dumps(rows)),
        pickle.loads(pickle.dumps(rows.take(ROWS))),
    ):
        assert len(other) == ROWS
        assert ids(other) == expected
    assert [row["id"] for row in iterator] == expected[1:]


@needs_torch
def test_workers_that_are_spawned(hf_file):
    code = """
import sys
import fast_axolotl
from torch.utils.data import DataLoader

if __name__ == "__main__":
    rows = fast_axolotl.StreamingDataset(sys.argv[1], columns=["id"]).to_hf()
    loader = DataLoader(
        rows, batch_size=100, num_workers=2, multiprocessing_context="spawn"
    )
    found = sorted(int(i) for batch in loader for i in batch["id"])
    assert found == list(range(int(sys.argv[2]))), len(found)
"""
    script = hf_file.parent / "spawned.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, script, str(hf_file), str(ROWS)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
