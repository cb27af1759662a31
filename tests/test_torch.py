# SPDX-License-Identifier: Apache-2.0
"""torch: the real IterableDataset, its DataLoader, and imports that stay away."""

import importlib.util
import subprocess
import sys
import textwrap

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fast_axolotl

HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
ROWS = 1003


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torch")
    for part, start in enumerate(range(0, ROWS, 250)):
        ids = list(range(start, min(start + 250, ROWS)))
        data = pa.table({"id": ids, "text": [str(i) for i in ids]})
        pq.write_table(data, folder / f"{part}.parquet", row_group_size=60)
    return folder


def python(code, *args):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# --- imports --------------------------------------------------------------------------


def test_heavy_packages_are_not_imported(folder):
    heavy = '{"torch", "numpy", "pandas", "datasets", "pyarrow", "rich"}'
    python(
        f"""
        import sys
        import fast_axolotl
        assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)
        path = sys.argv[1]
        reader = fast_axolotl.streaming_dataset_reader(
            path, schema={{"id": "float64"}}, columns=["id"]
        )
        assert sum(len(batch["id"]) for batch in reader) == {ROWS}
        fast_axolotl.count_rows(path)
        fast_axolotl.detect_format(path)
        fast_axolotl.list_supported_formats()
        dir(fast_axolotl)
        assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)
        """,
        folder,
    )


@needs_torch
@pytest.mark.parametrize("first", ["torch", "fast_axolotl"])
def test_it_is_an_iterable_dataset_whichever_is_imported_first(first, folder):
    other = {"torch": "fast_axolotl", "fast_axolotl": "torch"}[first]
    python(
        f"""
        import sys
        import {first}
        import {other}
        from torch.utils.data import IterableDataset
        from fast_axolotl import RustStreamingDataset, StreamingDataset
        assert RustStreamingDataset is StreamingDataset
        assert issubclass(StreamingDataset, IterableDataset)
        dataset = StreamingDataset(sys.argv[1])
        made = fast_axolotl.create_rust_streaming_dataset(sys.argv[1])
        assert type(made) is type(dataset) is StreamingDataset
        assert isinstance(dataset, IterableDataset)
        loader = torch.utils.data.DataLoader(dataset, batch_size=None)
        assert sum(len(batch["id"]) for batch in loader) == {ROWS}
        """,
        folder,
    )


def test_without_torch_it_is_a_dataset_all_the_same(folder):
    python(
        f"""
        import sys
        sys.modules["torch"] = None
        from fast_axolotl import StreamingDataset
        import pickle
        dataset = StreamingDataset(sys.argv[1], 10)
        assert sum(len(batch["id"]) for batch in dataset) == {ROWS}
        assert len(dataset) == {-(-ROWS // 10)}
        assert len(list(pickle.loads(pickle.dumps(dataset)))) == len(dataset)
        try:
            dataset.loader()
        except ImportError as error:
            assert "torch" in str(error)
        else:
            raise AssertionError("a loader without torch")
        """,
        folder,
    )


# --- DataLoader -----------------------------------------------------------------------


@needs_torch
@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.filterwarnings("ignore")
def test_each_row_exactly_once(context, workers, folder):
    from torch.utils.data import DataLoader

    dataset = fast_axolotl.StreamingDataset(folder, 50)
    options = {"multiprocessing_context": context} if workers else {}
    loader = DataLoader(
        dataset, batch_size=None, num_workers=workers, collate_fn=_same, **options
    )
    assert len(loader) == len(dataset) == 21
    batches = list(loader)
    assert len(batches) == 21
    assert sorted(i for batch in batches for i in batch["id"]) == list(range(ROWS))
    # Only the last batch of all is short.
    assert sorted(len(batch["id"]) for batch in batches) == [3] + [50] * 20
    assert all(batch["text"] == [str(i) for i in batch["id"]] for batch in batches)
    if workers <= 1:
        assert batches == list(dataset)


def _same(batch):
    return batch


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_more_workers_than_batches(folder):
    loader = fast_axolotl.StreamingDataset(folder, 600).loader(num_workers=3)
    assert sorted(i for batch in loader for i in batch["id"]) == list(range(ROWS))


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_persistent_workers_over_epochs(folder):
    loader = fast_axolotl.StreamingDataset(folder, 50).loader(
        num_workers=2, persistent_workers=True
    )
    epochs = [[i for batch in loader for i in batch["id"]] for _ in range(3)]
    assert all(sorted(ids) == list(range(ROWS)) for ids in epochs)
    assert epochs[0] == epochs[1] == epochs[2]


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_workers_after_the_parent_has_read(folder):
    """The fork finds a parent with a reader in the middle of its work."""
    dataset = fast_axolotl.StreamingDataset(folder, 10)
    reader = iter(dataset)
    first = next(reader)
    loader = dataset.loader(num_workers=2, multiprocessing_context="fork")
    assert sorted(i for batch in loader for i in batch["id"]) == list(range(ROWS))
    assert [first, *reader] == list(dataset)


@needs_torch
@pytest.mark.filterwarnings("ignore")
def test_a_loop_that_breaks_off(folder):
    loader = fast_axolotl.StreamingDataset(folder, 10).loader(num_workers=2)
    for _ in range(3):
        for batch in loader:
            assert len(batch["id"]) == 10
            break
    assert sum(len(batch["id"]) for batch in loader) == ROWS


@needs_torch
def test_an_error_in_a_worker_names_file_and_line(tmp_path):
    """In a process of its own: torch waits long for workers that failed."""
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": 1}\n' * 30 + "oops\n")
    out = python(
        """
        import os, sys
        from fast_axolotl import StreamingDataset
        batches = iter(StreamingDataset(sys.argv[1], 10).loader(num_workers=2))
        try:
            for batch in batches:
                pass
        except OSError as error:
            print(error, flush=True)
        for worker in batches._workers:
            worker.kill()
        os._exit(0)
        """,
        path,
    )
    assert "bad.jsonl: line 31" in out


@needs_torch
def test_the_loader_of_the_dataset(folder):
    from torch.utils.data import DataLoader

    dataset = fast_axolotl.StreamingDataset(folder, 50)
    loader = dataset.loader()
    assert isinstance(loader, DataLoader)
    assert loader.batch_size is None
    assert loader.dataset is dataset
    assert list(loader) == list(dataset)
    assert len(loader) == len(dataset)
    assert next(iter(dataset.loader(collate_fn=len))) == 2
    assert list(dataset.loader(batch_size=None))[:1] == list(dataset)[:1]
    with pytest.raises(TypeError, match="batch_size"):
        dataset.loader(batch_size=8)


@needs_torch
def test_the_default_conversion_works_too(folder):
    import torch
    from torch.utils.data import DataLoader

    dataset = fast_axolotl.StreamingDataset(folder, 50, ["id", "text"])
    batch = next(iter(DataLoader(dataset, batch_size=None)))
    assert len(batch["id"]) == len(batch["text"]) == 50
    assert torch.tensor(batch["id"]).tolist() == list(range(50))
