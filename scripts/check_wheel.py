# SPDX-License-Identifier: Apache-2.0
"""Check a wheel as those who install it meet it.

    python scripts/check_wheel.py WHEEL [--pyarrow VERSION ...] [--refused VERSION]

For each pyarrow a new environment gets the wheel, that pyarrow and no numpy. There, in a
folder of its own and with no compiler in reach, a file of every format and compression is
written by pyarrow and the standard library and read by the package. Beside the pyarrow
that is refused, the import must fail with the sentence that says what to install. The
bill of materials must be what CycloneDX's schema asks for.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Runs where the wheel is installed: writes the files, with pyarrow.
WRITE = """
import json
import pyarrow as pa, pyarrow.csv, pyarrow.feather, pyarrow.ipc, pyarrow.parquet as pq

rows = [{"n": i, "text": f"{i} \\u00e9\\u4e2d", "ids": [i, i + 1]} for i in range(1000)]
table = pa.Table.from_pylist(rows)
flat = table.select(["n", "text"])

def write_stream(file, kind, codec=None):
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with kind(file, table.schema, options=options) as writer:
        writer.write_table(table)

writers = {
    "json": lambda file: file.write(json.dumps(rows).encode()),
    "jsonl": lambda file: file.write("\\n".join(map(json.dumps, rows)).encode()),
    "csv": lambda file: pa.csv.write_csv(flat, file),
    "txt": lambda file: file.write("".join(r["text"] + "\\n" for r in rows).encode()),
    "parquet": lambda file: pq.write_table(table, file),
    "arrow": lambda file: write_stream(file, pa.ipc.new_file),
    "stream.arrow": lambda file: write_stream(file, pa.ipc.new_stream),
    "feather": lambda file: write_stream(file, pa.ipc.new_file),
}
for name, write in writers.items():
    for suffix, codec in {"": None, ".gz": "gzip", ".zst": "zstd"}.items():
        with pa.output_stream(f"a.{name}{suffix}", compression=codec) as file:
            write(file)
for codec in ["snappy", "gzip", "zstd", "lz4", "brotli"]:
    pq.write_table(table, f"{codec}.parquet", compression=codec)
for codec in ["lz4", "zstd"]:
    with pa.output_stream(f"{codec}.arrow") as file:
        write_stream(file, pa.ipc.new_file, codec)
"""

# Runs there as well: reads them, without pyarrow.
READ = """
import os, sys
from importlib.util import find_spec
import fast_axolotl

assert find_spec("numpy") is None, "numpy is installed"
rows = [{"n": i, "text": f"{i} \\u00e9\\u4e2d", "ids": [i, i + 1]} for i in range(1000)]
kept = {"csv": ["n", "text"], "text": ["text"]}
seen = {"hf_dataset"}  # a folder of Arrow files
for path in sorted(os.listdir()):
    kind, codec = fast_axolotl.detect_format(path)
    seen.add(kind + {"gzip": ".gz", "zstd": ".zst"}.get(codec, ""))
    read = []
    for batch in fast_axolotl.streaming_dataset_reader(path, 128):
        read += [dict(zip(batch, row)) for row in zip(*batch.values())]
    columns = kept.get(kind, ["n", "text", "ids"])
    assert read == [{name: row[name] for name in columns} for row in rows], path
    assert fast_axolotl.count_rows(path) == 1000, path
missing = set(fast_axolotl.list_supported_formats()) - seen
assert not missing, f"no file of {missing}"
assert "pyarrow" not in sys.modules
print(len(os.listdir()), "files read with fast_axolotl", fast_axolotl.get_version())
"""

# Prints where libraries were loaded from that the wheel brings with it.
LOADED = """
import os, fast_axolotl
maps = open("/proc/self/maps").read().split()
print(*sorted({p for p in maps if any(n in os.path.basename(p) for n in %r)}), sep="\\n")
"""


class Environment:
    """A new virtual environment that sees nothing of the caller's."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", with_pip=True)
        self.bin = folder / "venv/bin"
        self.files = folder / "files"
        self.files.mkdir()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        # PATH holds no compiler, and of the variables only what pip may need is kept.
        asked = re.compile("PIP_.*|SSL_.*|(http|https|no)_proxy", re.IGNORECASE)
        kept = {k: v for k, v in os.environ.items() if asked.fullmatch(k)}
        env = {**kept, "PATH": str(self.bin), "HOME": str(self.files.parent)}
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            cwd=self.files, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def must(self, *command: str) -> str:
        done = self.run(*command)
        if done.returncode != 0:
            sys.exit(f"failed: {' '.join(command)[:200]}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def install(self, *what: str) -> None:
        options = ["-qq", "--disable-pip-version-check", "--only-binary=:all:"]
        self.must("python", "-m", "pip", "install", *options, *what)


def constraints(folder: Path) -> Path:
    """Write the pinned versions of all but pyarrow, without hashes, for pip."""
    pins = (ROOT / "requirements-build.txt").read_text()
    lines = re.findall(r"^([A-Za-z0-9._-]+==[^\s\\;]+)", pins, re.MULTILINE)
    path = folder / "constraints.txt"
    path.write_text("\n".join(x for x in lines if not x.startswith("pyarrow=")) + "\n")
    return path


def check_content(wheel: Path) -> list[str]:
    """Check the licences and the bill of materials; return the bundled libraries."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = next(n for n in names if n.endswith(".dist-info/METADATA"))
        info = metadata.rpartition("/")[0]
        # Beside it lies that of auditwheel, of the copied libraries alone.
        bill = f"{info}/sboms/fast-axolotl.cdx.json"
        text = archive.read(bill).decode() if bill in names else ""
    bundled = [n.rpartition("/")[2] for n in names if re.search(r"\.libs/.+\.so", n)]
    if not bundled:
        sys.exit(f"{wheel.name} bundles no library")
    for name in bundled:
        if name.startswith(("libarrow", "libparquet")):
            sys.exit(f"{wheel.name} bundles {name}, which comes with pyarrow")
    third = [n for n in names if n.startswith(f"{info}/licenses/third-party/")]
    # Each library, nanobind and the hash map in it.
    if len(third) != len(bundled) + 2 or f"{info}/licenses/LICENSE" not in names:
        sys.exit(f"{wheel.name} bundles {bundled} and has the licences {third}")
    if not text:
        sys.exit(f"{wheel.name} has no bill of materials")
    for fault in faults_of_bill(text):
        sys.exit(f"the bill of materials of {wheel.name} is not CycloneDX: {fault}")
    return bundled


def faults_of_bill(text: str) -> list[str]:
    """Return what CycloneDX's schema, of the version that a bill names, finds wrong."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    errors = JsonStrictValidator(version).validate_str(text, all_errors=True)
    return [f"{error.data.json_path}: {error.data.message}" for error in errors or ()]


def check_reading(wheel: Path, pyarrow: str, bundled: list[str], folder: Path) -> None:
    environment = Environment(folder)
    pins = str(constraints(folder))
    environment.install("-c", pins, str(wheel), f"pyarrow=={pyarrow}")
    environment.must("python", "-m", "pip", "check")
    environment.must("python", "-I", "-c", WRITE)
    said = environment.must("python", "-I", "-c", READ)
    loaded = environment.must("python", "-I", "-c", LOADED % (bundled,)).split()
    ours = [path for path in loaded if str(environment.bin.parent) in path]
    if len(ours) != len(bundled):
        sys.exit(f"of {bundled} only {ours} were loaded from the wheel")
    counted = environment.must("fast-axolotl", "count", "a.jsonl.zst")
    if "1000" not in counted.replace(",", ""):
        sys.exit(f"fast-axolotl count said {counted!r}")
    print(f"pyarrow {pyarrow}: {said}", flush=True)


def check_refusal(wheel: Path, pyarrow: str, folder: Path) -> None:
    environment = Environment(folder)
    environment.install("--no-deps", str(wheel), f"pyarrow=={pyarrow}")
    done = environment.run("python", "-I", "-c", "import fast_axolotl")
    last = (done.stderr.strip().splitlines() or [""])[-1]
    wanted = (f"pyarrow {pyarrow} in", "-m pip install 'pyarrow>=")
    if not last.startswith("ImportError: ") or not all(part in last for part in wanted):
        sys.exit(f"beside pyarrow {pyarrow} the import said {done.stderr!r}")
    print(f"pyarrow {pyarrow} is refused: {last}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--pyarrow", nargs="+", default=["26.0.0", "26.0.1"])
    parser.add_argument("--refused", default="25.0.1")
    args = parser.parse_args()
    wheel = args.wheel.resolve()
    bundled = check_content(wheel)
    print(f"{wheel.name} bundles {', '.join(sorted(bundled))}", flush=True)
    for version in args.pyarrow:
        with tempfile.TemporaryDirectory() as folder:
            check_reading(wheel, version, bundled, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        check_refusal(wheel, args.refused, Path(folder))


if __name__ == "__main__":
    main()
