// SPDX-License-Identifier: Apache-2.0
#include "core/common/memory.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>

#include "core/common/error.h"

namespace fast_axolotl {

namespace {

// Whether memory may run out before the machine's does.
bool IsLimited() {
  struct rlimit limit;
  return ::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

// Another pool, whose large blocks are laid out in huge pages. What was asked for
// outlives a block: small ones that come to lie there have such pages, too.
class HugePagePool : public arrow::ProxyMemoryPool {
 public:
  using ProxyMemoryPool::ProxyMemoryPool;

  Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    ARROW_RETURN_NOT_OK(ProxyMemoryPool::Allocate(size, alignment, out));
    Advise(*out, size);
    return Status::OK();
  }
  Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                    uint8_t** ptr) override {
    ARROW_RETURN_NOT_OK(ProxyMemoryPool::Reallocate(old_size, new_size, alignment, ptr));
    if (new_size > old_size) Advise(*ptr, new_size);
    return Status::OK();
  }

 private:
  // Only the huge pages that lie in the block as a whole: what is beside it is not ours.
  static void Advise([[maybe_unused]] uint8_t* block, [[maybe_unused]] int64_t size) {
#ifdef MADV_HUGEPAGE
    // With pages of 4 KiB. Where both are larger it is what they are, or is ignored.
    constexpr uintptr_t kHugePage = uintptr_t{2} << 20;
    constexpr int64_t kLarge = int64_t{4} << 20;
    if (size < kLarge) return;
    const auto address = reinterpret_cast<uintptr_t>(block);
    const uintptr_t begin = (address + kHugePage - 1) / kHugePage * kHugePage;
    const uintptr_t end =
        (address + static_cast<uintptr_t>(size)) / kHugePage * kHugePage;
    // A system without them says so, and nothing is lost.
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
  }
};

arrow::MemoryPool* ChoosePool() {
  if (std::getenv("ARROW_DEFAULT_MEMORY_POOL") != nullptr) {
    return arrow::default_memory_pool();
  }
  // jemalloc crashes where there is no room for what a new thread needs.
  if (IsLimited()) return arrow::system_memory_pool();
  arrow::MemoryPool* pool = nullptr;
  if (arrow::jemalloc_memory_pool(&pool).ok()) {
    // Never destroyed: buffers may be freed after statics are gone.
    return new HugePagePool(pool);
  }
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
