# SPDX-License-Identifier: Apache-2.0
"""Which files a path means, in which order, and what is said where it means none."""

import errno
import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pytest
from formats import read_rows
from path_files import put, read, tree

import fast_axolotl

try:
    import datasets
except ImportError:
    datasets = None

# --- a file, a list -------------------------------------------------------------------


def test_a_file_as_str_path_or_relative(tmp_path, monkeypatch):
    path = put(tmp_path / "data.jsonl", 1, 2)
    assert read(path) == read(str(path)) == [1, 2]
    monkeypatch.chdir(tmp_path)
    assert (
        read("data.jsonl") == read("./data.jsonl") == read(Path("data.jsonl")) == [1, 2]
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read("~/data.jsonl") == [1, 2]


@pytest.mark.parametrize(
    "name",
    [
        "with blank.jsonl", "漢字.jsonl", "🦎.jsonl", "a'b\"c.jsonl", "a\nb.jsonl",
        "UPPER.JSONL", "a.b.c.jsonl", "-.jsonl", "%41.jsonl", "a\\b.jsonl",
        "x.jsonl.jsonl",
        "$HOME.jsonl", "~.jsonl", "{a,b}.jsonl",
    ],
)  # fmt: skip
def test_odd_names(name, tmp_path):
    path = tmp_path / name
    path.write_text('{"x": 1}\n')
    assert read(path) == [1]
    assert read(str(tmp_path / "*")) == [1]
    assert read(tmp_path) == [1]


def test_names_that_are_no_unicode(tmp_path):
    name = os.fsdecode(b"\xff\xfe.jsonl")
    path = tmp_path / name
    try:
        path.write_text('{"x": 1}\n{"x": \n')
    except OSError:
        pytest.skip("the file system takes only names in Unicode")
    for given in (path, str(path), tmp_path, str(tmp_path / "*.jsonl")):
        reader = fast_axolotl.streaming_dataset_reader(given)
        assert next(reader) == {"x": [1]}
        with pytest.raises(OSError, match=re.escape(name)):
            next(reader)
    assert fast_axolotl.detect_format(path) == ("jsonl", None)


def test_a_list_keeps_its_order(tmp_path):
    tree(tmp_path, "a.jsonl", "b.jsonl", "sub/c.jsonl", "sub/d.jsonl")
    paths = ["b.jsonl", "a.jsonl", "b.jsonl"]
    assert read([tmp_path / path for path in paths]) == paths
    assert read(tuple(str(tmp_path / path) for path in paths)) == paths
    mixed = [tmp_path / "b.jsonl", str(tmp_path / "sub"), str(tmp_path / "?.jsonl")]
    assert read(mixed) == ["b.jsonl", "sub/c.jsonl", "sub/d.jsonl", "a.jsonl", "b.jsonl"]


def test_a_list_may_mix_formats(tmp_path):
    paths = [
        put(tmp_path / "a.jsonl", 1),
        put(tmp_path / "b.parquet", 2),
        put(tmp_path / "c.csv", 3),
    ]
    assert read(paths) == [1, 2, 3]
    assert read(str(tmp_path / "*")) == [1, 2, 3]


def test_the_reader_names_its_files(tmp_path):
    tree(tmp_path, "b.jsonl", "a.jsonl")
    with fast_axolotl.streaming_dataset_reader(tmp_path) as reader:
        assert reader.files == [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]
        assert reader.bytes_total == sum(Path(f).stat().st_size for f in reader.files)


# --- globs ----------------------------------------------------------------------------


def test_globs(tmp_path):
    names = [
        "a1.jsonl",
        "a10.jsonl",
        "b1.jsonl",
        "x/a1.jsonl",
        "x/y/a1.jsonl",
        "x/y/c.jsonl",
    ]
    tree(tmp_path, *names)
    for pattern, found in {
        "*.jsonl": names[:3],
        "a?.jsonl": names[:1],
        "[ab]1.jsonl": [names[0], names[2]],
        "[!a]*.jsonl": [names[2]],
        "*/*.jsonl": [names[3]],
        "**/*.jsonl": names,
        "**/a1.jsonl": [names[0], names[3], names[4]],
        "x/**/*.jsonl": names[3:],
        "*/y/[a-c]*.jsonl": names[4:],
        "**": names,
    }.items():
        assert read(str(tmp_path / pattern)) == found, pattern
        assert read(tmp_path / pattern) == found, pattern


def test_globs_are_sorted_bytewise(tmp_path):
    names = ["Z.jsonl", "a-1.jsonl", "a/1.jsonl", "a0.jsonl", "part-10.jsonl",
             "part-9.jsonl", "z.jsonl", "é.jsonl", "漢.jsonl",
             "\U0001f98e.jsonl"]  # fmt: skip
    tree(tmp_path, *reversed(names))
    assert names == sorted(names, key=os.fsencode)
    assert read(str(tmp_path / "**" / "*.jsonl")) == names
    assert read(tmp_path) == names


def test_a_glob_leaves_out_folders_and_hidden_files(tmp_path):
    tree(tmp_path, "a.jsonl", ".hidden.jsonl", ".dir/b.jsonl", "folder.jsonl/inner.jsonl")
    assert read(str(tmp_path / "*.jsonl")) == ["a.jsonl"]
    assert read(str(tmp_path / "**/*.jsonl")) == ["a.jsonl", "folder.jsonl/inner.jsonl"]
    assert read(str(tmp_path / ".*.jsonl")) == [".hidden.jsonl"]


@pytest.mark.parametrize("name", ["data[1].jsonl", "a*.jsonl", "b?.jsonl", "[x]"])
def test_a_path_that_exists_is_no_glob(name, tmp_path):
    tree(tmp_path, "data1.jsonl", "ab.jsonl", "bb.jsonl", "x")
    if name == "[x]":
        tree(tmp_path, "[x]/in.jsonl")
        assert read(str(tmp_path / name)) == ["[x]/in.jsonl"]
    else:
        tree(tmp_path, name)
        assert read(str(tmp_path / name)) == [name]


# --- folders --------------------------------------------------------------------------


def test_a_folder_is_read_with_all_below_it(tmp_path):
    names = ["a.jsonl", "b/c.jsonl", "b/d/e.jsonl", "z.jsonl"]
    tree(tmp_path, *reversed(names))
    assert read(tmp_path) == read(str(tmp_path)) == read(f"{tmp_path}/") == names


def test_one_format_may_be_compressed_or_not(tmp_path):
    import gzip

    put(tmp_path / "a.jsonl", 1)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"x": 2}\n'))
    (tmp_path / "c.ndjson").write_text('{"x": 3}\n')
    assert read(tmp_path) == [1, 2, 3]


def test_what_a_folder_leaves_out(tmp_path):
    tree(tmp_path, "a.jsonl", ".b.jsonl", "_c.jsonl", ".git/d.jsonl", "_tmp/e.jsonl")
    for name in ("_SUCCESS", "LICENSE", "script.py", "x.bin", "model.safetensors"):
        (tmp_path / name).write_text("x")
    for name in ("state.json", "dataset_info.json", "dataset_dict.json"):
        (tmp_path / name).write_text("{}")
    assert read(tmp_path) == ["a.jsonl"]


def test_text_counts_only_if_there_is_nothing_else(tmp_path):
    put(tmp_path / "README.txt", "about")
    assert read(tmp_path) == ["about"]
    put(tmp_path / "a.jsonl", 1)
    assert read(tmp_path) == [1]


def test_a_folder_of_several_formats(tmp_path):
    put(tmp_path / "sub" / "a.jsonl", 1)
    put(tmp_path / "b.parquet", 2)
    with pytest.raises(ValueError, match="several formats") as raised:
        read(tmp_path)
    message = str(raised.value)
    assert str(tmp_path) in message
    globs = re.findall(r"'([^']*\*[^']*)'", message)
    assert sorted(read(pattern)[0] for pattern in globs) == [1, 2]


@pytest.mark.parametrize(
    ("train", "other"),
    [
        ("train.jsonl", "test.jsonl"),
        ("train-00000-of-00001.jsonl", "validation-00000-of-00001.jsonl"),
        ("data/train-1.jsonl", "data/test-1.jsonl"),
        ("train/1.jsonl", "test/1.jsonl"),
        ("data/train/1.jsonl", "data/dev/1.jsonl"),
        ("my_train.jsonl", "my_val.jsonl"),
        ("TRAIN.jsonl", "Valid.jsonl"),
        ("training.jsonl", "eval.jsonl"),
    ],
)
def test_training_data_is_not_mixed_with_evaluation_data(train, other, tmp_path):
    tree(tmp_path, train, other)
    with pytest.raises(ValueError, match="split") as raised:
        read(tmp_path)
    globs = re.findall(r"'([^']*\*[^']*)'", str(raised.value))
    assert sorted(read(pattern) for pattern in globs) == sorted([[train], [other]])
    # One split alone, or both by name, are what was asked for.
    assert read(str(tmp_path / train)) == [train]
    assert read([tmp_path / train, tmp_path / other]) == [train, other]


@pytest.mark.parametrize(
    "names",
    [
        ["contest.jsonl", "strain.jsonl"],
        ["train.jsonl", "latest.jsonl"],
        ["test.jsonl", "validation.jsonl"],
        ["train-1.jsonl", "train-2.jsonl"],
        ["1.jsonl", "train.jsonl"],
    ],
)
def test_other_names_may_stand_together(names, tmp_path):
    tree(tmp_path, *names)
    assert read(tmp_path) == sorted(names)


def test_a_split_in_the_path_to_the_folder_means_nothing(tmp_path):
    tree(tmp_path / "test" / "data", "train.jsonl", "more.jsonl")
    assert read(tmp_path / "test" / "data") == ["more.jsonl", "train.jsonl"]


def test_a_folder_without_data(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"\.parquet") as raised:
        read(tmp_path)
    assert raised.value.errno == errno.ENOENT
    assert raised.value.filename == str(tmp_path)


def test_a_folder_with_a_suffix_in_its_name(tmp_path):
    """Spark writes such."""
    put(tmp_path / "data.parquet" / "part-1.parquet", 1)
    put(tmp_path / "data.parquet" / "part-0.parquet", 0)
    (tmp_path / "data.parquet" / "_SUCCESS").touch()
    assert read(tmp_path / "data.parquet") == [0, 1]
    assert read(tmp_path) == [0, 1]
    assert read([tmp_path / "data.parquet"]) == [0, 1]
    assert fast_axolotl.detect_format(tmp_path / "data.parquet") == ("parquet", None)


# --- links ----------------------------------------------------------------------------


def test_links_are_followed(tmp_path):
    tree(tmp_path / "real", "a.jsonl", "sub/b.jsonl")
    data = tmp_path / "data"
    data.mkdir()
    (data / "1.jsonl").symlink_to(tmp_path / "real" / "a.jsonl")
    (data / "2").symlink_to(tmp_path / "real" / "sub", target_is_directory=True)
    assert read(data) == ["a.jsonl", "sub/b.jsonl"]
    assert read(data / "1.jsonl") == ["a.jsonl"]
    assert read(str(data / "**" / "*.jsonl"))[:1] == ["a.jsonl"]
    (tmp_path / "link").symlink_to(data)
    assert read(tmp_path / "link") == ["a.jsonl", "sub/b.jsonl"]


def test_links_in_circles_end(tmp_path):
    tree(tmp_path, "a.jsonl", "sub/b.jsonl")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "sub" / "self").symlink_to(tmp_path / "sub")
    assert read(tmp_path) == ["a.jsonl", "sub/b.jsonl"]
    assert read(str(tmp_path / "**")) == ["a.jsonl", "sub/b.jsonl"]
    assert read(str(tmp_path / "**" / "*.jsonl")) == ["a.jsonl", "sub/b.jsonl"]
    assert read(str(tmp_path / "s*" / "**" / "b*")) == ["sub/b.jsonl"]


def test_a_link_that_leads_nowhere(tmp_path):
    tree(tmp_path, "a.jsonl")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone.jsonl")
    with pytest.raises(FileNotFoundError, match=r"b\.jsonl"):
        read(tmp_path / "b.jsonl")
    with pytest.raises(FileNotFoundError, match=r"b\.jsonl"):
        read(tmp_path)
    (tmp_path / "c.jsonl").symlink_to(tmp_path / "c.jsonl")
    with pytest.raises(OSError, match=r"c\.jsonl"):
        read(tmp_path / "c.jsonl")


# --- folders that `datasets` saved ----------------------------------------------------


def save_like_datasets(folder, parts):
    """What Dataset.save_to_disk writes: IPC streams and two files that describe them."""
    folder.mkdir(parents=True)
    names = [f"data-{i:05}-of-{len(parts):05}.arrow" for i in range(len(parts))]
    for name, values in zip(names, parts, strict=True):
        data = pa.table({"x": values})
        with pa.ipc.new_stream(folder / name, data.schema) as writer:
            writer.write_table(data, max_chunksize=2)
    state = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": "0" * 16,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state))
    info = {"features": {"x": {"dtype": "int64", "_type": "Value"}}}
    (folder / "dataset_info.json").write_text(json.dumps(info))


def test_a_saved_dataset(tmp_path):
    folder = tmp_path / "saved"
    save_like_datasets(folder, [[0, 1, 2], [3], [4, 5]])
    assert read(folder) == list(range(6))
    assert read(str(folder / "*.arrow")) == list(range(6))
    assert read(str(folder / "*")) == list(range(6))
    assert fast_axolotl.detect_format(folder) == ("hf_dataset", None)
    assert "hf_dataset" in fast_axolotl.list_supported_formats()
    if datasets:
        loaded = datasets.load_from_disk(str(folder))
        assert loaded["x"][:] == list(range(6))


def test_a_saved_dict_of_datasets(tmp_path):
    save_like_datasets(tmp_path / "train", [[1, 2]])
    save_like_datasets(tmp_path / "test", [[3]])
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(ValueError, match="split"):
        read(tmp_path)
    assert read(tmp_path / "train") == [1, 2]


def test_a_saved_dataset_is_what_its_state_lists(tmp_path):
    """`datasets` leaves the caches of map() and filter() in the same folder."""
    save_like_datasets(tmp_path / "saved", [[1, 2], [3]])
    cached = pa.table({"x": [1, 2, 3], "y": [1, 4, 9]})
    with pa.ipc.new_stream(
        tmp_path / "saved" / "cache-0123456789abcdef.arrow", cached.schema
    ) as writer:
        writer.write_table(cached)
    assert read_rows(tmp_path / "saved") == [{"x": 1}, {"x": 2}, {"x": 3}]


@pytest.mark.parametrize("name", ["../secret.jsonl", "sub/a.jsonl", "..", "", "{}"])
def test_a_saved_dataset_cannot_name_files_elsewhere(name, tmp_path):
    (tmp_path / "secret.jsonl").write_text('{"secret": 1}\n')
    folder = tmp_path / "saved"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.jsonl").write_text('{"secret": 1}\n')
    listed = [{"filename": name.format(tmp_path / "secret.jsonl")}]
    (folder / "state.json").write_text(json.dumps({"_data_files": listed}))
    with pytest.raises(ValueError, match=r"state\.json.* only files in the folder"):
        read_rows(folder)


def test_a_state_that_is_nested_too_deeply_lists_nothing(tmp_path):
    (tmp_path / "state.json").write_text("[" * 200_000)
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    assert read_rows(tmp_path) == [{"a": 1}]


@pytest.mark.skipif(datasets is None, reason="datasets is not installed")
@pytest.mark.filterwarnings("ignore")
def test_a_dataset_that_datasets_saved(tmp_path):
    rows = {
        "x": list(range(10)),
        "turns": [[{"role": "user"}] * (i % 3) for i in range(10)],
    }
    saved = datasets.Dataset.from_dict(rows)
    saved.save_to_disk(str(tmp_path / "saved"), num_shards=3)
    assert read_rows(tmp_path / "saved", 4) == saved.to_list()

    loaded = datasets.load_from_disk(str(tmp_path / "saved"))
    loaded.filter(lambda row: row["x"] > 5, load_from_cache_file=False)
    assert read_rows(tmp_path / "saved", 4) == saved.to_list()

    split = datasets.DatasetDict(train=saved, test=saved.select(range(2)))
    split.save_to_disk(str(tmp_path / "split"))
    with pytest.raises(ValueError, match="split"):
        read(tmp_path / "split")
    assert read_rows(tmp_path / "split" / "test") == saved.to_list()[:2]
