# SPDX-License-Identifier: Apache-2.0
"""Every kind of iterator over a small file, and the numbers that its batches hold."""

import json

import fast_axolotl
from fast_axolotl import PackOptions, StreamingDataset, streaming_dataset_reader

ROWS = 200


def write_rows(folder):
    path = folder / "data.jsonl"
    path.write_text(
        "".join(
            json.dumps({"i": i, "ids": [i, i + 1], "text": f"{i:050}"}) + "\n"
            for i in range(ROWS)
        )
    )
    return path


def same(batch):
    return batch


PACK = PackOptions(tokens="ids", length=4, pack_window=20)
SHARED = {
    "python": lambda path: streaming_dataset_reader(path, 3),
    "numpy": lambda path: streaming_dataset_reader(path, 3, output="numpy"),
    "torch": lambda path: streaming_dataset_reader(path, 3, output="torch"),
    "arrow": lambda path: streaming_dataset_reader(path, 3, output="arrow"),
    "padded": lambda path: streaming_dataset_reader(path, 3, pad={"ids": 0}),
    "transformed": lambda path: streaming_dataset_reader(path, 3, transform=same),
    "packed": lambda path: streaming_dataset_reader(path, 3, pack=PACK, output="numpy"),
    "shuffled": lambda path: iter(StreamingDataset(path, 3, shuffle=True)),
    "mapped": lambda path: iter(StreamingDataset(path, 3).map(same)),
    "mixed": lambda path: iter(
        fast_axolotl.mix([StreamingDataset(path, 3) for _ in range(2)], stop="all")
    ),
    "rows": lambda path: StreamingDataset(path, 3).rows(),
}


def numbers(batch):
    column = batch["input_ids"] if "input_ids" in batch else batch["i"]
    if isinstance(column, int):
        return [column]
    if hasattr(column, "ravel"):
        column = column.ravel()
    return column.tolist() if hasattr(column, "tolist") else column
