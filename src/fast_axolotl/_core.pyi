"""The compiled core of fast_axolotl."""

from collections.abc import Sequence
from typing import Any


def version() -> str:
    """The version of the compiled core."""

def detect_file(path: bytes) -> tuple[str | None, str | None]:
    """Format and codec of a file, by its first bytes and then its name."""

def detect_name(path: bytes) -> tuple[str | None, str | None]:
    """Format and codec that a name alone tells."""

def formats() -> list[tuple[str, list[str]]]:
    """Each format's name and suffixes."""

def codecs() -> list[tuple[str, list[str]]]:
    """Each codec's name and suffixes."""

class Dataset:
    """Files to be read, and the columns they have."""

    @property
    def schema(self) -> list[tuple[str, str]]:
        """Each column's name and its type's name."""

    @property
    def bytes_total(self) -> int:
        """The files' sizes on disk, in bytes."""

    def count_rows(self) -> tuple[int, bool]:
        """The number of rows, and whether it is exact or an estimate."""

def open_dataset(paths: Sequence[bytes], format: str | None, columns: Sequence[str] | None, types: Sequence[tuple[str, object]], csv_delimiter: str | None, csv_header: bool) -> Dataset:
    """Looks at the files and samples their columns."""

class Reader:
    """One pass over a dataset, decoding ahead."""

    def __init__(self, dataset: Dataset, batch_size: int, num_threads: int, read_ahead_bytes: int, first: int, step: int) -> None: ...

    def next_dict(self) -> dict[str, list[Any]]:
        """The next batch, as a dict of lists."""

    def next_count(self) -> int:
        """The next batch's number of rows."""

    def close(self) -> None:
        """Stops and joins the threads."""

    @property
    def rows_read(self) -> int:
        """Rows delivered so far."""

    @property
    def bytes_read(self) -> int:
        """Bytes read from disk so far."""
