# SPDX-License-Identifier: Apache-2.0
"""The command line, through processes of its own."""

import base64
import datetime as dt
import decimal
import gzip
import json
import os
import pty
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_data import maker

import fast_axolotl
from fast_axolotl import _core

COMMAND = [sys.executable, "-m", "fast_axolotl.cli"]
ROWS = maker.instruction_rows(25)


def cli(*args, width=160, **env):
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": str(width), "PYTHONUTF8": "1", **env},
    )


def output(*args, **kw):
    done = cli(*args, **kw)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def json_lines(*args, **kw):
    return [json.loads(line) for line in output(*args, "--json", **kw).splitlines()]


def error_line(*args):
    done = cli(*args)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("fast-axolotl: error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Indexes of the tests stay out of the user's cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FAST_AXOLOTL_CACHE", str(folder))
    return folder


def kept(cache):
    """The indexes in a cache folder."""
    return [p for p in cache.rglob("*") if p.is_file() and p.suffix != ".lock"]


@pytest.fixture
def rows_file(tmp_path):
    path = tmp_path / "rows.jsonl"
    maker.write(path, ROWS)
    return path


@pytest.fixture(scope="module")
def long_work(tmp_path_factory):
    """A small file that takes seconds to read: one gzip member, many times over."""
    path = tmp_path_factory.mktemp("long") / "long.jsonl.gz"
    member = gzip.compress(
        b'{"id": 1, "text": "a few words", "n": [1, 2, 3]}\n' * 100_000
    )
    path.write_bytes(member * 800)
    return path


# --- head -----------------------------------------------------------------------------


def test_head_prints_ten_rows_as_json(rows_file):
    assert json_lines("head", rows_file) == ROWS[:10]


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26])
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_head_prints_so_many_rows(rows_file, count, batch_size):
    args = ["-n", count, "--batch-size", batch_size]
    assert json_lines("head", rows_file, *args) == ROWS[:count]


@pytest.mark.parametrize(
    "args", [["--columns", "output,id"], ["--columns", "output", "--columns", "id"]]
)
def test_head_prints_the_columns_asked_for_in_their_order(rows_file, args):
    lines = json_lines("head", rows_file, *args)
    assert [list(line) for line in lines] == [["output", "id"]] * 10


def test_head_reads_folders_globs_and_several_paths(tmp_path):
    maker.write_parts(tmp_path / "parts", ".jsonl", ROWS, 4)
    for paths in (
        [tmp_path / "parts"],
        [tmp_path / "**" / "*.jsonl"],
        sorted((tmp_path / "parts").iterdir()),
    ):
        assert json_lines("head", *paths, "-n", "100") == ROWS


def test_head_takes_the_format_that_it_is_told(tmp_path, rows_file):
    path = tmp_path / "rows.txt"
    path.write_bytes(rows_file.read_bytes())
    assert json_lines("head", path, "--format", "jsonl", "-n", "100") == ROWS


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


def test_head_prints_rows_that_have_no_columns(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_text("{}\n{}\n{}\n")
    assert json_lines("head", path, "-n", "2") == [{}, {}]


def test_head_prints_a_table(rows_file):
    text = output("head", rows_file, "-n", "3")
    assert all(name in text for name in ROWS[0])
    assert ROWS[0]["instruction"] in text
    assert text.count("├") == 2  # lines between three rows


def test_head_prints_many_columns_one_row_under_another(tmp_path):
    path = tmp_path / "wide.jsonl"
    path.write_text(json.dumps({f"column-{i}": f"value-{i}" for i in range(40)}) + "\n")
    text = output("head", path, width=80)
    assert "row 1" in text
    for i in range(40):
        assert any(
            f"column-{i} " in line and f"value-{i} " in line for line in text.split("\n")
        )


def test_head_of_a_file_without_rows(tmp_path):
    path = tmp_path / "header.csv"
    path.write_text("a,b\n")
    assert output("head", path) == "no rows; columns: a, b\n"
    assert json_lines("head", path) == []


def test_tables_show_data_as_it_is(tmp_path):
    """Neither markup nor emoji names nor control characters do anything."""
    path = tmp_path / "tricky.jsonl"
    row = {"[b]": "[red]x[/red] :smile: \x1b[31m\r\ud800 é"}
    path.write_text(json.dumps(row) + "\n")
    text = output("head", path)
    assert "[b]" in text
    assert "[red]x[/red] :smile: \\x1b[31m\\r\\ud800 é" in text
    assert json_lines("head", path) == [row]


def test_tables_are_printed_in_any_encoding(tmp_path):
    path = tmp_path / "greek.jsonl"
    path.write_text('{"text": "λίγο"}\n', encoding="utf-8")
    text = output("head", path, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert "\\u03bb" in text


def test_what_json_cannot_hold_becomes_a_string(tmp_path):
    zone = dt.UTC
    table = pa.table(
        {
            "bytes": pa.array([b"\x00\xff"]),
            "time": pa.array([dt.datetime(2024, 2, 29, 1, 2, 3, 456, zone)]),
            "date": pa.array([dt.date(1999, 12, 31)]),
            "clock": pa.array([dt.time(23, 59, 1)]),
            "long": pa.array(
                [dt.timedelta(days=1, hours=1, seconds=61, milliseconds=500)]
            ),
            "back": pa.array([dt.timedelta(seconds=-2)]),
            "decimal": pa.array([decimal.Decimal("1.20")]),
            "floats": pa.array([[float("nan"), float("inf"), float("-inf"), 0.5]]),
            "map": pa.array([[("k", b"v")]], pa.map_(pa.string(), pa.binary())),
        }
    )
    path = tmp_path / "values.parquet"
    pq.write_table(table, path)
    assert json_lines("head", path) == [
        {
            "bytes": base64.b64encode(b"\x00\xff").decode(),
            "time": "2024-02-29T01:02:03.000456+00:00",
            "date": "1999-12-31",
            "clock": "23:59:01",
            "long": "PT90061.5S",
            "back": "-PT2S",
            "decimal": "1.20",
            "floats": ["NaN", "Infinity", "-Infinity", 0.5],
            "map": [["k", "dg=="]],
        }
    ]
    assert "PT90061.5S" in output("head", path)


# --- schema and count -----------------------------------------------------------------


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


# --- index ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv.gz", ".txt.zst", ".arrow"])
def test_index_keeps_one_index_a_file(tmp_path, cache, suffix):
    maker.write_parts(tmp_path / "parts", suffix, ROWS, 3)
    for _ in range(2):
        (told,) = json_lines("index", tmp_path / "parts")
        assert told.keys() == {"rows", "files", "seconds"}
        assert (told["rows"], told["files"]) == (25, 3)
        assert len(kept(cache)) == 3
    assert "25" in output("index", tmp_path / "parts")


def test_parquet_needs_no_index(tmp_path, cache):
    maker.write(tmp_path / "rows.parquet", ROWS)
    (told,) = json_lines("index", tmp_path / "rows.parquet")
    assert told["rows"] == 25
    assert kept(cache) == []


def test_an_index_makes_the_length_exact(tmp_path):
    path = tmp_path / "long.jsonl"
    line = json.dumps({"text": "words " * 200})
    path.write_text(f"{line}\n" * 5000)
    dataset = fast_axolotl.StreamingDataset(path, batch_size=100)
    assert not dataset.len_is_exact
    output("index", path)
    dataset = fast_axolotl.StreamingDataset(path, batch_size=100)
    assert dataset.len_is_exact
    assert (dataset.num_rows, len(dataset)) == (5000, 50)


def test_count_takes_the_index_that_exists(tmp_path):
    """Shown by a change that nothing but reading the file tells: see its times."""
    path = tmp_path / "rows.jsonl"
    line = json.dumps({"text": "x" * 1000}) + "\n"
    path.write_text(line * 6000)
    times = path.stat()
    assert json_lines("index", path)[0]["rows"] == 6000
    path.write_text(line * 5998 + line[:-1] + " " + line)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert json_lines("count", path)[0]["rows"] == 6000
    with path.open("a") as file:
        file.write(line)
    assert json_lines("count", path)[0]["rows"] == 6000
    with path.open("a") as file:
        file.write(line)
    assert json_lines("count", path)[0]["rows"] == 6001


def test_a_file_that_cannot_be_indexed_leaves_nothing(tmp_path, cache):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": 1}\n' * 1000)[:-20])
    assert "rows.jsonl.gz" in error_line("index", path)
    assert kept(cache) == []


@pytest.fixture
def token_parts(tmp_path):
    folder = tmp_path / "tokens"
    folder.mkdir()
    for part in range(3):
        rows = [[*range(1 + i % 7)] for i in range(part * 10, part * 10 + 10)]
        table = pa.table({"input_ids": rows, "id": [*range(10)]})
        pq.write_table(table, folder / f"{part}.parquet", row_group_size=4)
    return folder


def test_index_keeps_lengths(token_parts, cache):
    """What a run that needs them names is what has to be called."""
    data = fast_axolotl.StreamingDataset(
        token_parts, 2, pack=fast_axolotl.PackOptions(8), distributed=(0, 2)
    )
    with pytest.raises(ValueError, match="on several ranks") as refused:
        next(iter(data))
    command = str(refused.value).split("`")[1].split()
    assert command == ["fast-axolotl", "index", "--lengths", "input_ids", "PATH"]
    for _ in range(2):
        (told,) = json_lines(*command[1:-1], token_parts)
        assert (told["rows"], told["files"]) == (30, 3)
        assert [p.suffix for p in kept(cache)] == [".lengths"] * 3
    assert len(list(data)) == len(data) > 0
    assert "30" in output(*command[1:-1], token_parts)


def test_lengths_of_what_has_none(token_parts, cache):
    assert '"tokens" is not in the data' in error_line(
        "index", "--lengths", "tokens", token_parts
    )
    assert '"id" holds no lists' in error_line("index", "--lengths", "id", token_parts)
    (token_parts / "1.parquet").write_bytes(b"PAR1" + b"x" * 100)
    line = error_line("index", "--lengths", "input_ids", token_parts)
    assert "1.parquet" in line
    assert kept(cache) == []


def test_measuring_tells_its_progress_and_passes_errors_on(tmp_path, cache, monkeypatch):
    # Long enough for progress to be told before it is done.
    lists = pa.ListArray.from_arrays(range(0, 32_000_001, 32), pa.repeat(7, 32_000_000))
    pq.write_table(pa.table({"input_ids": lists}), tmp_path / "0.parquet")
    pq.write_table(pa.table({"input_ids": [[1]]}), tmp_path / "1.parquet")
    files = str(tmp_path / "*.parquet")
    build = _core.build_index
    # So that all that is told is of the lengths.
    monkeypatch.setattr(_core, "build_index", lambda *args: build(*args[:-1], None))

    def refuse(done, total):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        fast_axolotl.build_index(files, lengths="input_ids", progress=refuse)
    assert kept(cache) == []
    calls = []
    fast_axolotl.build_index(
        files, lengths="input_ids", progress=lambda *told: calls.append(told)
    )
    assert {total for _, total in calls} == {
        sum(path.stat().st_size for path in tmp_path.glob("*.parquet"))
    }
    assert calls == sorted(calls)
    assert len(kept(cache)) == 2


def test_build_index_tells_its_progress_and_passes_errors_on(long_work, cache):
    calls = []

    def progress(done, total):
        calls.append((done, total))
        if done > 0:
            raise InterruptedError("that is enough")

    with pytest.raises(InterruptedError, match="that is enough"):
        fast_axolotl.build_index(long_work, progress=progress)
    size = long_work.stat().st_size
    assert 0 < calls[-1][0] <= size
    assert {total for _, total in calls} == {size}
    assert kept(cache) == []


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
