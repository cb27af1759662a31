// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arrow/memory_pool.h"

namespace fast_axolotl {

/// Where the bytes of files and the columns decoded from them are kept: jemalloc, where
/// libarrow has it. Blocks are allocated by one thread and freed by another, and each
/// pass starts its threads anew; libarrow's default, mimalloc, keeps memory by thread,
/// and so took twice as much of it and asked the system for it again in every pass. A
/// backend that ARROW_DEFAULT_MEMORY_POOL names is used instead.
///
/// Unless it was named, jemalloc's blocks of 4 MiB and more ask for huge pages
/// (madvise(2), MADV_HUGEPAGE), which some systems give to nobody else: a record batch of
/// a Feather file may be 40 MB, and half of the time until its first rows went by in
/// 18,000 page faults.
arrow::MemoryPool* BufferPool();

/// Whether a new thread can take from BufferPool(). Not where the process has been given
/// a limit since that was chosen: jemalloc crashes if there is no room for what a new
/// thread needs.
bool NewThreadsMayAllocate();

/// Lets glibc's malloc keep up to 64 MB that were freed at the end of its heap, where by
/// default it gives back all beyond 128 KiB: the lists of each batch would be laid out in
/// fresh pages, which took a quarter of the time of lists of tokens. It is malloc's own
/// adaptation to large blocks (mallopt(3), M_MMAP_THRESHOLD), and is off where the
/// process has set a threshold itself. Does something once, and only with glibc.
void KeepFreedMemory();

}  // namespace fast_axolotl
