# SPDX-License-Identifier: Apache-2.0
"""Building indexes, and files to build them of."""

import gzip

import epoch_files

from fast_axolotl import StreamingDataset, _core

MEBIBYTE = 1 << 20


def kept(cache):
    """The index files in the cache."""
    if not cache.exists():
        return []
    return sorted(path for path in cache.iterdir() if path.suffix != ".lock")


def build(path, folder=None, progress=None, threads=1, **options):
    opened = StreamingDataset(path, **options)._open()
    where = _core.index_folder() if folder is None else str(folder)
    return _core.build_index(opened, where, threads, progress)


def bytes_read(path):
    """What building or loading the index of a file reads of it."""
    seen = [0]
    build(path, progress=seen.append)
    return seen[-1]


def rows_of(index):
    return [rows for _, _, _, rows in index.fragments]


def ids(batches):
    return [i for batch in batches for i in batch["id"]]


def shuffled(path, **options):
    return StreamingDataset(path, 10, ["id"], shuffle=True, num_lanes=2, **options)


def write_lines(path, rows=300, filler=40_000):
    path.write_bytes(epoch_files.lines(range(rows), filler))
    return path


def slow_file(path, megabytes=300):
    """That much of rows in a small file, so that indexing takes a while."""
    row = epoch_files.lines(range(250), 4000)
    path.write_bytes(gzip.compress(row, 1, mtime=0) * megabytes)
    return path
