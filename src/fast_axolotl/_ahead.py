# SPDX-License-Identifier: Apache-2.0
"""Python functions on batches, run ahead of whoever uses the results."""

from __future__ import annotations

import os
import threading
import weakref
from _thread import start_new_thread
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fast_axolotl import _core

if TYPE_CHECKING:
    from types import TracebackType

    from fast_axolotl._source import BatchSource

Function: TypeAlias = Callable[[Any], Any]

# Results that may lie ready.
_DEPTH: Final = 4
# How long to wait for a call of a function that goes on and on, in seconds.
_PATIENCE: Final = 0.2
# How often a thread with nothing to do looks up, in seconds.
_GLANCE: Final = 0.5


def call(function: Function, batch: Any) -> Any:  # noqa: ANN401  (whatever it makes of it)
    """Call the user's function on a batch."""
    try:
        return function(batch)
    except StopIteration as error:
        # It would end the iteration, and nobody would miss the rest.
        raise RuntimeError(f"{function!r} raised StopIteration") from error


class Ahead:
    """A source of batches that reads another one, and calls functions, on a thread.

    Results come in the order of the batches. An exception comes in its turn, behind all
    results before it, and again at every later call.
    """

    def __init__(
        self, source: BatchSource, functions: Sequence[Function], limit: int | None
    ) -> None:
        self._source = source
        self._work = _Work(source, functions, limit)
        self._thread = threading.Thread(
            target=_run,
            args=(weakref.ref(self._work),),
            name="fast_axolotl ahead",
            daemon=True,
        )
        self._process = os.getpid()
        self._patience = _PATIENCE
        self._begun = False
        self.held: tuple[Any] | None = None
        self._end: BaseException | None = None
        # Of the end: where in the functions it was raised.
        self._trace: TracebackType | None = None
        self._rows_read = 0
        self._left_out = [0, 0]
        self._bad_rows: list[Any] = []
        # What the source says of its position behind the batch given last.
        self.mark: Any = source.mark
        # The same, whether an error made it short.
        self.cut = False

    def next_batch(self) -> Any:  # noqa: ANN401  (what the functions made of it)
        """Return the next result; or NO_BATCH_YET, as sources do."""
        if os.getpid() != self._process and self._end is None:
            raise RuntimeError(
                "this reader was opened before a fork and belongs to the parent process; "
                "iterate over the dataset anew in the child"
            )
        if self._end is None and self.held is not None:
            return self.held[0]
        if self._end is None:
            work = self._work
            self._wait()
            item = work.items[0]
            if not isinstance(item, BaseException):
                # No call from here to where it is held: see StreamingReader._give.
                batch, self.mark, self._rows_read, self.cut, *left_out = item
                *self._left_out, bad_rows = left_out
                self._bad_rows += bad_rows
                if batch is not _core.NO_BATCH_YET:
                    self.held = (batch,)
                del work.items[0]
                work.room.ring()
                return batch
            self._end, self._trace = item, item.__traceback__
            if work.left_out is not None:
                *self._left_out, bad_rows = work.left_out
                self._bad_rows += bad_rows
            self.close()
        raise self._end.with_traceback(self._trace)

    def _wait(self) -> None:
        """Wait for a result or the end, and see to it that a thread is at it."""
        work = self._work
        while not work.items:
            self._begin()
            work.ready.wait(_GLANCE)
            if work.unstarted is not None:
                error, work.unstarted = work.unstarted, None
                self._begun = False
                raise error

    def _begin(self) -> None:
        """Start the thread, once."""
        if self._begun:
            return
        self._begun = True
        try:
            # Not from here: what a signal handler raises in the middle of Thread.start()
            # leaves a thread that is neither started nor not.
            start_new_thread(_start, (self._thread, self._work))
        except RuntimeError:
            self._begun = False
            raise

    def close(self) -> None:
        """Stop reading and join the thread.

        A call of a function that it is in cannot be stopped: it is waited for, but not
        for long, since this happens at Ctrl-C, too. The thread ends behind that call.
        """
        work = self._work
        work.stopped = True
        self.held = None
        # Whatever lies ready is not given any more. An error that was, comes again.
        if self._end is None:
            self._end = StopIteration()
        if os.getpid() != self._process:
            self._source.close()
            return
        # Whoever waits for a result is to wake up.
        work.put(StopIteration())
        work.room.ring()
        self._source.close()
        if self._thread.ident is not None and (
            self._thread is not threading.current_thread()
        ):
            # Once: this is called again when the reader is dropped, and at exit.
            patience, self._patience = self._patience, 0.0
            self._thread.join(patience)

    @property
    def rows_read(self) -> int:
        return self._rows_read

    @property
    def bytes_read(self) -> int:
        return self._source.bytes_read

    @property
    def decode_seconds(self) -> float:
        return self._source.decode_seconds

    @property
    def rows_skipped(self) -> int:
        return self._left_out[0]

    @property
    def batches_left_out(self) -> int:
        return self._left_out[1]

    def take_bad_rows(self) -> list[Any]:
        taken, self._bad_rows = self._bad_rows, []
        return taken

    def __del__(self) -> None:
        if hasattr(self, "_end"):
            self.close()


class _Bell:
    """Wakes up the one thread that waits for it, now or the next time it does.

    What a signal handler raises in the methods of an Event or a Condition leaves their
    locks as may be, and others wait for these for ever. A lock is released in one step.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        with suppress(RuntimeError):  # nobody was woken up since the last time
            self._lock.release()

    def wait(self, seconds: float) -> None:
        self._lock.acquire(timeout=seconds)


class _Work:
    """What the thread works on, and holds only while it does.

    A function may be a method of the object that owns the iterator. If a thread that
    waits held on to it, nobody could ever be collected.
    """

    def __init__(
        self, source: BatchSource, functions: Sequence[Function], limit: int | None
    ) -> None:
        self.source = source
        self.functions = functions
        self.limit = limit
        self.given = 0
        # What the source says of rows left out, at the end.
        self.left_out: tuple[int, int, list[Any]] | None = None
        # Results, and at the end an exception; whoever takes one leaves it here until it
        # is noted down, since a signal may raise in between.
        self.items: deque[Any] = deque()
        self.ready = _Bell()
        self.room = _Bell()
        self.stopped = False
        # Why there is no thread, until that was told.
        self.unstarted: RuntimeError | None = None

    def put(self, item: object) -> None:
        self.items.append(item)
        self.ready.ring()

    def step(self) -> bool:
        """Make a result; False if it was the last."""
        source = self.source
        bad_rows: list[Any] = []
        try:
            if (
                self.limit is not None
                and self.given >= self.limit
                and not self.source.cut
            ):
                self.put(StopIteration())
                return False
            batch = source.next_batch()
            source.held = None
            bad_rows = source.take_bad_rows()
            then = (
                source.mark,
                source.rows_read,
                source.cut,
                source.rows_skipped,
                source.batches_left_out,
                bad_rows,
            )
            if batch is not _core.NO_BATCH_YET:
                for function in self.functions:
                    batch = call(function, batch)
                self.given += 1
            self.put((batch, *then))
        except BaseException as error:  # noqa: BLE001  (raised where the result is asked for)
            bad_rows += source.take_bad_rows()
            self.left_out = (source.rows_skipped, source.batches_left_out, bad_rows)
            self.put(error)
            return False
        return True


def _start(thread: threading.Thread, work: _Work) -> None:
    try:
        thread.start()
    except RuntimeError as error:
        work.unstarted = error
        work.ready.ring()


def _run(reference: weakref.ref[_Work]) -> None:
    while True:
        work = reference()
        if work is None or work.stopped:
            return
        if len(work.items) < _DEPTH:
            if not work.step():
                return
            continue
        room = work.room
        del work
        # The time is for a signal that kept the consumer from setting it.
        room.wait(_GLANCE)
