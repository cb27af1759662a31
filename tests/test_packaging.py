# SPDX-License-Identifier: Apache-2.0
"""What an installed package promises before any file is read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from formats import table, write_parquet

import fast_axolotl
from fast_axolotl import _core, _libarrow

ROOT = Path(__file__).parents[1]
PACKAGE = Path(fast_axolotl.__file__).parent
HEAVY = ["pyarrow", "numpy", "torch", "pandas", "datasets"]
# Nothing that reads a file needs these, and they would take as long as all the rest.
SLOW = ["collections", "contextlib", "ctypes", "enum", "functools", "re", "typing",
        "warnings", "importlib.util"]  # fmt: skip


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def run_python(
    code: str, *path: Path, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_version_is_that_of_pyproject(project):
    version = project["project"]["version"]
    assert version == fast_axolotl.__version__ == fast_axolotl.get_version()
    assert version == _core.version()
    assert fast_axolotl.is_available() is True


def test_one_pyarrow_is_asked_for_everywhere(project):
    assert _libarrow.REQUIREMENT in project["project"]["dependencies"]
    assert _libarrow.REQUIREMENT in project["build-system"]["requires"]
    major = re.search(r">=(\d+)", _libarrow.REQUIREMENT)[1]
    assert f"{major}00" in _libarrow.LIBRARIES[0]
    assert f"find_package(PyArrow {major} " in (ROOT / "CMakeLists.txt").read_text()
    assert f"pyarrow=={major}.0." in (ROOT / "requirements-build.txt").read_text()


def test_import_brings_no_heavy_module():
    code = f"import sys, fast_axolotl; print([m for m in {HEAVY} if m in sys.modules])"
    done = run_python(code, PACKAGE.parent)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_stub_is_that_of_the_module(tmp_path):
    pytest.importorskip("nanobind")
    stub = tmp_path / "_core.pyi"
    stubgen = ["-m", "nanobind.stubgen", "-q", "-m", "fast_axolotl._core"]
    places = ["-i", str(PACKAGE.parent), "-o", str(stub)]
    subprocess.run([sys.executable, *stubgen, *places], check=True)
    committed = (ROOT / "src/fast_axolotl/_core.pyi").read_text()
    assert stub.read_text() == committed, "write it anew with ./dev stubs"


def copy_package(target: Path) -> None:
    shutil.copytree(PACKAGE, target / "fast_axolotl", symlinks=True)


def link_pyarrow(target: Path) -> None:
    spec = find_spec("pyarrow")
    assert spec is not None
    (target / "pyarrow").symlink_to(next(iter(spec.submodule_search_locations)))


# -S leaves the environment's site-packages out, so that only the given folders count.
def import_in(*path: Path) -> subprocess.CompletedProcess[str]:
    code = "import fast_axolotl, sys; print('ok', 'pyarrow' in sys.modules)"
    return run_python(code, *path, options=("-S",))


def test_import_beside_pyarrow(tmp_path):
    copy_package(tmp_path)
    link_pyarrow(tmp_path)
    assert import_in(tmp_path).stdout.strip() == "ok False"


def test_import_and_reading_bring_no_slow_module(tmp_path):
    copy_package(tmp_path)
    link_pyarrow(tmp_path)
    folder, lines = tmp_path / "data", tmp_path / "data" / "a.jsonl"
    folder.mkdir()
    lines.write_text('{"i": 1, "text": "a"}\n')
    parquet = tmp_path / "a.parquet"
    parquet.write_bytes(write_parquet(table(i=[1], text=["a"])))
    code = f"""
import sys
import fast_axolotl
for path in {[str(folder), str(lines), str(parquet)]}:
    (batch,) = fast_axolotl.streaming_dataset_reader(path)
    assert batch == {{"i": [1], "text": ["a"]}}
print([m for m in {HEAVY + SLOW} if m in sys.modules])
"""
    done = run_python(code, tmp_path, options=("-S",))
    assert done.stdout.strip() == "[]", done.stderr


def test_import_with_pyarrow_elsewhere(tmp_path):
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    copy_package(tmp_path / "ours")
    link_pyarrow(tmp_path / "theirs")
    done = import_in(tmp_path / "ours", tmp_path / "theirs")
    assert done.stdout.strip() == "ok False", done.stderr


def test_import_without_pyarrow_says_what_to_install(tmp_path):
    copy_package(tmp_path)
    last = import_in(tmp_path).stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: fast_axolotl needs the wheel of pyarrow>=26.0")
    assert "not installed" in last
    assert "-m pip install 'pyarrow>=26.0,<26.1'" in last


def test_import_with_another_pyarrow_says_which(tmp_path):
    copy_package(tmp_path)
    (tmp_path / "pyarrow").mkdir()
    (tmp_path / "pyarrow" / "__init__.py").touch()
    meta = tmp_path / "pyarrow-19.0.1.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: pyarrow\nVersion: 19.0.1\n"
    )
    last = import_in(tmp_path).stderr.strip().splitlines()[-1]
    assert "pyarrow 19.0.1" in last
    assert "-m pip install 'pyarrow>=26.0,<26.1'" in last
