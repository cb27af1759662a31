# SPDX-License-Identifier: Apache-2.0
"""A process that reads damaged files, so that a crash or a hang is a failed test."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

# Reads files of the bytes it is told, and prints one line of JSON for each.
_WORKER = """
import faulthandler, json, sys
faulthandler.enable()
import fast_axolotl

def peak_memory():
    # getrusage counts what the parent had before exec, too.
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if "VmHWM" in line)
    except FileNotFoundError:
        return 0

def in_order(path):
    return fast_axolotl.streaming_dataset_reader(path, 3, num_threads=2)

def planned(path):
    return fast_axolotl.StreamingDataset(
        path, 3, shuffle=True, num_lanes=2, num_threads=2)

for line in sys.stdin:
    path, data, how = json.loads(line)
    with open(path, "wb") as file:
        file.write(bytes.fromhex(data))
    rows, kind, text = [], None, None
    try:
        for batch in {"in order": in_order, "planned": planned}[how](path):
            rows += zip(*batch.values())
    except Exception as error:
        text = str(error)
        kind = next(k.__name__ for k in (OSError, ValueError, MemoryError, type(error))
                    if isinstance(error, k))
    peak = peak_memory()
    print(json.dumps([[repr(row) for row in rows], kind, text, peak]), flush=True)
"""


@dataclass(frozen=True)
class Outcome:
    """What came of reading a file: the rows before the error's kind and text, if any."""

    rows: list[str]
    kind: str | None
    text: str | None
    peak: int  # the process's largest resident size so far, in KiB

    def __iter__(self):
        return iter((self.rows, self.kind, self.text))


class Worker:
    """A process that may crash or hang; the next question starts another one."""

    def __init__(self):
        self.process = None

    def read(
        self, path: Path, data: bytes, *, how: str = "in order", seconds: float = 60
    ) -> Outcome:
        """What came of a file of these bytes."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        process = self.process
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        process.stdin.write(json.dumps([str(path), data.hex(), how]) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        timer.cancel()
        if answer:
            return Outcome(*json.loads(answer))
        # What is left of it says why.
        self.process = None
        _, trace = process.communicate()
        return pytest.fail(
            f"died with {process.returncode} (-9: it hung) on {bytes(data[:2000])}\n"
            + trace[-2000:]
        )

    def close(self):
        if self.process is not None:
            self.process.communicate()


def flipped(data: bytes, flips: list[tuple[int, int]]) -> bytes:
    """The data with these bits, each as byte and bit, turned over."""
    changed = bytearray(data)
    for byte, bit in flips:
        changed[byte] ^= 1 << bit
    return bytes(changed)
