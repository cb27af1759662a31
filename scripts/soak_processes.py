# SPDX-License-Identifier: Apache-2.0
"""The processes of ``soak.py``: each does a job and tells what it read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soak_child

CHILD = Path(soak_child.__file__)
SECONDS = 120  # for one process; the data are small


class WrongError(Exception):
    """A verdict that should not be, and what was seen."""

    def __init__(self, verdict: str, seen: str) -> None:
        super().__init__(seen)
        self.verdict = verdict


@dataclass
class Outcome:
    """What a process said, and how it ended."""

    batches: list[dict[str, Any]]
    error: list[str] | None = None  # its classes
    text: str = ""
    killed: bool = False

    @property
    def rows(self) -> list[list[Any]]:
        return [row for batch in self.batches for row in batch["rows"]]


class Child:
    """A process that does a job."""

    def __init__(self, job: dict[str, Any], cache: Path) -> None:
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "FAST_AXOLOTL_CACHE": str(cache)},
        )
        self.hung = False
        self.killed = False
        self.timer = threading.Timer(SECONDS, self._hang)
        self.timer.start()
        self.say(job)

    def _hang(self) -> None:
        self.hung = True
        self.process.kill()

    def say(self, message: object) -> None:
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, which finish() looks into

    def kill(self) -> None:
        self.killed = True
        self.process.send_signal(signal.SIGKILL)

    def finish(self, paused: Callable[[], None] | None = None) -> Outcome:
        """Read what it says to the end; `paused` is called where it waits for us."""
        outcome = Outcome([])
        ended = False
        for line in self.process.stdout:
            if not line.endswith("\n"):
                break  # it was killed in the middle
            said = json.loads(line)
            if said.get("paused"):
                if paused:
                    paused()
                self.say("go on")
            elif "error" in said:
                outcome.error, outcome.text, ended = said["error"], said["text"], True
            elif said.get("end"):
                ended = True
            else:
                outcome.batches.append(said)
        code = self.process.wait()
        self.timer.cancel()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.seek(0)
        log = self.log.read()
        self.log.close()
        outcome.killed = self.killed and not ended
        if self.hung:
            raise WrongError("hangs", f"no end after {SECONDS} s; {log[-2000:]}")
        if not outcome.killed and (code != 0 or not ended):
            raise WrongError("crashes", f"exit code {code}; {log[-4000:]}")
        return outcome


def run(
    job: dict[str, Any], cache: Path, paused: Callable[[], None] | None = None
) -> Outcome:
    return Child(job, cache).finish(paused)
