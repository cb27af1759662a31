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

    def __init__(self, options: Options) -> None:
        self._options = options
        self._forget()

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
            self._dataset = self._options.open()
        return self._dataset

    def index(self) -> _core.Index:
        """Return the index, and build it where there is none."""
        self._after_fork()
        if self._index is None:
            dataset = self.dataset()
            total = dataset.bytes_total
            # Of many processes that wait for the same index one draws the bar.
            first = not _topology.in_worker() and os.environ.get("RANK", "0") == "0"
            with Progress(wanted=first, patience=_INDEX_PATIENCE) as progress:
                self._index = _core.build_index(
                    dataset,
                    _core.index_folder(),
                    self._options.threads(1),
                    lambda done: progress(None, done, total),
                )
            # Of many processes that find the same damage one tells of it.
            damages = self._index.damages(dataset) if first else []
            if damages and self._options.bad_rows is not None:
                self._options.bad_rows.report(damages)
        return self._index

    def kept_index(self) -> _core.Index | None:
        """Return the index if it is there already."""
        self._after_fork()
        if self._index is None:
            self._index = _core.load_index(self.dataset(), _core.index_folder())
        return self._index

    def leaves_out(self) -> bool:
        """Whether the files were validated, and an index leaves rows out."""
        if not _core.leaves_out(_core.index_folder()):
            return False
        index = _core.load_index(self.dataset(), _core.index_folder())
        return index is not None and index.leaves_out

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
