# SPDX-License-Identifier: Apache-2.0
"""What a process holds of a dataset's files, which does not travel to another."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from fast_axolotl import _core, _topology
from fast_axolotl._packing import Packing
from fast_axolotl._progress import Progress

if TYPE_CHECKING:
    from fast_axolotl._options import Options
    from fast_axolotl._tensors import PackOptions

# Seconds of indexing before a bar is shown to a person.
_INDEX_PATIENCE: Final = 2.0


class Live:
    """The files of a dataset as this process has opened and indexed them.

    A fork copies locks in whatever state they are, so the child looks for itself, and so
    does whoever reads a pickle. Datasets that ``map``, ``take`` and the like make of one
    share it, as it depends on nothing that these change.
    """

    def __init__(self, options: Options, left_out: str | None = None) -> None:
        self._options = options
        # Decided once, by the process that asks first: a state says what it is.
        self._left_out = left_out
        self._forget()

    def for_worker(self) -> Live:
        """Return the same for a process that reads for this one."""
        return Live(self._options, self._left_out)

    def _forget(self) -> None:
        self._process = os.getpid()
        self._dataset: _core.Dataset | None = None
        self._index: _core.Index | None = None
        self._packing: Packing | None = None

    def _after_fork(self) -> None:
        if self._process != os.getpid():
            self._forget()

    def dataset(self) -> _core.Dataset:
        """Look at the files, as far as this process has not done so."""
        self._after_fork()
        if self._dataset is None:
            self._dataset = self._options.open(workers=_topology.worker_and_workers()[1])
        return self._dataset

    def index(self) -> _core.Index:
        """Return the index, and build it where there is none."""
        self._after_fork()
        if self._index is None:
            left_out = self.left_out()
            dataset = self.dataset()
            total = dataset.bytes_total
            # Of many processes that wait for the same index one draws the bar.
            first = not _topology.in_worker() and os.environ.get("RANK", "0") == "0"
            with Progress(wanted=first, patience=_INDEX_PATIENCE) as progress:
                index = _core.build_index(
                    dataset,
                    _core.index_folder(),
                    self._options.threads(1),
                    lambda done: progress(None, done, total),
                )
            if index.left_out != left_out:
                raise ValueError(
                    "the files were validated, or their index was removed, after this "
                    "dataset was first read or its state asked for, and now other rows "
                    "are left out: make the dataset anew"
                )
            self._index = index
            # Of many processes that find the same damage one tells of it.
            damages = index.damages(dataset) if first else []
            if damages and self._options.bad_rows is not None:
                self._options.bad_rows.report(damages)
        return self._index

    def kept_index(self) -> _core.Index | None:
        """Return the index if it is there already."""
        self._after_fork()
        if self._index is None:
            index = _core.load_index(self.dataset(), _core.index_folder())
            if index is not None and index.left_out == self.left_out():
                self._index = index
        return self._index

    def left_out(self) -> str:
        """Return what tells the rows that are left out, since the files were validated.

        Empty where none are. Positions count without these rows, so that a state is good
        only where the same ones are left out.
        """
        self._after_fork()
        if self._left_out is None:
            self._left_out = _core.left_out(self.dataset(), _core.index_folder())
        return self._left_out

    def packing(self, pack: PackOptions) -> Packing:
        """Return how the files' rows are packed."""
        self._after_fork()
        # Lengths that were missing may have been measured since.
        if self._packing is None or self._packing.lengths is None:
            self._packing = Packing(
                pack,
                self._options.batch_size,
                self.dataset(),
                self.index(),
                transformed=self._options.handover.transform is not None,
            )
        return self._packing
