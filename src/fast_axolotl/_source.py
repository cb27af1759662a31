# SPDX-License-Identifier: Apache-2.0
"""What a pass reads from, whatever gives the batches; for type checkers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from fast_axolotl._packing import Mark


class Described(Protocol):
    """What tells the columns and the size of the data."""

    @property
    def schema(self) -> list[tuple[str, str]]: ...
    @property
    def bytes_total(self) -> int: ...


class BatchSource(Protocol):
    """What gives the batches of a run."""

    # The batch given last, until whoever asked for it sets this to None: the next call
    # gives it again, since what a signal handler raised may have come in its way.
    held: Any

    def next_batch(self) -> Any:  # noqa: ANN401  (a batch, or that there is none yet)
        """Return the next batch.

        Or ``_core.NO_BATCH_YET``: many rows were left out since the last one, which are
        to be taken before the next call. Otherwise they would pile up.
        """

    def close(self) -> None: ...
    @property
    def mark(self) -> Mark | None:
        """What matters besides the number of batches given, where rows are packed."""

    @property
    def cut(self) -> bool:
        """Whether an error, which comes next, made the batch given last a short one."""

    @property
    def decode_seconds(self) -> float: ...

    @property
    def rows_read(self) -> int: ...
    @property
    def bytes_read(self) -> int: ...
    @property
    def rows_skipped(self) -> int:
        """Rows left out so far because they could not be read."""

    @property
    def batches_left_out(self) -> int:
        """Batches left out so far because none of their rows could be read."""

    def take_bad_rows(self) -> list[Any]:
        """Return what is known of rows left out since the last call.

        As JSON; where there are several datasets, behind the number of theirs.
        """
