# SPDX-License-Identifier: Apache-2.0
"""The sample data and the examples."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import make_sample_data as maker
import pytest

import fast_axolotl

ROOT = Path(__file__).parents[1]
DATA = ROOT / "examples" / "data"


def quickstart(*args):
    return subprocess.run(
        [sys.executable, ROOT / "examples" / "quickstart.py", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "COLUMNS": "160"},
    )


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    maker.write_everything(tmp_path / "a", 20, seed=1)
    maker.write_everything(tmp_path / "b", 20, seed=1)
    first, second = files_below(tmp_path / "a"), files_below(tmp_path / "b")
    assert len(first) == len(second) > 80
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_the_shipped_data_is_what_the_script_makes(tmp_path):
    """Rows are compared, not bytes: those depend on the versions of the writers."""
    maker.write_examples(tmp_path, maker.SEED)
    made, shipped = files_below(tmp_path), files_below(DATA)
    assert [p.relative_to(tmp_path) for p in made] == [
        p.relative_to(DATA) for p in shipped
    ]
    for one, other in zip(made, shipped, strict=True):
        with (
            fast_axolotl.streaming_dataset_reader(one) as left,
            fast_axolotl.streaming_dataset_reader(other) as right,
        ):
            assert list(left) == list(right), one.name


def test_the_shipped_data_covers_every_format_and_compression():
    assert sum(path.stat().st_size for path in files_below(DATA)) < 200_000
    kinds = {fast_axolotl.detect_format(path) for path in files_below(DATA)}
    shipped_formats = {name for name, _ in kinds}
    base_names = {
        name
        for name in fast_axolotl.list_supported_formats()
        if "." not in name and name != "hf_dataset"
    }
    assert base_names <= shipped_formats | {"ndjson", "tsv", "ipc", "txt"}
    assert {compression for _, compression in kinds} == {None, "gzip", "zstd"}


@pytest.mark.parametrize("kind", maker.ROWS)
def test_all_files_of_a_kind_hold_its_rows(kind, tmp_path):
    maker.write_everything(tmp_path, 20, seed=2)
    rows = maker.ROWS[kind](20, 2)
    for path in files_below(tmp_path):
        if not path.name.startswith(kind):
            continue
        with fast_axolotl.streaming_dataset_reader(path) as reader:
            (batch,) = reader
        if ".txt" in path.suffixes:
            assert batch["text"] == [maker._line(row) for row in rows]
            continue
        expected = rows
        if ".csv" in path.suffixes or ".tsv" in path.suffixes:
            batch = {
                name: [json.loads(v) for v in values]
                if isinstance(rows[0][name], list)
                else values
                for name, values in batch.items()
            }
        elif ".json" not in path.suffixes and ".jsonl" not in path.suffixes:
            expected = maker.to_table(rows).to_pylist()
        got = [
            dict(zip(batch, row, strict=True))
            for row in zip(*batch.values(), strict=True)
        ]
        assert got == expected, path.name


def test_quickstart_streams_the_shipped_data():
    done = quickstart()
    assert done.returncode == 0, done.stderr
    for path in DATA.iterdir():
        assert path.name in done.stdout
    assert "zstd" in done.stdout
    assert "First rows of" in done.stdout


def test_quickstart_streams_a_path_of_the_user(tmp_path):
    maker.write_parts(tmp_path / "mine", ".csv", maker.instruction_rows(90), 3)
    done = quickstart(tmp_path / "mine", "--batch-size", "20")
    assert done.returncode == 0, done.stderr
    assert "instruction" in done.stdout
    assert "90" in done.stdout


def test_quickstart_says_what_is_wrong_in_one_line(tmp_path):
    done = quickstart(tmp_path / "nothing.parquet")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def chat_example():
    pytest.importorskip("tokenizers")
    pytest.importorskip("torch")
    path = ROOT / "examples" / "chat_to_packed.py"
    spec = importlib.util.spec_from_file_location("chat_to_packed", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_chat_to_packed_resumes(chat_example):
    done = subprocess.run(
        [sys.executable, chat_example.__file__],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert "batches that follow are the same" in done.stdout
    assert "% filled" in done.stdout


def test_chat_to_packed_learns_what_the_assistant_says(chat_example, tmp_path):
    path = tmp_path / "chat.jsonl"
    chat_example.write_chat(path, 30)
    tokenizer = chat_example.train_tokenizer(path)
    tokenize = chat_example.ChatTokenizer(tokenizer)
    rows = [json.loads(line)["messages"] for line in path.read_text().splitlines()]
    made = tokenize({"messages": rows})
    for messages, ids, labels in zip(rows, *made.values(), strict=True):
        text = "".join(f"<|{m['role']}|>{m['content']}<|end|>" for m in messages)
        assert tokenizer.decode(ids, skip_special_tokens=False) == text
        assert len(labels) == len(ids)
        assert {a == b for a, b in zip(ids, labels, strict=True) if b != -100} == {True}
        learnt = [label for label in labels if label != -100]
        assert tokenizer.decode(learnt, skip_special_tokens=False) == "".join(
            f"{m['content']}<|end|>" for m in messages if m["role"] == "assistant"
        )


def test_chat_to_packed_packs_all_that_was_tokenized(chat_example, tmp_path):
    path = tmp_path / "chat.jsonl"
    chat_example.write_chat(path, 300)
    tokenizer = chat_example.train_tokenizer(path)
    rows = [json.loads(line)["messages"] for line in path.read_text().splitlines()]
    made = chat_example.ChatTokenizer(tokenizer)({"messages": rows})
    expected = [
        ids[begin : begin + chat_example.LENGTH]
        for ids in made["input_ids"]
        for begin in range(0, len(ids), chat_example.LENGTH)
    ]
    packed = [
        row[ids == number].tolist()
        for batch in chat_example.packed_batches(path, tokenizer)
        for row, ids in zip(batch["input_ids"], batch["sequence_ids"], strict=True)
        for number in range(1, int(ids.max()) + 1)
    ]
    assert sorted(packed) == sorted(expected)
