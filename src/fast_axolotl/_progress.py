# SPDX-License-Identifier: Apache-2.0
"""A progress bar for work that takes long.

rich is imported when the bar is shown: that takes longer than reading a small file.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Final, Self


class Progress:
    """A bar on stderr, shown only to a person and only once the work is long.

    It is called with (rows, bytes read, bytes there are); rows are ``None`` where they
    are known only at the end.
    """

    PATIENCE: Final = 0.7  # seconds

    def __init__(self, *, wanted: bool = True, patience: float = PATIENCE) -> None:
        """Show nothing yet; never, where not ``wanted`` or stderr is no terminal."""
        self._wanted = wanted and sys.stderr is not None and sys.stderr.isatty()
        self._patience = patience
        self._start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __call__(self, rows: int | None, bytes_read: int, bytes_total: int) -> None:
        """Report how far the work is."""
        seconds = time.monotonic() - self._start
        if not self._wanted or seconds < self._patience:
            return
        if self._bar is None:
            self._show()
        self._bar.update(
            self._task,
            completed=bytes_read,
            total=bytes_total,
            rows="" if rows is None else f"{rows:,} rows",
            speed=f"{bytes_read / 1e6 / seconds:,.0f} MB/s",
        )

    def _show(self) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TextColumn("{task.fields[rows]}"),
            progress.TextColumn("{task.fields[speed]}"),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, rows="", speed="")
        self._bar.start()

    def close(self) -> None:
        """Take the bar away for good, so that what is printed next stands alone."""
        self._wanted = False
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __enter__(self) -> Self:
        """Return itself; leaving the block closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
