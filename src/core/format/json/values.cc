// SPDX-License-Identifier: Apache-2.0
#include "core/format/json/values.h"

#include <algorithm>
#include <utility>

#include "arrow/array/array_primitive.h"
#include "arrow/array/data.h"
#include "arrow/array/util.h"
#include "arrow/type.h"
#include "arrow/util/bit_util.h"
#include "core/common/memory.h"

namespace fast_axolotl::json {
namespace {

int64_t Width(Kind kind) {
  switch (kind) {
    case Kind::kBool:
      return 1;
    case Kind::kInt64:
    case Kind::kDouble:
      return 8;
    default:
      return 0;
  }
}

template <typename Bits>
Result<std::shared_ptr<arrow::Buffer>> Pack(const Bits& bits, int64_t size) {
  ARROW_ASSIGN_OR_RAISE(auto packed, arrow::AllocateEmptyBitmap(size));
  for (int64_t i = 0; i < size; ++i) {
    if (bits[i]) arrow::bit_util::SetBit(packed->mutable_data(), i);
  }
  return packed;
}

// What was built, without most of the room that was not used: libarrow clears all of it.
// Where there is little, moving it takes longer.
Result<std::shared_ptr<arrow::Buffer>> Finished(arrow::BufferBuilder* builder) {
  constexpr int64_t kLarge = int64_t{64} << 10;
  return builder->Finish(/*shrink_to_fit=*/builder->capacity() >= kLarge);
}

}  // namespace

std::shared_ptr<arrow::DataType> TypeOfKind(Kind kind) {
  switch (kind) {
    case Kind::kBool:
      return arrow::boolean();
    case Kind::kInt64:
      return arrow::int64();
    case Kind::kDouble:
      return arrow::float64();
    case Kind::kString:
      return arrow::utf8();
    default:
      return arrow::null();
  }
}

Status Values::Become(Kind kind) {
  if (kind_ == kind) return Status::OK();
  ARROW_RETURN_NOT_OK(Begin(kind));
  kind_ = kind;
  // The nulls so far get a slot each.
  const int64_t nulls = std::exchange(size_, 0);
  nulls_ = 0;
  Status appended = AppendNulls(nulls);
  if (!appended.ok()) {
    kind_ = Kind::kNull;
    size_ = nulls_ = nulls;
    valid_.clear();
    fixed_.Reset();
    offsets_.Reset();
  }
  return appended;
}

Status Values::Begin(Kind kind) {
  if (kind != Kind::kString) return fixed_.Reserve(kFirstValues * Width(kind));
  constexpr int64_t kString = 16;  // about so many bytes
  ARROW_RETURN_NOT_OK(bytes_.Reserve(kFirstValues * kString));
  ARROW_RETURN_NOT_OK(offsets_.Reserve(kFirstValues + 1));
  offsets_.UnsafeAppend(0);
  return Status::OK();
}

Status Values::Grow(int64_t count) {
  if (!valid_.empty()) valid_.resize(valid_.size() + count, true);
  size_ += count;
  return Status::OK();
}

Status Values::AppendNulls(int64_t count) {
  if (count == 0) return Status::OK();
  if (kind_ != Kind::kNull) {
    if (valid_.empty()) valid_.assign(size_, true);
    valid_.resize(size_ + count, false);
    if (kind_ == Kind::kString) {
      ARROW_RETURN_NOT_OK(offsets_.Append(count, static_cast<int32_t>(bytes_.length())));
    } else {
      ARROW_RETURN_NOT_OK(fixed_.Append(count * Width(kind_), 0));
    }
  }
  size_ += count;
  nulls_ += count;
  return Status::OK();
}

Status Values::AppendBool(bool value) {
  const uint8_t byte = value;
  ARROW_RETURN_NOT_OK(fixed_.Append(&byte, 1));
  return Grow(1);
}

Status Values::AppendInt64(int64_t value) {
  ARROW_RETURN_NOT_OK(fixed_.Append(&value, sizeof value));
  return Grow(1);
}

Status Values::AppendDouble(double value) {
  ARROW_RETURN_NOT_OK(fixed_.Append(&value, sizeof value));
  return Grow(1);
}

Status Values::AppendString(std::string_view value) {
  ARROW_RETURN_NOT_OK(bytes_.Append(value));
  ARROW_RETURN_NOT_OK(offsets_.Append(static_cast<int32_t>(bytes_.length())));
  return Grow(1);
}

Result<char*> Values::ReserveString(int64_t bytes) {
  ARROW_RETURN_NOT_OK(bytes_.Reserve(bytes));
  return reinterpret_cast<char*>(bytes_.mutable_data()) + bytes_.length();
}

Status Values::CommitString(char* end) {
  bytes_.UnsafeAdvance(reinterpret_cast<uint8_t*>(end) - bytes_.mutable_data() -
                       bytes_.length());
  ARROW_RETURN_NOT_OK(offsets_.Append(static_cast<int32_t>(bytes_.length())));
  return Grow(1);
}

Result<int64_t*> Values::ReserveInt64s(int64_t count) {
  ARROW_RETURN_NOT_OK(fixed_.Reserve(count * 8));
  return reinterpret_cast<int64_t*>(fixed_.mutable_data() + fixed_.length());
}

Status Values::CommitInt64s(int64_t* end) {
  const int64_t bytes =
      reinterpret_cast<uint8_t*>(end) - fixed_.mutable_data() - fixed_.length();
  fixed_.UnsafeAdvance(bytes);
  return Grow(bytes / 8);
}

Status Values::ReserveMore(double share) {
  const auto reserve = [share](auto& builder) {
    return builder.Reserve(static_cast<int64_t>(share * builder.length()));
  };
  ARROW_RETURN_NOT_OK(reserve(fixed_));
  ARROW_RETURN_NOT_OK(reserve(offsets_));
  return reserve(bytes_);
}

void Values::Truncate(int64_t size) {
  if (size >= size_) return;
  if (kind_ == Kind::kNull) {
    nulls_ = size;
  } else if (!valid_.empty()) {
    nulls_ -= std::count(valid_.begin() + size, valid_.end(), false);
    valid_.resize(size);
  }
  if (kind_ == Kind::kString) {
    bytes_.Rewind(offsets_.data()[size]);
    offsets_.bytes_builder()->Rewind((size + 1) * static_cast<int64_t>(sizeof(int32_t)));
  } else {
    fixed_.Rewind(size * Width(kind_));
  }
  size_ = size;
}

Result<std::shared_ptr<arrow::Array>> Values::Finish() {
  if (kind_ == Kind::kNull) return std::make_shared<arrow::NullArray>(size_);
  std::vector<std::shared_ptr<arrow::Buffer>> buffers(1);
  if (nulls_ > 0) {
    ARROW_ASSIGN_OR_RAISE(buffers[0], Pack(valid_, size_));
  }
  if (kind_ == Kind::kString) {
    ARROW_ASSIGN_OR_RAISE(auto offsets, Finished(offsets_.bytes_builder()));
    buffers.push_back(std::move(offsets));
    ARROW_ASSIGN_OR_RAISE(auto bytes, Finished(&bytes_));
    buffers.push_back(std::move(bytes));
  } else if (kind_ == Kind::kBool) {
    ARROW_ASSIGN_OR_RAISE(auto bits, Pack(fixed_.data(), size_));
    buffers.push_back(std::move(bits));
  } else {
    ARROW_ASSIGN_OR_RAISE(auto fixed, Finished(&fixed_));
    buffers.push_back(std::move(fixed));
  }
  return arrow::MakeArray(
      arrow::ArrayData::Make(TypeOfKind(kind_), size_, std::move(buffers), nulls_));
}

}  // namespace fast_axolotl::json
