"""The compiled core of fast_axolotl."""

from collections.abc import Callable, Sequence
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

    def __arrow_c_schema__(self) -> object:
        """The schema as an Arrow PyCapsule; JSON columns are arrow.json."""

    @property
    def bytes_total(self) -> int:
        """The files' sizes on disk, in bytes."""

    def count_rows(self) -> tuple[int, bool]:
        """The number of rows, and whether it is exact or an estimate."""

def limits() -> list[tuple[str, int, int]]:
    """Each limit's name, default and largest value."""

def open_dataset(paths: Sequence[bytes], format: str | None, columns: Sequence[bytes] | None, types: Sequence[tuple[bytes, object]], csv_delimiter: str | None, csv_header: bool, limits: Sequence[tuple[str, int]], keep_begun: bool = False, keep_bad_rows: bool = False, num_threads: int = 1) -> Dataset:
    """
    Looks at the files and samples their columns. keep_begun: a pass over all rows
    as they come follows, and goes on from there. keep_bad_rows: rows that cannot be
    read are left out of the batches they fall into. num_threads: so many
    files are sampled at a time.
    """

def pad_sequences(sequences: object | None, target_length: int | None, pad_value: int, left: bool, multiple_of: int, output: str) -> object:
    """Rows brought to one length."""

def pack_sequences(sequences: object | None, max_length: int, pad_token_id: int, eos_token_id: int, label_pad_id: int, output: str) -> dict[str, Any]:
    """Sequences, and an end behind each, in rows of one length."""

def concatenate_and_pack(input_ids: object | None, labels: object | None, attention_masks: object | None, max_length: int, pad_token_id: int, label_pad_id: int, output: str) -> dict[str, Any]:
    """Sequences with labels and masks of their own in rows of one length."""

class Index:
    """The fragments of all files, with their rows."""

    @property
    def rows(self) -> int:
        """The number of rows."""

    @property
    def fragments(self) -> list[tuple[int, int, int, int]]:
        """Each fragment: file number, begin, end, rows."""

    @property
    def from_start(self) -> list[int]:
        """Files of which any part is reached only from their start."""

    @property
    def bad_rows(self) -> int:
        """The number of rows that are left out because they cannot be read."""

    @property
    def left_out(self) -> str:
        """
        What was found to be unreadable beforehand and is left out: a hash, or "".
        """

    def damages(self, dataset: Dataset, validated: bool = False) -> list[str]:
        """
        What of the files is not in the index, as objects of JSON. validated: also of files whose index was made to leave it out.
        """

class Plan:
    """Which rows make which batch of an epoch."""

    @staticmethod
    def make(index: Index, shuffle: bool, seed: int, epoch: int, batch_size: int, lanes: int, window: int) -> Plan:
        """The plan for an index and options."""

    @property
    def batches(self) -> int:
        """The number of batches."""

    def lane_batches(self, lane: int) -> int:
        """The number of batches of a lane."""

class Share:
    """One worker of one rank in a run over an epoch."""

    @staticmethod
    def make(start: int, first: int, last: int, rank: tuple[int, int], worker: tuple[int, int], tail: str) -> Share:
        """The share of `rank` (rank, world) and `worker` (worker, workers)."""

    @property
    def rank_batches(self) -> int:
        """The number of batches that the rank gives, with all its workers."""

    @property
    def worker_batches(self) -> int:
        """The number of batches that this worker gives."""

    @property
    def steps(self) -> int:
        """The number of batches that all ranks together give."""

    def batch(self, i: int) -> int | None:
        """The number of this worker's i-th batch, or None behind the last."""

class Mix:
    """Which source gives which batch of a mixture."""

    def __init__(self, quotas: Sequence[int], seed: int) -> None: ...

    def at(self, lane: int, number: int) -> tuple[int, int]:
        """
        Source and number in its lane of what comes as the lane's number-th batch.
        """

    def batches(self, lane_batches: Sequence[Sequence[int]], all: bool) -> int:
        """The batches of an epoch, by the sources' batches in each lane."""

def mix_quotas(weights: Sequence[float]) -> list[int]:
    """Weights in parts of a block."""

def index_folder() -> str:
    """Where indexes are kept."""

def build_index(dataset: Dataset, folder: str, num_threads: int, progress: object | None) -> Index:
    """The index of all files: kept ones, and for the others one built now."""

def count_rows(dataset: Dataset, num_threads: int, progress: object | None) -> int:
    """The number of rows, from a pass over all files."""

def load_index(dataset: Dataset, folder: str) -> Index | None:
    """The index of all files if it is kept, else None."""

def validate(dataset: Dataset, folder: str, num_threads: int, read_ahead_bytes: int, report: Callable[[str], object], progress: Callable[[int], object] | None) -> Index:
    """
    Reads all rows of a dataset opened with keep_bad_rows, calls `report` with each
    bad one as an object of JSON, and keeps an index that leaves them out.
    """

def left_out(dataset: Dataset, folder: str) -> str:
    """
    The same of the indexes that are kept, be they of all files or of some.
    """

class Pack:
    """What is packed, and how."""

    def __init__(self, tokens: bytes, labels: bytes, dtype: str, length: int, concat: bool, too_long: str, pad_token: int, pad_label: int, eos_token: int | None, join_label: int | None) -> None: ...

class Unit:
    """Rows that are packed by themselves."""

    @property
    def rows(self) -> int:
        """The number of packed rows."""

    @property
    def counts(self) -> tuple[int, int, int]:
        """
        Sequences that were cut, that were split, and tokens that were cut off.
        """

    def tokens(self, begin: int, end: int) -> int:
        """The number of tokens in some of the packed rows."""

class Lengths:
    """The lengths of a column's lists in every row."""

def unit_of(pack: Pack, tokens: object, labels: object | None) -> Unit:
    """A unit of rows that Python has."""

def pack_rows(parts: list[tuple[Unit, int, int]], torch: bool) -> dict[str, Any]:
    """
    Packed rows begin to end of each unit, one behind the other, as one batch.
    """

def load_lengths(dataset: Dataset, index: Index, folder: str, column: bytes) -> Lengths | None:
    """The lengths of a column's lists if they are kept, else None."""

def measure_lengths(dataset: Dataset, index: Index, folder: str, column: bytes, num_threads: int, read_ahead_bytes: int, progress: object | None) -> Lengths:
    """Those that are kept, and for other files those read now."""

def count_packed_rows(dataset: Dataset, plan: Plan, index: Index, lengths: Lengths, pack: Pack) -> list[list[int]]:
    """
    The packed rows of each unit of each lane of a plan whose batches are units.
    """

class Pad:
    """How lists become tensors of one length."""

    def __init__(self, columns: Sequence[tuple[bytes, object, str]], max_length: int | None, multiple_of: int, to_max_length: bool, left: bool, cut_left: bool) -> None:
        """
        Of each column its name, the padding's value and the dtype, empty for the default; the lengths in tokens; the side to pad and the side to cut.
        """

class Output:
    """What batches are made into."""

    @staticmethod
    def make(kind: str, pad: Pad | None, dataset: Dataset) -> Output:
        """
        Lists ("python"), arrays ("numpy", "torch") or record batches ("arrow"); arrays padded as `pad` says.
        """

    @staticmethod
    def units(pack: Pack, dataset: Dataset) -> Output:
        """Units to be packed, one of each batch."""

def pad_columns(batch: dict[str, Any], pad: Pad, torch: bool) -> dict[str, Any]:
    """The batch with the columns padded that `pad` names."""

NO_BATCH_YET: object = ...

def begin_exit() -> None:
    """
    To be called before the interpreter ends: threads that call into the core
    stop to let go of the GIL.
    """

class Reader:
    """One pass over a dataset, decoding ahead."""

    @staticmethod
    def plain(dataset: Dataset, batch_size: int, num_threads: int, read_ahead_bytes: int, output: Output) -> Reader:
        """All rows, in the order of the files."""

    @staticmethod
    def planned(dataset: Dataset, index: Index, plan: Plan, share: Share, given: int, num_threads: int, read_ahead_bytes: int, output: Output) -> Reader:
        """A share of a planned epoch, behind `given` batches of it."""

    @staticmethod
    def lanes(dataset: Dataset, index: Index, plan: Plan, lanes: int, num_threads: int, read_ahead_bytes: int, output: Output, in_step: bool = False) -> Reader:
        """
        Any batch of a plan, of which `lanes` lanes will be read. in_step: other
        ranks give as many batches.
        """

    def batch_at(self, lane: int, number: int) -> Any:
        """The batch of that number in that lane, of a reader made by `lanes`."""

    def next_batch(self) -> Any:
        """
        The next batch, as `output` says; or NO_BATCH_YET where many rows were
        left out since the last one: take_bad_rows() has them, and the next call
        goes on.
        """

    @property
    def mark(self) -> None:
        """What a state has to know besides the number of batches: nothing."""

    @property
    def held(self, /) -> Any:
        """
        The batch given last, which the next call gives again unless this is set to
        None: an exception out of a signal handler may have come in its way.
        """

    @held.setter
    def held(self, value: None, /) -> None: ...

    def close(self) -> None:
        """Stops and joins the threads."""

    @property
    def cut(self) -> bool:
        """Whether an error, which comes next, made the last batch a short one."""

    @property
    def rows_read(self) -> int:
        """Rows delivered so far."""

    @property
    def rows_skipped(self) -> int:
        """Rows left out so far because they could not be read."""

    @property
    def batches_left_out(self) -> int:
        """Batches left out so far because none of their rows could be read."""

    def take_bad_rows(self) -> list[str]:
        """
        What is known of rows left out since the last call, as objects of JSON.
        """

    @property
    def decode_seconds(self) -> float:
        """Time that threads spent on reading and decoding so far."""

    @property
    def bytes_read(self) -> int:
        """Bytes read from disk so far."""
