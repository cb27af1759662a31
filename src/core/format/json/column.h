// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow/array/array_base.h"
#include "arrow/type.h"
#include "core/format/json/lexer.h"
#include "core/format/json/values.h"

namespace fast_axolotl::json {

/// The values that one block's rows have under one key.
///
/// As long as they are of one simple kind, or lists of one, they are typed. From the
/// first value that is not, the column is carried as JSON text: every row's value is
/// then cut out of the block's text at the end.
class Column {
 public:
  enum class Use {
    kTyped,    // typed while it can be
    kDoubles,  // the same, integers being doubles where these hold them exactly
    kText,     // JSON text from the start
    kIgnore,   // values are checked and dropped
  };

  /// `text` is that of the block; Block::kPadding zero bytes follow it.
  Column(std::string name, int64_t first_row, Use use, std::string_view text)
      : name_(std::move(name)),
        text_(text),
        first_row_(first_row),
        use_(use),
        shape_(use == Use::kText ? Shape::kText : Shape::kFlat) {
    if (use != Use::kIgnore) spans_.reserve(kFirstValues);
  }

  const std::string& name() const { return name_; }
  /// The row this column was first seen in.
  int64_t first_row() const { return first_row_; }
  bool ignored() const { return use_ == Use::kIgnore; }

  /// Reads the value at `p` as that of `row`, in place of one the row already has: as in
  /// Python, the last of equal keys counts. Rows passed over are null. Returns the end of
  /// the value, or null.
  const char* Parse(const char* p, int64_t row, Fault* fault);

  /// Takes back `row` and all behind it.
  void Truncate(int64_t row);

  struct Finished {
    std::shared_ptr<arrow::Field> field;
    std::shared_ptr<arrow::Array> array;
  };
  /// Which of the rows `[0, rows)` have the key, be it with null.
  Result<std::shared_ptr<arrow::Array>> Presence(int64_t rows) const;

  /// The column for rows `[0, rows)`, once, as the last call. `classify`: if it is text
  /// only because integers and doubles meet in it, the field says so; this looks at every
  /// value again.
  Result<Finished> Finish(int64_t rows, bool classify = false);

 private:
  enum class Shape : uint8_t { kFlat, kList, kText };
  struct Span {
    uint32_t begin, end;  // in the block; equal for null, both 0 for a missing value
  };

  // The rows that show how much room the others will take.
  static constexpr int64_t kMeasured = 4;

  Status ReserveRest(const char* p);
  Status Pad(int64_t row);
  Status AddNull();
  const char* ParseTyped(const char* p, Fault* fault);
  const char* ParseList(const char* p, Fault* fault);
  const char* ParseScalar(const char* p, Values* values, Fault* fault);
  const char* ParseNumber(const char* p, Values* values, Fault* fault);
  const char* ParseString(const char* p, Values* values, Fault* fault);
  const char* ParseInt64s(const char* p, Status* status);
  std::shared_ptr<arrow::Field> TextField() const;
  const char* AsText(const char* p, Fault* fault);

  std::string name_;
  std::string_view text_;
  int64_t first_row_;
  Use use_;
  Shape shape_;
  int64_t rows_ = 0;
  Values values_;                   // the values, or the items of the lists
  std::vector<int32_t> list_ends_;  // of each list in values_
  std::vector<bool> list_valid_;
  std::vector<Span> spans_;
};

}  // namespace fast_axolotl::json
