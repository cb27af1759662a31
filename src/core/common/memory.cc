// SPDX-License-Identifier: Apache-2.0
#include "core/common/memory.h"

#include <sys/resource.h>

#include <cstdlib>

namespace fast_axolotl {

namespace {

// Whether memory may run out before the machine's does.
bool IsLimited() {
  struct rlimit limit;
  return ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

arrow::MemoryPool* ChoosePool() {
  if (std::getenv("ARROW_DEFAULT_MEMORY_POOL") != nullptr) {
    return arrow::default_memory_pool();
  }
  // jemalloc crashes where there is no room for what a new thread needs.
  if (IsLimited()) return arrow::system_memory_pool();
  arrow::MemoryPool* pool = nullptr;
  if (arrow::jemalloc_memory_pool(&pool).ok()) return pool;
  return arrow::default_memory_pool();
}

}  // namespace

arrow::MemoryPool* BufferPool() {
  static arrow::MemoryPool* const pool = ChoosePool();
  return pool;
}

bool NewThreadsMayAllocate() {
  return !IsLimited() || BufferPool()->backend_name() != "jemalloc";
}

void KeepFreedMemory() {
#ifdef __GLIBC__
  // The largest block that moves the thresholds is 32 MiB; its pages are never touched.
  static const bool once = [] {
    constexpr size_t kLarge = size_t{31} << 20;
    void* volatile block = std::malloc(kLarge);
    std::free(block);
    return true;
  }();
  static_cast<void>(once);
#endif
}

}  // namespace fast_axolotl
