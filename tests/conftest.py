# SPDX-License-Identifier: Apache-2.0
"""What all tests need: no test reads or writes the user's cache."""

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
