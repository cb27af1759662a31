# SPDX-License-Identifier: Apache-2.0
"""Every code block in README.md and docs/ runs, on data under the names used there.

The ```python blocks of a page run in order and share one namespace, as one program in a
folder that holds ``data/``. A block after the line ``<!-- needs torch -->`` is part of
that program only where torch is installed, and so for any other module. Of a ```console
block, every ``$`` line runs.
"""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import make_sample_data as maker
import pytest

from fast_axolotl import PackOptions, PadCollator, StreamingDataset

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = re.compile(r"<!-- needs (\w+) -->\n$")


def installed(module):
    return importlib.util.find_spec(module) is not None


# Workers are forked, because a started-anew worker would run the whole page again.
PREAMBLE = "import multiprocessing; multiprocessing.set_start_method('fork');"


def blocks(page, language):
    """Yield (line number of the first line, code, module that is needed or None)."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match[1] == language:
            line = text.count("\n", 0, match.start(2)) + 1
            needs = NEEDS.search(text[: match.start()])
            yield line, match[2], needs and needs[1]


def program(page, *, extras):
    """The page's blocks as one program, each line under the number it has there."""
    lines = []
    for line, code, needs in blocks(page, "python"):
        if not needs or (extras and installed(needs)):
            lines += [""] * (line - 1 - len(lines)) + code.splitlines()
    if lines:
        lines[0] = PREAMBLE
    return "\n".join(lines)


def named(pages):
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages]


def pages_with(language, *, extras=False):
    def wanted(page):
        return any(needs or not extras for _, _, needs in blocks(page, language))

    return named(page for page in PAGES if wanted(page))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    maker.write_docs(folder / "data")
    return folder


def run_program(page, folder, *, extras):
    script = folder / f"page_{page.stem}.py"
    script.write_text(program(page, extras=extras), encoding="utf-8")
    warnings = [] if extras else ["-W", "error"]  # those of torch are not ours to mend
    done = subprocess.run(
        [sys.executable, *warnings, script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_blocks_run(page, folder):
    run_program(page, folder, extras=False)


@pytest.mark.parametrize("page", pages_with("python", extras=True))
def test_python_blocks_run_with_what_they_need(page, folder):
    needed = {needs for _, _, needs in blocks(page, "python") if needs}
    if not any(map(installed, needed)):
        pytest.skip(f"none of {', '.join(sorted(needed))} is installed")
    run_program(page, folder, extras=True)


@pytest.mark.parametrize("page", pages_with("console"))
def test_console_blocks_run(page, folder):
    command = f"{shlex.quote(sys.executable)} -m fast_axolotl.cli "
    for _, code, _ in blocks(page, "console"):
        for line in code.splitlines():
            assert line.startswith("$ fast-axolotl ")
            done = subprocess.run(
                command + line.removeprefix("$ fast-axolotl "),
                shell=True,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stderr}"
            assert done.stdout
            assert not done.stderr


def test_every_block_is_of_a_known_kind():
    """A misspelt language would take a block out of the tests without a word."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        kinds = {match[1] for match in FENCE.finditer(text)}
        assert kinds <= {"python", "console", "bash", "text"}, page
        assert text.count("```") == 2 * len(FENCE.findall(text)), page


def test_the_script_makes_the_data_of_the_blocks(tmp_path):
    script = ROOT / "scripts" / "make_sample_data.py"
    command = [sys.executable, script, "--docs", "data"]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    maker.write_docs(tmp_path / "expected")
    made, expected = (
        {path.relative_to(folder): path.read_bytes() for path in files_below(folder)}
        for folder in (tmp_path / "data", tmp_path / "expected")
    )
    assert made == expected
    assert made


def files_below(folder):
    return (path for path in folder.rglob("*") if path.is_file())


def test_tensors_need_torch_or_numpy(folder, monkeypatch):
    """As the pages on tensors begin."""
    path = folder / "data" / "train.parquet"
    assert StreamingDataset(path, pad={"input_ids": 0})
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
    needed = r"^pad= and pack= need torch or numpy: pip install torch$"
    with pytest.raises(ImportError, match=needed):
        StreamingDataset(path, pad={"input_ids": 0})
    with pytest.raises(ImportError, match=needed):
        StreamingDataset(path, pack=PackOptions(128))
    with pytest.raises(ImportError, match=needed):
        PadCollator({"input_ids": 0})
    for output in ("python", "arrow"):
        assert StreamingDataset(path, output=output).num_rows == 40
