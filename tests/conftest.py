# SPDX-License-Identifier: Apache-2.0
"""Fixtures of several test files; and no test reads or writes the user's cache."""

import gzip
import shutil
import subprocess
from pathlib import Path

import calls
import command_line
import epoch_files
import hf_rows
import iterators
import make_sample_data
import pytest
from fault_worker import Worker


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory):
    """One cache for a run: files that many tests read are indexed once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(session_cache, monkeypatch):
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(session_cache))


@pytest.fixture(scope="module")
def worker():
    """A process that reads damaged files."""
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
    """The folder of indexes in an empty cache of this test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(folder))
    return folder / "index"


@pytest.fixture(scope="module")
def long_lines(tmp_path_factory):
    """A file of 50 MB: nobody is through with it by chance."""
    path = tmp_path_factory.mktemp("long") / "data.jsonl"
    row = b'{"i": 1234567, "text": "' + b"x" * 470 + b'"}\n'
    with path.open("wb") as file:
        for _ in range(50):
            file.write(row * (1_000_000 // len(row)))
    return path


@pytest.fixture(scope="module")
def ten_files(tmp_path_factory):
    """A folder of a thousand rows."""
    folder = tmp_path_factory.mktemp("small")
    for i in range(10):
        (folder / f"{i}.jsonl").write_text(
            "".join(f'{{"i": {i * 100 + j}}}\n' for j in range(100))
        )
    return folder


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    return iterators.write_rows(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Path and ids of a file of each kind that the plan cuts into fragments."""
    return epoch_files.write_pool(tmp_path_factory.mktemp("epoch"))


@pytest.fixture(scope="module")
def hf_file(tmp_path_factory):
    return hf_rows.write_rows(tmp_path_factory.mktemp("hf") / "rows.jsonl")


@pytest.fixture(scope="module")
def called_file(tmp_path_factory):
    return calls.write_rows(tmp_path_factory.mktemp("ahead"))


@pytest.fixture
def rows_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    make_sample_data.write(path, command_line.ROWS)
    return path


@pytest.fixture(scope="module")
def long_work(tmp_path_factory):
    """A small file that takes seconds to read: one gzip member, many times over."""
    path = tmp_path_factory.mktemp("long") / "long.jsonl.gz"
    member = gzip.compress(
        b'{"id": 1, "text": "a few words", "n": [1, 2, 3]}\n' * 100_000
    )
    path.write_bytes(member * 800)
    return path


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The library to preload."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = tmp_path_factory.mktemp("shim") / "fault_shim.so"
    source = Path(__file__).with_name("fault_shim.c")
    subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lstdc++"],
        check=True,
    )
    return library
