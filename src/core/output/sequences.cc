// SPDX-License-Identifier: Apache-2.0
#include "core/output/sequences.h"

#include <limits>
#include <utility>

#include "arrow/buffer.h"
#include "core/common/memory.h"
#include "core/output/numbers.h"

namespace fast_axolotl {

std::vector<int64_t> Sequences::Lengths() const {
  std::vector<int64_t> lengths;
  lengths.reserve(rows.size());
  for (const Row& row : rows) lengths.push_back(row.length);
  return lengths;
}

Result<std::shared_ptr<arrow::Tensor>> EmptyTensor(
    const std::shared_ptr<arrow::DataType>& type, std::vector<int64_t> shape) {
  ARROW_RETURN_NOT_OK(CheckNumber(*type));
  int64_t bytes = type->byte_width();
  for (const int64_t extent : shape) {
    if (extent != 0 && bytes > std::numeric_limits<int64_t>::max() / extent) {
      return Status::OutOfMemory("a tensor of more than 2^63 bytes");
    }
    bytes *= extent;
  }
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(bytes, BufferPool()));
  return arrow::Tensor::Make(type, buffer, shape);
}

}  // namespace fast_axolotl
