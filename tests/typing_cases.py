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
    RustStreamingDataset,
    StreamingDataset,
    StreamingReader,
    _rust_streaming_reader,
    count_rows,
    create_rust_streaming_dataset,
    create_streaming_dataset,
    detect_format,
    get_version,
    is_available,
    list_supported_formats,
    streaming_dataset_reader,
)

# --- the reader -----------------------------------------------------------------------

reader: StreamingReader = streaming_dataset_reader("a.parquet", 10, ["x"])
reveal_type(reader)  # is: StreamingReader
reveal_type(next(reader))  # is: dict[str, list[Any]]
reveal_type(reader.columns)  # is: list[str]
reveal_type(reader.schema)  # is: dict[str, str]
reveal_type(reader.files)  # is: list[str]
reveal_type(reader.rows_read)  # is: int
reveal_type(reader.bytes_read)  # is: int
reveal_type(reader.bytes_total)  # is: int
reveal_type(reader.close())  # is: None
for batch in reader:
    reveal_type(batch["x"])  # is: list[Any]
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
    reveal_type(batch)  # is: dict[str, list[Any]]
for row in dataset.rows():
    reveal_type(row)  # is: dict[str, Any]
for batch in dataset.loader(num_workers=2):
    reveal_type(batch)  # is: Any
dataset.num_rows = 3  # error: misc

# --- functions ------------------------------------------------------------------------

reveal_type(detect_format("a.csv.gz"))  # is: tuple[str, str | None]
reveal_type(list_supported_formats())  # is: list[str]
reveal_type(get_version())  # is: str
reveal_type(is_available())  # is: bool
reveal_type(count_rows("a", progress=lambda done, total: None))  # is: int
detect_format(["a", "b"])  # error: arg-type

misspelt = fast_axolotl.streaming_dataset_raeder  # error: attr-defined
