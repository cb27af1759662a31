# SPDX-License-Identifier: Apache-2.0
"""One measurement, in a process of its own: the harness's other half, not for the shell.

The one argument is a job as JSON; what was found goes to stdout as one line of JSON. The
job says when the process was started, so that the time to the first batch has in it the
start of Python and the imports. Nothing heavy is imported before the clock has stopped.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from typing import Any


def rows_in(batch: Any) -> int:
    """Rows of a batch of any output."""
    if hasattr(batch, "num_rows"):
        return int(batch.num_rows)
    return len(next(iter(batch.values())))


def peak_bytes() -> int:
    """The most memory that the process has had resident."""
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123
            line = next(line for line in status if line.startswith("VmHWM"))
        # getrusage would count the parent's memory before exec.
        return int(line.split()[1]) * 1024
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    from importlib import metadata

    found = {}
    for name in packages:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            # Ours may run from the tree without being installed.
            module: Any = sys.modules.get(name.replace("-", "_"))
            if hasattr(module, "get_version"):
                found[name] = module.get_version()
    return found


def counted(job: dict[str, Any], module: Any) -> dict[str, Any]:
    """Two counts of the rows; the second is the warm one."""
    path, columns = job["path"], job["columns"]
    module.count(path, columns)
    start = time.perf_counter()
    rows = module.count(path, columns)
    seconds = time.perf_counter() - start
    return {"rows": rows, "warm_s": seconds, "peak_bytes": peak_bytes()}


def passes(job: dict[str, Any], module: Any) -> dict[str, Any]:
    """Two passes, the first with the first batch in it, and one for the checksum."""
    make = getattr(module, job["output"])
    arguments = (job["path"], job["columns"])
    options = job.get("options", {})
    rows = 0
    first = None
    began = time.perf_counter()
    for batch in make(*arguments, **options):
        if first is None:
            first = time.clock_gettime(time.CLOCK_MONOTONIC) - job["started"]
        rows += rows_in(batch)
    batch = None  # held through the next pass it would count there
    cold = time.perf_counter() - began
    again = 0
    began = time.perf_counter()
    for batch in make(*arguments, **options):
        again += rows_in(batch)
    batch = None
    warm = time.perf_counter() - began
    found = {
        "first_s": first,
        "cold_s": cold,
        "warm_s": warm,
        "peak_bytes": peak_bytes(),
        "rows": rows,
    }
    if again != rows:
        raise RuntimeError(f"{rows} rows in the first pass, {again} in the second")
    if job["check"]:
        import checksum

        sums = checksum.KINDS[job["output"]]()
        for batch in make(*arguments, **options):
            sums.add(batch)
        found["sums"] = sums.figures()
    return found


def converted(job: dict[str, Any], module: Any) -> dict[str, Any]:
    began = time.perf_counter()
    module.convert(job["source"], job["path"])
    return {"warm_s": time.perf_counter() - began}


def main() -> None:
    # What peers print must not come between.
    answer = os.dup(1)
    os.dup2(2, 1)
    job = json.loads(sys.argv[1])
    module = import_module(f"loaders.{job['loader']}")
    if hasattr(module, "prepare"):
        module.prepare()
    began = time.perf_counter()
    for name in module.IMPORTS:
        import_module(name)
    found: dict[str, Any] = {"import_s": time.perf_counter() - began}
    task: Any = {"count": counted, "convert": converted}.get(job["output"], passes)
    code = 0
    try:
        found |= task(job, module)
        found["versions"] = versions(module.PACKAGES)
    except BaseException as error:  # noqa: BLE001  (whatever a peer raises is its result)
        import traceback

        traceback.print_exc()
        told = " ".join(str(error).split())
        found = {"error": f"{type(error).__name__}: {told}"[:300]}
        code = 1
    sys.stderr.flush()
    os.write(answer, json.dumps(found).encode() + b"\n")
    # Nobody's threads, caches or exit handlers may hold up what comes next.
    os._exit(code)


if __name__ == "__main__":
    main()
