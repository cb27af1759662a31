# SPDX-License-Identifier: Apache-2.0
"""Runs measurements: one process each, from its own environment, one JSON line each."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import loaders

if TYPE_CHECKING:
    from data import Data

HERE = Path(__file__).resolve().parent
Line = dict[str, Any]


def missing(pairs: set[tuple[str, str]]) -> list[str]:
    """Packages that these loaders need for these outputs and that are not installed."""
    wanted = set()
    for name, output in pairs:
        module = loaders.load(name)
        if not hasattr(module, "VENV"):
            wanted |= {one.partition(".")[0] for one in module.IMPORTS}
            wanted |= {"torch"} if output in {"padded", "packed"} else set()
    return sorted(name for name in wanted if find_spec(name) is None)


class Results:
    """A file of JSON lines: what the run was, then one line for each measurement."""

    def __init__(self, path: Path, about: Line) -> None:
        self.path = path
        self.lines: list[Line] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"about": about}) + "\n", "utf-8")

    def add(self, line: Line) -> None:
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Harness:
    """Starts processes for one size of the data."""

    def __init__(self, data: Data, timeout: float) -> None:
        self.data = data
        self.timeout = timeout
        self._cache = data.folder / "cache"

    def run(self, job: Line, timeout: float | None = None) -> Line:
        """Run one job of measure.py; what it found, or ``{"error": why}``."""
        found = self._run(job, timeout or self.timeout)
        if "error" in found:  # without the places of this machine
            for place in (HERE.parent, self.data.folder.parent):
                found["error"] = found["error"].replace(str(place), "...")
        return found

    def _run(self, job: Line, timeout: float) -> Line:
        environment = {
            **os.environ,
            "HF_HOME": str(self._cache / "huggingface"),
            "HF_HUB_OFFLINE": "1",
            "FAST_AXOLOTL_CACHE": str(self._cache / "fast_axolotl"),
        }
        python = sys.executable
        if hasattr(loaders.load(job["loader"]), "VENV"):
            environment.pop("PYTHONPATH", None)  # which may hold another fast_axolotl
            python = str(self.venv(job["loader"]) / "bin" / "python")
        job = {**job, "started": time.clock_gettime(time.CLOCK_MONOTONIC)}
        # Files and no pipes, which a peer's forgotten children would hold open.
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
            process = subprocess.Popen(
                [python, str(HERE / "measure.py"), json.dumps(job)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,  # so that its children can be ended with it
            )
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                return {"error": f"took more than {timeout:.0f} s"}
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            out.seek(0)
            answer = out.read()
            if answer:
                return dict(json.loads(answer))
            err.seek(0)
            told = " ".join(err.read().split())[-300:]
            return {"error": f"ended with status {status}: {told}"}

    def venv(self, name: str) -> Path:
        """The environment of a loader that has one of its own, made if need be."""
        wanted = list(loaders.load(name).VENV)
        folder = self.data.folder.parent / "venvs" / name
        stamp = folder / "made-for.json"
        if stamp.exists() and json.loads(stamp.read_text()) == wanted:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        made = subprocess.run(
            [*pip, *wanted], capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            raise SystemExit(f"no environment for {name}:\n{made.stderr[-2000:]}")
        stamp.write_text(json.dumps(wanted))
        return folder

    def source(self, name: str, file: str) -> Path:
        """What a loader reads: the file, or what it converts the file to."""
        if hasattr(loaders.load(name), "convert"):
            return self._cache / "converted" / f"{file}-{name}"
        return self.data.path(file)

    def convert(self, name: str, file: str) -> Line:
        """Have a loader convert a file, once; how long it took, now or then."""
        target = self.source(name, file)
        stamp = target.with_name(f"{target.name}.json")
        if stamp.exists():
            return dict(json.loads(stamp.read_text()))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        job = {
            "loader": name,
            "output": "convert",
            "source": str(self.data.path(file)),
            "path": str(target),
        }
        found = self.run(job, 20 * self.timeout)
        line = {"loader": name, "file": file, **found}
        if "error" not in line:
            parts = [part for part in target.rglob("*") if part.is_file()]
            line["bytes"] = sum(part.stat().st_size for part in parts)
            stamp.write_text(json.dumps(line))
        return line

    def warm(self, names: list[str]) -> None:
        """Read the files, so that all loaders find them in the page cache."""
        for name in names:
            path = self.data.path(name)
            for file in path.iterdir() if path.is_dir() else [path]:
                with file.open("rb") as stream:
                    while stream.read(1 << 22):
                        pass
