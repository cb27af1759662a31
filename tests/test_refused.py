# SPDX-License-Identifier: Apache-2.0
"""What does not go together says so, and what is not known yet may become known."""

import pytest
from formats import FORMATS, table

import fast_axolotl
from fast_axolotl import PackOptions, StreamingDataset, build_index

TOKENS = [list(range(1, n)) for n in (5, 9, 3, 12, 7, 2, 8, 6)]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "tokens.parquet"
    (format_,) = (f for f in FORMATS if f.suffix == ".parquet")
    path.write_bytes(format_.write(table(input_ids=TOKENS, id=list(range(8)))))
    return path


def doubled(batch):
    return {"input_ids": [row + row for row in batch["input_ids"]]}


@pytest.mark.parametrize(
    "options",
    [
        {"pad": {"input_ids": 0}},
        {"pack": PackOptions(16)},
        {"transform": doubled},
    ],
    ids=lambda options: next(iter(options)),
)
def test_to_hf_drops_nothing_of_what_makes_batches(options, path):
    with pytest.raises(ValueError, match=next(iter(options))):
        StreamingDataset(path, **options).to_hf()


def test_rows_of_batches_that_have_none(path):
    with pytest.raises(TypeError, match="packed"):
        StreamingDataset(path, pack=PackOptions(16)).rows()
    with pytest.raises(TypeError, match="RecordBatch"):
        next(StreamingDataset(path, output="arrow").rows())
    with pytest.raises(TypeError, match="list"):
        next(StreamingDataset(path).map(lambda batch: batch["input_ids"]).rows())


def test_lengths_measured_meanwhile_count(path):
    dataset = StreamingDataset(path, 1, pack=PackOptions(16), distributed=(0, 2))
    with pytest.raises(TypeError, match="--lengths input_ids"):
        len(dataset)
    with pytest.raises(ValueError, match="--lengths input_ids"):
        next(iter(dataset))
    build_index(path, lengths="input_ids")
    assert len(list(dataset)) == len(dataset) > 0


def test_lengths_of_the_files_are_not_those_of_a_transform(path):
    build_index(path, lengths="input_ids")
    dataset = StreamingDataset(path, 1, pack=PackOptions(16), transform=doubled)
    with pytest.raises(TypeError, match="transform="):
        len(dataset)
    with pytest.raises(TypeError, match="transform="):
        dataset.state_at(1)
    with pytest.raises(ValueError, match="transform="):
        next(iter(dataset.skip(1)))
    plain = StreamingDataset(path, 1, pack=PackOptions(16))
    assert len(list(dataset)) > len(list(plain)) == len(plain)


def test_a_mixture_adds_no_columns_to_what_a_transform_made(path):
    made = StreamingDataset(path, 4, transform=doubled)
    mixed = fast_axolotl.mix([made, StreamingDataset(path, 4, columns=["id"])])
    columns = {tuple(batch) for batch in mixed}
    assert columns == {("id", "input_ids"), ("id",)}
    assert all(list(batch) == ["input_ids"] for batch in fast_axolotl.mix([made, made]))
