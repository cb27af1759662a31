# SPDX-License-Identifier: Apache-2.0
"""Bits turned over at random: never a crash, a hang or much memory.

Behind gzip's checksum the rows are the same or there is an error. Elsewhere other values
are possible: text has no checksum, zstd need not have one, and neither a footer nor the
headers of pages and messages are covered by any. But a format that writes down how many
rows it holds never gives another number of them.

FAST_AXOLOTL_FLIPS=N reads N damaged files of each kind, FAST_AXOLOTL_SEED=N others.
"""

import os
import random

import pytest
from fault_worker import flipped
from formats import CASES, table
from inner_cases import ids, inner, ipc_cases, parquet

FLIPS = int(os.environ.get("FAST_AXOLOTL_FLIPS", "24"))
SEED = int(os.environ.get("FAST_AXOLOTL_SEED", "0"))
# What a damaged file of some kilobytes may take, in KiB.
MOST_MEMORY = 400 << 10

DATA = table(
    id=list(range(40)),
    text=[f"text {i} äöü" * (i % 4) if i % 7 else None for i in range(40)],
    number=[i / 3 for i in range(40)],
    tokens=[list(range(i % 6)) for i in range(40)],
)


# Each with and without the checksums of its pages.
PARQUET = [
    inner(
        f"parquet:{codec}:{version}:{'crc' if crc else 'bare'}",
        "parquet",
        ".parquet",
        parquet(
            rows=15,
            compression=codec,
            data_page_version=version,
            write_page_checksum=crc,
            use_dictionary=["text"],
            column_encoding={"id": "DELTA_BINARY_PACKED"} if version == "2.0" else None,
        ),
    )
    for codec in ("none", "snappy", "zstd")
    for version in ("1.0", "2.0")
    for crc in (True, False)
]
ALL = [
    *(case for case in CASES if not case.format.only_one_row),
    *PARQUET,
    *ipc_cases(rows=15),
]


def knows_its_rows(case):
    """Whether the number of rows is written down apart from the rows."""
    return not case.format.text and case.format.id.split(":")[0] != "ipc_stream"


@pytest.mark.parametrize("case", ALL, ids=ids(ALL))
def test_flipped_bits(case, worker, tmp_path):
    data = case.encode(DATA)
    rng = random.Random(f"{case.id} {SEED}")
    path = tmp_path / f"data{case.suffix}"
    rows, kind, _ = worker.read(path, data)
    assert kind is None
    assert len(rows) == len(case.format.fit(DATA).rows)
    errors = 0
    for number in range(FLIPS):
        count = 8 if number % 8 == 7 else 1
        flips = [(rng.randrange(len(data)), rng.randrange(8)) for _ in range(count)]
        how = "planned" if number % 6 == 5 else "in order"
        outcome = worker.read(path, flipped(data, flips), how=how)
        where = f"{flips} {how}: {outcome}"
        assert outcome.kind in {None, "OSError", "ValueError"}, where
        assert outcome.peak < MOST_MEMORY, where
        if outcome.kind:
            errors += 1
            assert path.name in outcome.text, where
        elif count == 1:
            if knows_its_rows(case):
                assert len(outcome.rows) == len(rows), where
            # What a member's header may say of name, time and system is no row.
            if case.compression.name == "gzip":
                assert sorted(outcome.rows) == sorted(rows), where
    # Of text nearly every byte may be another one.
    assert errors or case.format.text
