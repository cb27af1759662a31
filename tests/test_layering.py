# SPDX-License-Identifier: Apache-2.0
"""Data flows one way through the core, and so do the includes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
CORE = SRC / "core"
STAGES = ["source", "codec", "format", "index", "plan", "output", "scan"]
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.MULTILINE)
PYTHON = re.compile(r"(^|/)Python\.h$|nanobind")


def allowed(stage: str) -> set[str]:
    """Return the folders that files of a stage may include from."""
    if stage == "common":
        return {"common"}
    return {"common", *STAGES[: STAGES.index(stage) + 1]}


def stage_of(header: str, includer: Path) -> str | None:
    """Return the stage a header is of, or None for the headers of others."""
    for root in (SRC, includer.parent):
        path = (root / header).resolve()
        if path.is_file() and path.is_relative_to(CORE):
            return path.relative_to(CORE).parts[0]
    # A header of ours that does not exist (yet) is still told by its name.
    parts = Path(header).parts
    return parts[1] if len(parts) > 2 and parts[0] == "core" else None


def includes() -> Iterator[tuple[Path, str]]:
    for path in sorted([*CORE.rglob("*.h"), *CORE.rglob("*.cc")]):
        for header in INCLUDE.findall(path.read_text()):
            yield path, header


def misplaced(path: Path, header: str) -> bool:
    target = stage_of(header, path)
    return target is not None and target not in allowed(path.relative_to(CORE).parts[0])


def test_every_file_of_the_core_is_in_a_stage():
    strays = {p.name for p in CORE.iterdir()} - {"common", *STAGES, "README.md"}
    assert not strays


def test_a_stage_includes_only_itself_and_earlier_ones():
    wrong = [f"{p.relative_to(SRC)}: {h}" for p, h in includes() if misplaced(p, h)]
    assert not wrong


def test_the_core_knows_no_python():
    wrong = [f"{p.relative_to(SRC)}: {h}" for p, h in includes() if PYTHON.search(h)]
    assert not wrong


@pytest.mark.parametrize(
    ("path", "header", "expected"),
    [
        ("scan/a.cc", "core/source/b.h", False),
        ("source/a.cc", "core/scan/b.h", True),
        ("common/a.h", "core/source/b.h", True),
        ("plan/a.cc", "core/common/b.h", False),
        ("plan/a.cc", "arrow/api.h", False),
    ],
)
def test_the_rule_itself(path: str, header: str, expected: bool):
    assert misplaced(CORE / path, header) is expected
