// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/buffer_builder.h"
#include "core/common/error.h"
#include "core/common/memory.h"

namespace fast_axolotl::json {

/// The kinds a column of simple values may have. They never mix: a column in which two
/// of them meet is carried as JSON text.
enum class Kind : uint8_t { kNull, kBool, kInt64, kDouble, kString };

std::shared_ptr<arrow::DataType> TypeOfKind(Kind kind);

/// Values that there is room for from the start: most small files have no more rows.
inline constexpr int64_t kFirstValues = 16;

/// Values of one kind with nulls among them, growing at the end.
class Values {
 public:
  int64_t size() const { return size_; }
  Kind kind() const { return kind_; }

  /// Whether it holds no values of another kind than `kind`. Nulls go with every kind.
  bool Takes(Kind kind) const { return kind_ == kind || kind_ == Kind::kNull; }
  /// Makes this hold values of `kind`, which it takes. After an error it is as before.
  Status Become(Kind kind);

  Status AppendNulls(int64_t count);
  Status AppendBool(bool value);
  Status AppendInt64(int64_t value);
  Status AppendDouble(double value);
  Status AppendString(std::string_view value);

  /// Room for `bytes` more of string data; CommitString() ends the string written there.
  Result<char*> ReserveString(int64_t bytes);
  Status CommitString(char* end);

  /// Room for `count` more integers; CommitInt64s() keeps those before `end`.
  Result<int64_t*> ReserveInt64s(int64_t count);
  Status CommitInt64s(int64_t* end);

  /// Room for `share` times as much as there is now, besides that.
  Status ReserveMore(double share);

  /// Drops all values from `size` on.
  void Truncate(int64_t size);

  /// The values as an array of TypeOfKind(kind()). Nothing may be appended afterwards.
  Result<std::shared_ptr<arrow::Array>> Finish();

 private:
  Status Begin(Kind kind);
  Status Grow(int64_t count);

  Kind kind_ = Kind::kNull;
  int64_t size_ = 0;
  int64_t nulls_ = 0;
  arrow::BufferBuilder fixed_{BufferPool()};  // int64, double, or a byte for each bool
  arrow::TypedBufferBuilder<int32_t> offsets_{BufferPool()};  // of the strings in bytes_
  arrow::BufferBuilder bytes_{BufferPool()};
  std::vector<bool> valid_;  // empty as long as there is no null
};

}  // namespace fast_axolotl::json
