# SPDX-License-Identifier: Apache-2.0
"""Packing in plain Python: what src/core/output/ and the packed datasets must agree with.

Of the package only the values of a `PackOptions` are read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import plan_reference

Batch = dict[str, Any]


class Counts(NamedTuple):
    """What became of sequences that were longer than a row, or than its rest."""

    cut: int = 0
    split: int = 0
    tokens_cut: int = 0


class Segment(NamedTuple):
    sequence: int
    begin: int  # in the sequence, an added eos token counted
    length: int


def lay_out(lengths: Sequence[int], options: Any) -> tuple[list[list[Segment]], Counts]:
    """The segments of each packed row."""
    most = options.length
    cut = split = tokens_cut = 0
    places = []
    for i, own in enumerate(lengths):
        # An empty sequence has no eos token either.
        length = own + (options.eos_token_id is not None) if own else 0
        kept = min(length, most) if options.too_long == "cut" else length
        cut += kept < length
        tokens_cut += length - kept
        step = most if options.strategy == "best_fit" else max(kept, 1)
        split += kept > step
        places += [Segment(i, b, min(step, kept - b)) for b in range(0, kept, step)]
    if options.strategy == "best_fit":
        return best_fit(places, most), Counts(cut, split, tokens_cut)
    rows, more = end_to_end(places, most)
    return rows, Counts(cut, split + more, tokens_cut)


def best_fit(places: list[Segment], most: int) -> list[list[Segment]]:
    """Longest first, each into the fullest row with room for it."""
    rows: list[list[Segment]] = []
    for place in sorted(places, key=lambda place: -place.length):
        rooms = [most - sum(p.length for p in row) for row in rows]
        fits = [(room, r) for r, room in enumerate(rooms) if room >= place.length]
        if not fits:
            rows.append([])
        rows[min(fits)[1] if fits else -1].append(place)
    return rows


def end_to_end(places: list[Segment], most: int) -> tuple[list[list[Segment]], int]:
    """In their order, cut where a row ends; and how many were cut."""
    rows: list[list[Segment]] = []
    split = room = 0
    for i, begin, length in places:
        split += length > (room or most)
        at, end = begin, begin + length
        while at < end:
            if not room:
                rows.append([])
                room = most
            taken = min(end - at, room)
            rows[-1].append(Segment(i, at, taken))
            at += taken
            room -= taken
    return rows, split


class Row(NamedTuple):
    """A packed row."""

    input_ids: list[int]
    labels: list[int]
    position_ids: list[int]
    sequence_ids: list[int]
    lengths: list[int]  # of the segments, padding too
    tokens: int


def fill(
    segments: list[Segment],
    tokens: Sequence[list[int]],
    labels: Sequence[list[int]],
    options: Any,
) -> Row:
    ids, own, positions, numbers, lengths = [], [], [], [], []
    eos = [] if options.eos_token_id is None else [options.eos_token_id]
    for number, (i, begin, length) in enumerate(segments, 1):
        ids += (tokens[i] + eos)[begin : begin + length]
        at = len(own)
        own += (labels[i] + eos)[begin : begin + length]
        if options.join_label is not None:
            own[at] = options.join_label
        positions += range(length)
        numbers += [number] * length
        lengths.append(length)
    free = options.length - len(ids)
    return Row(
        ids + [options.pad_token_id] * free,
        own + [options.label_pad_id] * free,
        [*positions, *range(free)],
        numbers + [0] * free,
        lengths + [free] * (free > 0),
        len(ids),
    )


def pack(
    tokens: Sequence[list[int] | None],
    labels: Sequence[list[int] | None] | None,
    options: Any,
) -> tuple[list[Row], Counts]:
    """The packed rows of one unit, and what became of its sequences."""
    ids = [row or [] for row in tokens]
    own = ids if labels is None else [row or [] for row in labels]
    rows, counts = lay_out([*map(len, ids)], options)
    return [fill(row, ids, own, options) for row in rows], counts


def batch_of(rows: Sequence[Row]) -> Batch:
    lengths = [length for row in rows for length in row.lengths]
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    return {
        **{name: [getattr(row, name) for row in rows] for name in Row._fields[:4]},
        "cu_seqlens": starts,
        "max_seqlen": max(lengths),
    }


class Epoch(NamedTuple):
    """All batches of an epoch, and the lane that each comes from."""

    batches: list[Batch]
    lanes: list[int]
    counts: Counts
    fill_rate: float | None


def epoch(
    fragments: Sequence[Sequence[tuple[list[int] | None, list[int] | None]]],
    options: Any,
    batch_size: int,
    *,
    labels: bool,
    lanes: int = 1,
    **order: Any,
) -> Epoch:
    """The batches of an epoch over rows of tokens and labels, by fragment."""
    units = plan_reference.batches(
        [len(fragment) for fragment in fragments],
        batch_size=options.pack_window,
        lanes=lanes,
        **order,
    )
    packed: list[list[Row]] = [[] for _ in range(lanes)]
    counts = Counts()
    for j, unit in enumerate(units):
        rows = [fragments[f][row] for f, row in unit]
        own = [row[1] for row in rows] if labels else None
        found, more = pack([row[0] for row in rows], own, options)
        packed[j % lanes] += found
        counts = Counts(*map(sum, zip(counts, more, strict=True)))
    found = [
        (number, lane, batch_of(rows[at : at + batch_size]))
        for lane, rows in enumerate(packed)
        for number, at in enumerate(range(0, len(rows), batch_size))
    ]
    found.sort(key=lambda batch: batch[:2])
    places = sum(map(len, packed)) * options.length
    tokens = sum(row.tokens for rows in packed for row in rows)
    return Epoch(
        [batch for *_, batch in found],
        [lane for _, lane, _ in found],
        counts,
        tokens / places if places else None,
    )
