# SPDX-License-Identifier: Apache-2.0
"""Memory that runs out: under a limit, or where one allocation of C++ fails."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from processes import LINUX, run

NO_MEMORY = """
import json, resource, sys
import fast_axolotl
path, mib = sys.argv[1:]
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + (int(mib) << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
bad, rows, error = [], 0, None
try:
    for batch in fast_axolotl.streaming_dataset_reader(
        path, num_threads=1, on_error=bad.append
    ):
        rows += len(batch["v"])
except Exception as found:
    error = found
print(json.dumps([rows, len(bad), type(error).__name__, str(error)]))
"""


@LINUX
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".txt", ".parquet", ".arrow"])
def test_no_row_is_left_out_for_want_of_memory(suffix, tmp_path):
    """It is the machine's fault, and the row may be read elsewhere."""
    path = tmp_path / f"data{suffix}"
    long = "x" * (150 << 20)
    if suffix == ".jsonl":
        path.write_text('{"v": [' + "1," * (20 << 20) + "1]}\n")
    elif suffix == ".parquet":
        pq.write_table(pa.table({"v": [long]}), path, compression="none")
    elif suffix == ".arrow":
        data = pa.record_batch({"v": [long]})
        with pa.ipc.new_file(path, data.schema) as writer:
            writer.write_batch(data)
    else:
        path.write_text(("v\n" if suffix == ".csv" else "") + long + "\n")
    rows, bad, kind, text = run(NO_MEMORY, path, 200)
    assert (rows, bad, kind) == (0, 0, "MemoryError"), text


LATE_LIMIT = """
import json, resource, sys
import fast_axolotl
work, first, path, mib = sys.argv[1:]
# Before the limit: the allocator is chosen, and Python imports what it needs.
fast_axolotl.count_rows(first)
if work != "index":
    list(fast_axolotl.StreamingDataset(first, output=work))
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + (int(mib) << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    if work == "index":
        rows = fast_axolotl.build_index(path, num_threads=8)
    else:
        rows = 0
        dataset = fast_axolotl.StreamingDataset(path, num_threads=8, output=work)
        for batch in dataset:
            rows += len(batch["v"])
    print(json.dumps([rows, ""]))
except MemoryError as error:
    print(json.dumps([-1, str(error)]))
"""


@LINUX
@pytest.mark.parametrize("mib", [16, 18, 20, 22, 30, 80])
@pytest.mark.parametrize("work", ["index", "python", "numpy"])
def test_memory_that_is_limited_after_a_first_use(work, mib, tmp_path):
    """One thread does the work then: new ones would crash in the allocator."""
    first = tmp_path / "first.jsonl"
    first.write_text('{"v": 1}\n')
    path = tmp_path / "data.jsonl"
    path.write_text('{"v": "' + "x" * 1000 + '"}\n')
    path.write_text(path.read_text() * 40_000)
    for i in range(3 if work == "index" else 1):
        cache = tmp_path / f"cache{i}"
        rows, text = run(LATE_LIMIT, work, first, path, mib, FAST_AXOLOTL_CACHE=cache)
        # What is left beside Python decides whether reading gets by with it.
        assert rows == 40_000 or (work != "index" and mib < 80 and rows == -1), text


FAIL_NEW = """
import ctypes, json, os, resource, sys
import fast_axolotl
shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
path, limited, shuffle = sys.argv[1], sys.argv[2] == "True", sys.argv[3] == "True"
options = {"num_threads": 2, "shuffle": shuffle, "output": sys.argv[4]}
fast_axolotl.count_rows(path + "/0.jsonl")
import hashlib
if limited:  # the caller's thread reads then
    most = resource.getpagesize() * int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (most + (4 << 30),) * 2)

def values(after):
    reader = iter(fast_axolotl.StreamingDataset(path, 100, **options))
    found, errors = [], 0
    shim.fail_new(ctypes.c_long(after))
    while errors < 3:
        try:
            column = next(reader)["v"]
            found += column if isinstance(column, list) else column.tolist()
        except StopIteration:
            break
        except (MemoryError, OSError):
            errors += 1
    return found, errors

found = {-1: json.dumps(values(-1))}
for after in range(0, 400, 4):
    end, begin = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(begin, json.dumps(values(after)).encode())
        os._exit(0)
    os.close(begin)
    with open(end) as file:
        found[after] = file.read()
    os.waitpid(child, 0)
print(json.dumps(found))
"""


@LINUX
@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("output", ["python", "numpy"])
def test_no_row_is_missing_where_an_allocation_failed(
    output, shuffle, limited, shim, tmp_path
):
    """Whoever goes on gets the error again, or all rows."""
    path = tmp_path / "data"
    path.mkdir()
    for i in range(3):
        rows = [f'{{"v": {v}}}\n' for v in range(300 * i, 300 * i + 300)]
        (path / f"{i}.jsonl").write_text("".join(rows))
    found = run(FAIL_NEW, path, limited, shuffle, output, LD_PRELOAD=shim)
    right, _ = json.loads(found.pop("-1"))
    assert sorted(right) == list(range(900))
    assert (right == sorted(right)) is not shuffle
    failed = 0
    for text in found.values():
        # A Status that cannot be allocated ends the process.
        values, errors = json.loads(text) if text else ([], 3)
        assert values == right[: len(values)]
        assert len(values) == 900 or errors == 3
        failed += errors > 0
    assert failed > 10
