# SPDX-License-Identifier: Apache-2.0
"""Epochs of batches: passes, shares, states. What the batches are is up to a subclass."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

from fast_axolotl import _core, _options, _state, _topology
from fast_axolotl._board import Board
from fast_axolotl._iterator import DatasetIterator, Position, RowIterator, Run
from fast_axolotl._reader import Batch
from fast_axolotl._state import State
from fast_axolotl._stats import Stats
from fast_axolotl._topology import PassCounter, Topology
from fast_axolotl._turns import Cursor

if TYPE_CHECKING:
    from typing import Self

    from torch.utils.data import DataLoader

    from fast_axolotl._bad_rows import Policy
    from fast_axolotl._source import BatchSource, Described
    from fast_axolotl._topology import Distributed

Tail = Literal["keep", "drop", "repeat"]


def _identity(batch: Batch) -> Batch:
    """A collate function that leaves the batch alone."""
    return batch


class EpochDataset(ABC):
    """A dataset whose batches are numbered in each epoch, for all ranks and workers."""

    def __init__(
        self,
        *,
        seed: int,
        num_lanes: int | None,
        tail: Tail | None,
        distributed: Distributed,
    ) -> None:
        super().__init__()
        self._seed = _options.integer("seed", seed, 0, (1 << 64) - 1)
        self._lanes = _options.optional_positive("num_lanes", num_lanes)
        if tail not in {None, "keep", "drop", "repeat"}:
            raise ValueError(
                f'tail must be None, "keep", "drop" or "repeat", not {tail!r}'
            )
        self._tail = tail
        self._distributed = _topology.check(distributed)
        self._shuffle = False
        # The part of each epoch that counts, in batches.
        self._first = 0
        self._last: int | None = None
        self._maps: tuple[Callable[[Any], Any], ...] = ()
        self._passes = PassCounter()
        self._board = Board()
        # What a worker goes on from, which none of the others does.
        self._worker_loaded: Run | None = None
        # Of a loaded state: how far each lane was, and which count of passes it is for.
        self._cursors: tuple[int, tuple[Cursor, ...]] = (0, ())
        # How far the latest pass of this process got. Not its iterator, which holds this
        # dataset: dropping that one must stop its threads at once.
        self._current: Position | None = None
        self._fingerprint: str | None = None
        # What "auto" means to a worker that was spawned.
        self._parent_rank: tuple[int, int] | None = None
        self._process = os.getpid()

    # --- what a subclass says -----------------------------------------------------------

    @abstractmethod
    def _open(self) -> Described:
        """Look at the data, as far as this process has not done so."""

    @abstractmethod
    def _start(self, run: Run) -> tuple[BatchSource, int | None]:
        """Return what gives a run, and how many batches of it count (None: all)."""

    @abstractmethod
    def _make_fingerprint(self) -> str:
        """Return what tells this data and its order from others."""

    @abstractmethod
    def _epoch_batches(self, lanes: int, epoch: int) -> int:
        """Return the number of batches of that epoch, exactly."""

    @abstractmethod
    def _default_lanes(self, topology: Topology) -> int:
        """Return the number of lanes of a run that begins now."""

    @abstractmethod
    def _default_window(self) -> int:
        """Return the number of rows to shuffle among themselves, 0 for none."""

    def _bad_rows(self) -> Policy | None:
        """What becomes of rows that cannot be read; None: they are errors."""
        return None

    def _gives_record_batches(self) -> bool:
        """Whether batches are record batches of the data's schema."""
        return False

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Rows in each batch but the last."""

    @property
    @abstractmethod
    def files(self) -> list[str]:
        """The files, in the order of reading."""

    @property
    def columns(self) -> list[str]:
        """The columns of the batches, in their order, as far as a sample tells.

        A batch of JSON rows may have further keys, behind these.
        """
        return [name for name, _ in self._open().schema]

    @property
    def schema(self) -> dict[str, str]:
        """The columns' types by name, such as ``"list<int64>"``.

        ``"json"`` is a column of values of no one simple type; each is what
        ``json.loads`` gives.
        """
        return dict(self._open().schema)

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__}
        state["_current"] = None
        if not _topology.is_spawning():
            # Who reads it later looks at the files as they are then.
            state["_fingerprint"] = None
        if _topology.is_spawning() and not isinstance(self._distributed, (str, tuple)):
            # A process group stays behind, what it says goes along.
            state["_distributed"] = _topology.rank_and_world(self._distributed)
        elif _topology.is_spawning() and self._distributed == "auto":
            # For a worker, which is in no group. A rank asks for itself.
            state["_parent_rank"] = self._rank_and_world()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._process = os.getpid()

    # --- iterating ---------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        """Start a new pass: an iterator of batches, ``dict[str, list]`` by default.

        Every pass is an epoch of its own: the first is epoch 0, unless
        :meth:`set_epoch` or a loaded state say otherwise. In a DataLoader's worker it
        gives this worker's share of the batches.
        """
        return self._iterate()

    def _iterate(self) -> DatasetIterator:
        topology = self._topology()
        number = self._passes.start()
        run = self._run_of_pass(topology, number)
        if self._worker_loaded is not None:
            run, self._worker_loaded = self._worker_loaded, None
        iterator = DatasetIterator(self, run)
        self._current = iterator.position
        if _topology.in_worker():
            # What the worker of the pass before has written there is over.
            self._board.write(topology.worker, Stats())
        return iterator

    def _rank_and_world(self) -> tuple[int, int]:
        # Not to a worker that was forked by a rank that was spawned: the rank's group is
        # there, as it was copied.
        if (
            self._parent_rank is not None
            and self._process == os.getpid()
            and _topology.in_worker()
        ):
            return self._parent_rank
        return _topology.rank_and_world(self._distributed)

    def _topology(self) -> Topology:
        return Topology(*self._rank_and_world(), *_topology.worker_and_workers())

    def _run_of_pass(self, topology: Topology, number: int) -> Run:
        epoch = self._passes.first_epoch + number
        start = self._first
        if number == 0:
            start = max(start, self._passes.first_batch)
        run = Run(topology, epoch, start)
        if number > 0 or not self._pack_order() or start == self._first:
            return run
        # Of packed rows the lanes' cursors tell, which are no number to be shared.
        generation, cursors = self._cursors
        return replace(run, cursors=cursors, lost=generation != self._passes.generation)

    def _epoch_now(self) -> int:
        """The epoch of the pass that is under way, or of the next one."""
        passes = self._passes.passes
        if self._current is not None and not self._current.finished:
            return self._current.run.epoch
        # Whether workers are through with their pass is not known here.
        if self._passes.workers:
            passes -= 1
        return self._passes.first_epoch + passes

    def _go_on(self, run: Run, start: int) -> None:
        """Let the next pass, and those after it, go on from a run, at batch ``start``."""
        self._passes.set(run.epoch, start)
        self._cursors = (self._passes.generation, run.cursors)

    def _pack_order(self) -> str:
        """What decides how rows are packed; empty where they are not."""
        return ""

    def _share(self, run: Run, batches: int) -> _core.Share:
        topology = run.topology
        last = batches if self._last is None else min(self._last, batches)
        first = min(self._first, last)
        return _core.Share.make(
            min(run.start, last),
            first,
            last,
            (topology.rank, topology.world),
            (topology.worker, topology.workers),
            self._tail or ("keep" if topology.world == 1 else "repeat"),
        )

    def rows(self) -> Iterator[dict[str, Any]]:
        """Iterate over the rows, in the same order: one ``dict`` a row.

        Raises:
            TypeError: Rows are packed; where ``output``, ``transform`` or ``map`` makes
                batches that are no dicts, while iterating.
        """
        if self._pack_order():
            raise TypeError(
                "rows() gives rows of the files, and packed rows hold several of them: "
                "iterate over the dataset itself"
            )
        return RowIterator(self._iterate())

    def loader(self, **kwargs: Any) -> DataLoader[Any]:
        """Return a ``torch.utils.data.DataLoader`` over the batches.

        Its ``batch_size`` is ``None``, because this dataset batches itself, and its
        ``collate_fn`` leaves batches alone: torch's own looks at every single value.

        Args:
            **kwargs: Other arguments of the DataLoader, such as ``num_workers``.

        Raises:
            ImportError: torch is not installed.
            TypeError: ``batch_size`` is among the arguments.
        """
        if kwargs.get("batch_size") is not None:
            raise TypeError(
                "loader() takes no batch_size: it is that of the dataset, "
                f"{self.batch_size}"
            )
        try:
            from torch.utils.data import DataLoader
        except ImportError as error:
            raise ImportError("loader() needs torch: pip install torch") from error

        kwargs.setdefault("collate_fn", _identity)
        kwargs["batch_size"] = None
        return DataLoader(cast("Any", self), **kwargs)

    # --- variations --------------------------------------------------------------------

    def _changed(self, **changes: Any) -> Self:
        other = copy.copy(self)
        other.__dict__.update(changes, _current=None, _process=self._process)
        # It goes its own way from where this one is.
        other._passes = self._passes.copy()  # noqa: SLF001
        other._board = Board()  # noqa: SLF001
        return other

    def map(self, fn: Callable[[Any], Any]) -> Self:
        """Return a dataset whose batches are ``fn(batch)``.

        They are made a few batches ahead, on a thread, in the order of the batches.

        Args:
            fn: Takes a batch, and returns what is given instead of it. To be used with
                workers that are spawned it must be picklable.

        Raises:
            TypeError: ``fn`` cannot be called.
        """
        if not callable(fn):
            raise TypeError(f"map() needs a function, not {type(fn).__name__}")
        return self._changed(_maps=(*self._maps, fn))

    def take(self, n: int) -> Self:
        """Return a dataset of the first ``n`` batches of each epoch, over all ranks."""
        last = self._first + _options.integer("n", n, 0, (1 << 62))
        return self._changed(_last=last if self._last is None else min(last, self._last))

    def skip(self, n: int) -> Self:
        """Return a dataset without each epoch's first ``n`` batches, over all ranks."""
        first = self._first + _options.integer("n", n, 0, (1 << 62))
        return self._changed(_first=first)

    def stats(self) -> Stats:
        """Return what the latest pass has done so far, on this rank.

        Of a pass that DataLoader workers read these are the sums over the workers, up to
        256 of them.
        """
        if not _topology.in_worker() and self._passes.workers:
            stats = self._board.total(self._passes.workers)
        elif self._current is not None:
            stats = self._current.stats.copy()
        else:
            return Stats()
        topology = self._topology()
        if topology.world > 1:
            run = self._run_of_pass(topology, max(self._passes.passes - 1, 0))
            batches = self._epoch_batches(self._state(run).lanes, run.epoch)
            last = batches if self._last is None else min(self._last, batches)
            left = max(last - run.start, 0)
            steps = self._share(run, batches).steps
            stats.batches_repeated = max(steps - left, 0)
            stats.batches_left_out = max(left - steps, 0)
        return stats

    # --- epochs and states -------------------------------------------------------------

    def set_epoch(self, epoch: int) -> None:
        """Let the next pass be epoch ``epoch``; those after it count on from there.

        A loaded state stays as it is if it belongs to that epoch. Workers that are kept
        from pass to pass hear of it, too.

        Args:
            epoch: The epoch, from 0.
        """
        number = _options.integer("epoch", epoch, 0, (1 << 62))
        if number != self._passes.first_epoch + self._passes.passes:
            self._passes.set(number)
            self._current = None

    def _identify(self) -> str:
        if self._fingerprint is None:
            self._fingerprint = self._make_fingerprint()
        return self._fingerprint

    def _state(self, run: Run) -> State:
        """The state at the start of a run."""
        if run.lost:
            raise RuntimeError(
                "a state was loaded in the process that started this worker, and where "
                "its packed rows are is known only there: make a new DataLoader"
            )
        kept = self._passes.kept
        lanes = kept[0] if kept else self._default_lanes(run.topology)
        pack = self._pack_order()
        return State(
            fingerprint=self._identify(),
            epoch=run.epoch,
            batch=run.start,
            lanes=lanes,
            batch_size=self.batch_size,
            shuffle=self._shuffle,
            seed=self._seed,
            window=kept[1] if kept else self._default_window(),
            pack=pack,
            cursors=(run.cursors or (Cursor(),) * lanes) if pack else (),
        )

    def _next_epoch(self, state: State) -> State:
        return state.next_epoch(self._first)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as of the batches given so far: a small dict of plain values.

        It can be kept as JSON, and loaded under any number of ranks and workers. Once
        an epoch has ended it is the start of the next one.

        Raises:
            RuntimeError: DataLoader workers read the data, so this process does not know
                which batches have been used.
        """
        if not _topology.in_worker() and self._passes.workers:
            raise RuntimeError(
                "DataLoader workers read this dataset, and how far the training loop got "
                "is known only there: use torchdata's StatefulDataLoader and its "
                "state_dict(), or ds.state_at(batches_consumed), or num_workers=0"
            )
        if self._current is not None:
            return self._current.state_dict(self)
        run = self._run_of_pass(self._topology(), self._passes.passes)
        return self._state(run).to_dict()

    def state_at(self, batches_consumed: int) -> dict[str, Any]:
        """Return the state after so many batches of the current pass on this rank.

        Args:
            batches_consumed: Batches that this rank used since the pass began, or since
                it was resumed.
        """
        consumed = _options.integer("batches_consumed", batches_consumed, 0, 1 << 62)
        topology = replace(self._topology(), workers=max(self._passes.workers, 1))
        run = self._run_of_pass(topology, max(self._passes.passes - 1, 0))
        state = self._state(run)
        batches = self._epoch_batches(state.lanes, state.epoch)
        if consumed >= self._share(run, batches).rank_batches:
            return self._next_epoch(state).to_dict()
        return replace(state, batch=run.start + topology.world * consumed).to_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass go on from a state; the epochs after it follow.

        Args:
            state: A state of this data, read with the same options of order; the ranks
                and workers may be others than when it was saved.

        Raises:
            ValueError: The files or the options of order are others, or the state is of
                an unknown version.
            TypeError: Not a dict.
        """
        topology = self._topology()
        run = self._resumed(topology, state)
        if _topology.in_worker():
            self._passes.next_epoch_is(run.epoch)
            self._worker_loaded = run
        else:
            # The state of a lone worker counts what it gave apart from its start.
            run = replace(run, cursors=run.reached(), own=None)
            self._go_on(run, run.start + topology.world * run.given)
            self._current = None

    def _resumed(self, topology: Topology, state: Mapping[str, Any]) -> Run:
        """Check a state and return the run that goes on from it."""
        found = _state.parse(state)
        given = 0
        if "given" in state:
            mine = (topology.rank, topology.world, topology.worker, topology.workers)
            its = tuple(state.get(k) for k in ("rank", "world", "worker", "workers"))
            if mine != its:
                raise ValueError(
                    "this is the state of one DataLoader worker (rank, world, worker, "
                    f"workers) = {its}, and this is {mine}: join the states of all "
                    "workers with merge_states()"
                )
            given = _options.integer("given", state["given"], 0, 1 << 40)
        for name, mine_value, its_value in (
            ("files", self._identify(), found.fingerprint),
            ("batch_size", self.batch_size, found.batch_size),
            ("shuffle", self._shuffle, found.shuffle),
            ("seed", self._seed, found.seed),
            ("pack", self._pack_order(), found.pack),
        ):
            if mine_value != its_value:
                other = name
                if name == "files":
                    other = _state.other_files(
                        self._identify(), found.fingerprint, self.files
                    )
                raise ValueError(
                    f"the state was saved with other {other}: {its_value!r} there, "
                    f"{mine_value!r} here"
                )
        if self._shuffle and found.window < 1:
            raise ValueError("the state's 'window' is 0, but the order is shuffled")
        # Lanes and window are those of the first start from now on.
        self._passes.keep(found.lanes, found.window)
        own = _state.parse_worker(state).own if "own" in state else None
        start = max(found.batch, self._first)
        return Run(topology, found.epoch, start, given, found.cursors, own)
