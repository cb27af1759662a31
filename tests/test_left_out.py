# SPDX-License-Identifier: Apache-2.0
"""Rows that validation leaves out: positions count without them, and states say so."""

from __future__ import annotations

import gzip
import shutil
from typing import TYPE_CHECKING, Any

import pytest

import fast_axolotl as fa
from fast_axolotl import StreamingDataset

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 20
BAD = {3, 4, 11}
GOOD = [i for i in range(ROWS) if i not in BAD]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(folder))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    lines = ('{"id": oops}\n' if i in BAD else f'{{"id": {i}}}\n' for i in range(ROWS))
    (path / "a.jsonl").write_text("".join(lines))
    return path


def ids(data: Any) -> list[int]:
    return [i for batch in data for i in batch["id"]]


@pytest.mark.parametrize("name", ["b.jsonl", "0.jsonl", "b.jsonl.gz"])
def test_a_file_without_rows_changes_nothing(folder, cache, name):
    (folder / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"\n \n")
    assert len(fa.validate(folder, index=True)) == len(BAD)
    data = StreamingDataset(folder, 4)
    assert data.len_is_exact
    assert len(data) == 5
    assert ids(data) == GOOD
    assert ids(StreamingDataset(folder, 4, shuffle=True, shuffle_window=1)) == GOOD


def test_a_header_alone_is_no_row(tmp_path, cache):
    (tmp_path / "a.csv").write_text("id,text\n1,a,b\n2,c\n")
    (tmp_path / "b.csv").write_text("id,text\n")
    fa.validate(tmp_path, index=True)
    data = StreamingDataset(tmp_path, 4)
    assert data.len_is_exact
    assert ids(data) == ["2"]


def test_a_file_of_bad_rows_alone(folder, cache):
    (folder / "b.jsonl").write_text("oops\n" * 3)
    fa.validate(folder, index=True)
    data = StreamingDataset(folder, 4)
    assert ids(data) == GOOD
    assert len(data) == 5


@pytest.mark.parametrize("shuffle", [False, True])
def test_one_of_several_files_was_validated(folder, cache, shuffle):
    fa.validate(folder, index=True)
    (folder / "b.jsonl").write_text('{"id": 100}\n{"id": 101}\n')
    data = StreamingDataset(folder, 4, shuffle=shuffle, shuffle_window=1)
    assert ids(data) == [*GOOD, 100, 101]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_state_from_before_the_files_were_validated(folder, cache, shuffle, mixed):
    def dataset() -> Any:
        data = StreamingDataset(folder, 4, shuffle=shuffle, on_error="skip")
        return fa.mix([data]) if mixed else data

    data = dataset()
    reader = iter(data)
    given = [next(reader), next(reader)]
    state = data.state_dict()
    fa.validate(folder, index=True)
    other = dataset()
    with pytest.raises(ValueError, match=r"rows left out beforehand .*CACHE"):
        other.load_state_dict(state)
    # The run itself goes on as it began.
    assert sorted(ids(given) + ids(reader)) == GOOD
    data.load_state_dict(state)
    if not (shuffle or mixed):
        # This pass needs an index, and the one that is there is another.
        with pytest.raises(ValueError, match="make the dataset anew"):
            next(iter(data))
    shutil.rmtree(cache)
    data.load_state_dict(state)
    assert sorted(ids(given) + ids(data)) == GOOD


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_state_whose_index_is_gone(folder, cache, shuffle):
    def dataset() -> StreamingDataset:
        return StreamingDataset(folder, 4, shuffle=shuffle, on_error="skip")

    fa.validate(folder, index=True)
    data = dataset()
    reader = iter(data)
    given = [next(reader), next(reader)]
    state = data.state_dict()
    shutil.rmtree(cache)
    with pytest.raises(ValueError, match=r"rows left out beforehand .*validate --index"):
        dataset().load_state_dict(state)
    fa.validate(folder, index=True)
    data = dataset()
    data.load_state_dict(state)
    assert sorted(ids(given) + ids(data)) == GOOD


def test_ranks_of_which_one_knows_the_bad_rows(folder, cache, monkeypatch):
    states = []
    for rank in range(2):
        data = StreamingDataset(folder, 4, on_error="skip", distributed=(rank, 2))
        next(iter(data))
        states.append(data.state_dict())
        fa.validate(folder, index=True)
    with pytest.raises(ValueError, match=r"do not belong together.*fingerprint"):
        fa.merge_states(states)


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_leave_out_what_their_dataset_does(folder, cache, start):
    pytest.importorskip("torch")
    before = StreamingDataset(folder, 4, on_error="skip")
    before.state_dict()
    fa.validate(folder, index=True)
    after = StreamingDataset(folder, 4)
    loader = after.loader(num_workers=2, multiprocessing_context=start)
    assert sorted(ids(loader)) == GOOD
    loader = before.loader(num_workers=1, multiprocessing_context=start)
    assert [len(batch["id"]) for batch in loader] == [3, 3, 3, 4, 4]
