# SPDX-License-Identifier: Apache-2.0
"""What is said where a path means no file, or one that cannot be read."""

import errno
import gzip
import os

import pytest
from path_files import put, read, tree

import fast_axolotl

# --- nothing there --------------------------------------------------------------------


def test_a_missing_file_names_the_nearest_folder(tmp_path):
    (tmp_path / "there").mkdir()
    path = tmp_path / "there" / "not" / "here" / "data.jsonl"
    for given in (path, str(path), [path], f"{path}/*.jsonl", path.parent / "**/*.gz"):
        with pytest.raises(FileNotFoundError) as raised:
            read(given)
        assert raised.value.errno == errno.ENOENT
        assert raised.value.filename is not None
        assert f"'{tmp_path / 'there'}'" in str(raised.value)
        assert "not" in str(raised.value.filename)
        for make in (fast_axolotl.StreamingDataset, fast_axolotl.count_rows):
            with pytest.raises(FileNotFoundError):
                make(given)


def test_a_file_used_as_a_folder(tmp_path):
    path = put(tmp_path / "a.jsonl", 1)
    with pytest.raises(OSError, match=r"b\.jsonl") as raised:
        read(path / "b.jsonl")
    assert raised.value.errno in {errno.ENOENT, errno.ENOTDIR}


def test_a_glob_that_matches_only_folders(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    with pytest.raises(FileNotFoundError):
        read(str(tmp_path / "*.jsonl"))


def test_of_very_many_files_the_first_wrong_one_is_named(tmp_path):
    # So many are looked at by several threads.
    for i in range(3000):
        if i in {2, 1400, 2990}:
            (tmp_path / f"{i:04}.txt").symlink_to("nowhere")
        else:
            (tmp_path / f"{i:04}.txt").write_text("x\n")
    for wrong in ("0002", "1400", "2990"):
        for _ in range(20):
            with pytest.raises(FileNotFoundError, match=rf"{wrong}\.txt"):
                fast_axolotl.StreamingDataset(tmp_path)
        (tmp_path / f"{wrong}.txt").unlink()
    assert len(read(tmp_path)) == 2997


def test_of_the_files_sampled_the_first_wrong_one_is_named(tmp_path):
    # Several threads take the sample.
    for i in range(16):
        wrong = i in {3, 9, 15}
        (tmp_path / f"{i:02}.jsonl.gz").write_bytes(
            b'{"i": 1}\n' if wrong else gzip.compress(b'{"i": 1}\n' * 9_000)
        )
    left_out = fast_axolotl.StreamingDataset(tmp_path, on_error="skip", num_threads=8)
    assert sum(len(batch["i"]) for batch in left_out) == 13 * 9_000
    for wrong in ("03", "09", "15"):
        for _ in range(20):
            with pytest.raises(OSError, match=rf"{wrong}\.jsonl\.gz: the name says"):
                len(fast_axolotl.StreamingDataset(tmp_path, num_threads=8))
        (tmp_path / f"{wrong}.jsonl.gz").unlink()


def test_the_missing_file_of_a_list_is_named(tmp_path):
    good = put(tmp_path / "a.jsonl", 1)
    with pytest.raises(FileNotFoundError, match=r"gone\.jsonl"):
        read([good, tmp_path / "gone.jsonl"])


@pytest.mark.parametrize(
    "path",
    [
        "s3://bucket/data/*.parquet", "gs://b/x.jsonl", "https://host/x.jsonl.gz",
        "http://host/x.csv", "hf://datasets/a/b", "abfs://c@d/e.parquet",
        "hdfs://x/y.json",
        "S3://bucket/x.parquet", "file:///tmp/x.jsonl",
    ],
)  # fmt: skip
def test_remote_paths_are_refused_with_the_way_out(path, tmp_path):
    for given in (path, [path]):
        with pytest.raises(ValueError, match="download") as raised:
            read(given)
        assert path in str(raised.value)


@pytest.mark.parametrize(
    "path", ["tatsu-lab/alpaca", "allenai/c4", "HuggingFaceH4/x_y.z"]
)
def test_ids_of_a_hub_are_refused_with_the_way_out(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"hf download.* {path}"):
        read(path)
    # A file of that name is a file.
    tree(tmp_path, f"{path}/data.jsonl")
    assert read(path) == [f"{path}/data.jsonl"]


def test_a_missing_relative_file_is_no_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for path in ("data/x.jsonl", "data/x", "../x", "./x", "x.jsonl"):
        with pytest.raises(FileNotFoundError) as raised:
            read(path)
        assert not isinstance(raised.value, ValueError)


# --- no regular file ------------------------------------------------------------------


def test_pipes_and_devices_are_refused(tmp_path):
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/null"):
        with pytest.raises(OSError, match="regular file"):
            read(path, format="jsonl")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read files whatever their mode")
def test_permissions(tmp_path):
    path = put(tmp_path / "sub" / "a.jsonl", 1)
    path.chmod(0)
    for given in (path, path.parent, str(path.parent / "*")):
        with pytest.raises(PermissionError, match=r"a\.jsonl"):
            read(given)
    path.chmod(0o600)
    path.parent.chmod(0)
    try:
        with pytest.raises(PermissionError, match="sub"):
            read(path.parent)
    finally:
        path.parent.chmod(0o700)
