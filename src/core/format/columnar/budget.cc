// SPDX-License-Identifier: Apache-2.0
#include "core/format/columnar/budget.h"

#include <algorithm>

#include "arrow/util/io_util.h"
#include "core/common/memory.h"

namespace fast_axolotl {
namespace {

thread_local DecodeBudget* current = nullptr;

}  // namespace

class BudgetedPool : public arrow::CappedMemoryPool {
 public:
  using arrow::CappedMemoryPool::CappedMemoryPool;

  Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override {
    ARROW_RETURN_NOT_OK(Take(size));
    return CappedMemoryPool::Allocate(size, alignment, out);
  }
  Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment,
                    uint8_t** ptr) override {
    ARROW_RETURN_NOT_OK(Take(new_size - old_size));
    return CappedMemoryPool::Reallocate(old_size, new_size, alignment, ptr);
  }
  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override {
    CappedMemoryPool::Free(buffer, size, alignment);
    if (current) current->taken_ -= size;
  }

 private:
  static Status Take(int64_t bytes) {
    return current ? current->Take(bytes) : Status::OK();
  }
};

arrow::MemoryPool* DecodePool() {
  // Never destroyed: buffers may be freed after statics are gone.
  static auto* const pool =
      new BudgetedPool(BufferPool(), arrow::internal::GetTotalMemoryBytes() / 4 * 3);
  return pool;
}

DecodeBudget::DecodeBudget(int64_t bytes) : outer_(current), bytes_(bytes) {
  current = this;
}

DecodeBudget::~DecodeBudget() { current = outer_; }

DecodeBudget* DecodeBudget::Current() { return current; }

void DecodeBudget::Add(int64_t bytes) { bytes_ += bytes; }

Status DecodeBudget::Take(int64_t bytes) {
  // What was taken before the budget began may be given back now; it buys nothing.
  taken_ = std::max<int64_t>(taken_, 0);
  if (bytes > 0 && bytes > bytes_ - taken_) {
    if (refused_ == 0) refused_ = taken_ + bytes;
    return Status::OutOfMemory("the data ask for ", refused_, " bytes of memory");
  }
  taken_ += bytes;
  return Status::OK();
}

}  // namespace fast_axolotl
