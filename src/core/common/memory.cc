// SPDX-License-Identifier: Apache-2.0
#include "core/common/memory.h"

#include <cstdlib>

namespace fast_axolotl {

namespace {

arrow::MemoryPool* ChoosePool() {
  arrow::MemoryPool* pool = nullptr;
  if (std::getenv("ARROW_DEFAULT_MEMORY_POOL") == nullptr &&
      arrow::jemalloc_memory_pool(&pool).ok()) {
    return pool;
  }
  return arrow::default_memory_pool();
}

}  // namespace

arrow::MemoryPool* BufferPool() {
  static arrow::MemoryPool* const pool = ChoosePool();
  return pool;
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
