# SPDX-License-Identifier: Apache-2.0
"""The command line: schemas, counts, what goes wrong, and what a terminal shows."""

import json
import os
import pty
import signal
import subprocess
import sys
import time

import make_sample_data as maker
import pytest
from command_line import COMMAND, ROWS, cli, error_line, json_lines, output
from indexes import kept

import fast_axolotl

pytestmark = pytest.mark.usefixtures("cache")


# --- schemas and counts ---------------------------------------------------------------


def test_schema(rows_file):
    schema = {
        "id": "int64",
        "instruction": "string",
        "input": "string",
        "output": "string",
        "score": "float64",
    }
    assert json_lines("schema", rows_file) == [schema]
    assert json_lines("schema", rows_file, "--columns", "score,id") == [
        {"score": "float64", "id": "int64"}
    ]
    text = output("schema", rows_file)
    assert "5 columns, 1 file, jsonl" in text
    assert "instruction" in text


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl.zst", ".csv.gz"])
def test_count(tmp_path, suffix):
    maker.write_parts(tmp_path / "parts", suffix, ROWS, 3)
    (told,) = json_lines("count", tmp_path / "parts")
    assert told.keys() == {"rows", "files", "seconds"}
    assert (told["rows"], told["files"]) == (25, 3)
    assert 0 < told["seconds"] < 60
    assert "25" in output("count", tmp_path / "parts")


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("id;text\n1;a,b\n2;c\n", ["--delimiter", ";"]),
        ("id\ttext\n1\ta,b\n2\tc\n", ["--delimiter", "\t"]),
        ("id\ttext\n1\ta,b\n2\tc\n", ["--delimiter", r"\t"]),
        ('1,"a,b"\n2,c\n', ["--no-header"]),
        ("1;a,b\n2;c\n", ["--no-header", "--delimiter", ";"]),
    ],
)
def test_every_verb_reads_csv_as_it_is_told(tmp_path, cache, text, args):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    names = ("column_0", "column_1") if "--no-header" in args else ("id", "text")
    rows = [dict(zip(names, row, strict=True)) for row in ((1, "a,b"), (2, "c"))]
    assert json_lines("head", path, *args) == rows
    assert json_lines("schema", path, *args) == [
        {names[0]: "int64", names[1]: "string"},
    ]
    assert json_lines("count", path, *args, "--columns", names[1])[0]["rows"] == 2
    assert json_lines("index", path, *args, "--columns", names[1])[0]["rows"] == 2
    assert len(kept(cache)) == 1


# --- what goes wrong ------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["head", "schema", "count", "index"])
def test_a_missing_file_is_one_line(tmp_path, verb):
    assert "nothing.parquet" in error_line(verb, tmp_path / "nothing.parquet")


@pytest.mark.parametrize("verb", ["head", "schema", "count", "index"])
def test_an_unknown_column_names_the_columns_there_are(rows_file, verb):
    line = error_line(verb, rows_file, "--columns", "id,nothing")
    assert "nothing" in line
    assert "instruction" in line


def test_a_delimiter_is_hinted_at_by_its_option(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a;b\n1;2\n")
    line = error_line("head", path, "--columns", "b")
    assert 'if ";" stands between its cells, pass that as --delimiter' in line


def test_an_unknown_format(rows_file):
    assert "xlsx" in error_line("head", rows_file, "--format", "xlsx")


def test_an_error_names_the_option_of_the_command(tmp_path):
    path = tmp_path / "rows.dat"
    path.write_text('{"id": 1}\n')
    line = error_line("head", path)
    assert "pass --format as one of parquet" in line
    maker.write(tmp_path / "rows.parquet", ROWS)
    line += error_line("head", tmp_path / "rows.parquet", "--format", "csv")
    assert '--format="csv" was asked for' in line
    assert "format=" not in line.replace("--format=", "")


@pytest.mark.parametrize("json_flag", [["--json"], []])
def test_rows_before_a_bad_row_are_printed(tmp_path, rows_file, json_flag):
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps({"id": "first"}) + "\n" + '{"id": \n')
    done = cli("head", path, *json_flag)
    assert done.returncode == 1
    assert "first" in done.stdout
    assert done.stderr.startswith("fast-axolotl: error: ")
    assert "bad.jsonl" in done.stderr
    assert done.stderr.count("\n") == 1
    # Rows are counted, not read.
    assert json_lines("count", path)[0]["rows"] == 2


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["head"],
        ["tail", "x"],
        ["head", "x", "-n", "-1"],
        ["head", "x", "-n", "many"],
        ["count", "x", "--batch-size", "0"],
        ["schema", "x", "--nothing"],
        ["head", "x", "--delimiter", ";;"],
        ["head", "x", "--delimiter", '"'],
    ],
)
def test_a_wrong_call(args):
    done = cli(*args)
    assert done.returncode == 2
    assert "usage: fast-axolotl" in done.stderr


def test_help_and_version():
    assert output("--version").strip() == fast_axolotl.get_version()
    assert "jsonl.zst" in output("--help")
    assert "base64" in output("head", "--help")


@pytest.mark.parametrize("json_flag", [["--json"], []])
def test_a_closed_pipe_ends_it_quietly(tmp_path, json_flag):
    path = tmp_path / "many.jsonl"
    path.write_text('{"text": "words and more words"}\n' * 20_000)
    process = subprocess.Popen(
        [*COMMAND, "head", path, "-n", "20000", *json_flag],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.parametrize("verb", ["count", "index"])
def test_ctrl_c_ends_it(long_work, verb):
    process = subprocess.Popen(
        [*COMMAND, verb, long_work],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A test run in the background may have passed on that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    with process:
        time.sleep(1)
        assert process.poll() is None, "the work has to be longer for this test"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == b""
        assert process.stdout.read() == b""


def on_a_terminal(*command):
    """What a command prints, and what a person sees of its stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "120", "TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    with process:
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # how a pty says that the other end is closed
                break
            if not piece:
                break
            shown += piece
        printed = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0, shown
    return printed, shown


@pytest.mark.parametrize("verb", ["count", "index"])
def test_progress_is_shown_on_a_terminal(long_work, verb):
    printed, shown = on_a_terminal(*COMMAND, verb, long_work, "--json")
    assert json.loads(printed)["rows"] == 800 * 100_000
    assert b"MB/s" in shown


def test_a_dataset_that_has_to_index_for_long_shows_it(long_work):
    code = (
        "import sys; from fast_axolotl import _dataset\n"
        "_dataset._INDEX_PATIENCE = 0.2\n"
        "ds = _dataset.StreamingDataset(sys.argv[1], shuffle=True)\n"
        "print(ds._index().rows)\n"
    )
    command = [sys.executable, "-c", code, long_work]
    printed, shown = on_a_terminal(*command)
    assert int(printed) == 800 * 100_000
    assert b"MB/s" in shown
    assert on_a_terminal(*command) == (printed, b"")  # it is kept


def test_json_needs_no_heavy_modules(rows_file):
    code = (
        "import sys; from fast_axolotl.cli import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "heavy = {'rich', 'torch', 'datasets', 'pandas', 'numpy', 'pyarrow'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    for verb in ("head", "schema", "count", "index"):
        command = [sys.executable, "-c", code, verb, rows_file, "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
