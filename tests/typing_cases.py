# SPDX-License-Identifier: Apache-2.0
"""What type checkers make of the public interface; test_typing.py runs mypy over this.

Behind `is` stands the type that a line reveals, behind `error` the code of the error that
it must be. Nothing here is ever run.
"""

from pathlib import Path
from typing import reveal_type

import fast_axolotl
from fast_axolotl import (
    CsvOptions,
    PackOptions,
    PadCollator,
    PadOptions,
    RustStreamingDataset,
    StreamingDataset,
    StreamingReader,
    _rust_streaming_reader,
    build_index,
    concatenate_and_pack,
    count_rows,
    create_padding_mask,
    create_rust_streaming_dataset,
    create_streaming_dataset,
    detect_format,
    get_version,
    is_available,
    list_supported_formats,
    pack_sequences,
    pad_sequences,
    streaming_dataset_reader,
)

# --- the reader -----------------------------------------------------------------------

reader: StreamingReader = streaming_dataset_reader("a.parquet", 10, ["x"])
reveal_type(reader)  # is: StreamingReader
reveal_type(next(reader))  # is: Any
reveal_type(reader.columns)  # is: list[str]
reveal_type(reader.schema)  # is: dict[str, str]
reveal_type(reader.files)  # is: list[str]
reveal_type(reader.rows_read)  # is: int
reveal_type(reader.bytes_read)  # is: int
reveal_type(reader.bytes_total)  # is: int
reveal_type(reader.close())  # is: None
for batch in reader:
    reveal_type(batch)  # is: Any
with streaming_dataset_reader(Path("a.csv"), csv=CsvOptions(delimiter=";")) as opened:
    reveal_type(opened)  # is: StreamingReader
reveal_type(_rust_streaming_reader("a", 1, None))  # is: StreamingReader

# What a path may be, and other arguments.
streaming_dataset_reader(["a.csv", Path("b.csv")], schema={"x": "int64"}, format="csv")
streaming_dataset_reader(("a.csv", "b.csv"), num_threads=2, read_ahead_bytes=1 << 20)
streaming_dataset_reader(7)  # error: arg-type
streaming_dataset_reader("a", "10")  # error: arg-type
streaming_dataset_reader("a", columns="text")  # error: arg-type
streaming_dataset_reader("a", columns=("x", "y"))
streaming_dataset_reader("a", 10, None, 2)  # error: call-arg
streaming_dataset_reader("a", csv=",")  # error: arg-type
CsvOptions(delimiter=b";")  # error: arg-type
CsvOptions().header = False  # error: misc

# --- the dataset ----------------------------------------------------------------------

dataset = StreamingDataset("a.jsonl", batch_size=8, columns=["x"])
reveal_type(dataset)  # is: StreamingDataset
reveal_type(RustStreamingDataset("a"))  # is: StreamingDataset
reveal_type(create_streaming_dataset("a"))  # is: StreamingDataset
reveal_type(create_rust_streaming_dataset("a"))  # is: StreamingDataset
reveal_type(len(dataset))  # is: int
reveal_type(dataset.num_rows)  # is: int
reveal_type(dataset.len_is_exact)  # is: bool
reveal_type(dataset.batch_size)  # is: int
reveal_type(dataset.columns)  # is: list[str]
reveal_type(dataset.schema)  # is: dict[str, str]
reveal_type(dataset.files)  # is: list[str]
for batch in dataset:
    reveal_type(batch)  # is: Any
for row in dataset.rows():
    reveal_type(row)  # is: dict[str, Any]
for batch in dataset.loader(num_workers=2):
    reveal_type(batch)  # is: Any
reveal_type(dataset.with_format("arrow"))  # is: StreamingDataset
dataset.with_format("pandas")  # error: arg-type
dataset.num_rows = 3  # error: misc

# --- what batches are -----------------------------------------------------------------

StreamingDataset("a", output="torch", pad={"input_ids": 0, "labels": -100, "x": 0.5})
StreamingDataset("a", pad=PadOptions({"input_ids": 0}, dtype={"input_ids": "int32"}))
StreamingDataset("a", pack=PackOptions(4096, strategy="concat", eos_token_id=2))
create_streaming_dataset("a", output="numpy", transform=lambda batch: {"n": len(batch)})
streaming_dataset_reader("a", output="arrow", transform=len)
streaming_dataset_reader("a", output="pandas")  # error: arg-type
StreamingDataset("a", output=None, pad=None, pack=None, transform=None)
StreamingDataset("a", pad={"input_ids": "0"})  # error: dict-item
StreamingDataset("a", pad=["input_ids"])  # error: arg-type
StreamingDataset("a", pack=4096)  # error: arg-type
StreamingDataset("a", transform="len")  # error: arg-type
PadOptions({"input_ids": 0}, padding_side="top")  # error: arg-type
PadOptions({"input_ids": 0}, dtype="long")  # error: arg-type
PackOptions()  # error: call-arg
PackOptions(8, too_long="drop")  # error: arg-type
PackOptions(8).length = 9  # error: misc
reveal_type(PadOptions({"input_ids": 0}).max_length)  # is: int | None
reveal_type(PackOptions(8).eos_token_id)  # is: int | None
reveal_type(PadCollator({"input_ids": 0}, output="numpy")([{}]))  # is: dict[str, Any]
PadCollator({"input_ids": 0}, "arrow")  # error: arg-type
reveal_type(dataset.with_format("torch"))  # is: StreamingDataset
dataset.with_format("pandas")  # error: arg-type
reveal_type(dataset.map(len))  # is: StreamingDataset
reveal_type(dataset.map(len).take(2).skip(1))  # is: StreamingDataset
dataset.map("len")  # error: arg-type
reveal_type(dataset.stats().rows)  # is: int
reveal_type(dataset.stats().waited)  # is: float
reveal_type(dataset.stats().fill_rate)  # is: float | None
reveal_type(reader.stats().verdict)  # is: str

# --- sequences in memory --------------------------------------------------------------

rows = [[1, 2], (3,)]
reveal_type(pad_sequences(rows))  # is: list[list[int]]
reveal_type(pad_sequences(rows, 8, 0, "left", output="numpy"))  # is: Any
reveal_type(pack_sequences(rows, 8, 0, 2))  # is: dict[str, list[list[int]]]
reveal_type(pack_sequences(rows, 8, 0, 2, output="torch"))  # is: dict[str, Any]
joined = concatenate_and_pack(rows, rows, rows, 8, 0)
reveal_type(joined)  # is: dict[str, list[list[int]]]
reveal_type(create_padding_mask(3, 8))  # is: list[int]
pad_sequences(rows, output="arrow")  # error: call-overload

# --- functions ------------------------------------------------------------------------

reveal_type(detect_format("a.csv.gz"))  # is: tuple[str, str | None]
reveal_type(list_supported_formats())  # is: list[str]
reveal_type(get_version())  # is: str
reveal_type(is_available())  # is: bool
reveal_type(count_rows("a", progress=lambda done, total: None))  # is: int
reveal_type(build_index("a", lengths="input_ids"))  # is: int
detect_format(["a", "b"])  # error: arg-type

misspelt = fast_axolotl.streaming_dataset_raeder  # error: attr-defined
