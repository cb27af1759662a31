// SPDX-License-Identifier: Apache-2.0
#include "core/format/json/column.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "arrow/array/array_nested.h"
#include "arrow/array/builder_binary.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/array/util.h"
#include "arrow/util/bit_util.h"
#include "core/common/memory.h"
#include "core/common/number.h"
#include "core/format/options.h"

namespace fast_axolotl::json {
namespace {

const char* OutOfMemory(const char* p, Fault* fault) {
  fault->out_of_memory = true;
  return fault->Set(p, "memory for the value");
}

inline uint64_t Load8(const char* p) {
  uint64_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

// How many of the eight characters of `word`, from its lowest byte on, are digits before
// the first that is none. No branch per digit, here and below, since the lengths of token
// ids cannot be predicted. After D. Lemire, "Quickly parsing eight digits" (2018), with
// the digits' count found by the same word-wide arithmetic.
inline int CountDigits(uint64_t word) {
  constexpr uint64_t kHigh = 0xF0F0F0F0F0F0F0F0u;
  const uint64_t other =
      ((word & kHigh) | (((word + 0x0606060606060606u) & kHigh) >> 4)) ^
      0x3333333333333333u;
  return other ? __builtin_ctzll(other) >> 3 : 8;
}

// The number that the first `count` characters of `word` write, 1 to 8 of them.
inline int64_t NumberOf(uint64_t word, int count) {
  word = (word << (8 * (8 - count))) & 0x0F0F0F0F0F0F0F0Fu;
  word = word * 10 + (word >> 8);
  return static_cast<int64_t>(
      (((word & 0x000000FF000000FFu) * 0x000F424000000064u) +
       (((word >> 16) & 0x000000FF000000FFu) * 0x0000271000000001u)) >>
      32);
}

bool IsInteger(const char* p) {
  if (*p == '-') ++p;
  if (!IsDigit(*p)) return false;
  while (IsDigit(*p)) ++p;
  return *p != '.' && *p != 'e' && *p != 'E';
}

// Whether a double, set here, holds exactly the integer that was read.
bool IsExactDouble(std::string_view digits, Number* number) {
  if (number->kind == Number::kInt64) {
    number->real = static_cast<double>(number->integer);
    return IsExact<double>(number->integer);
  }
  number->real = ToDouble(digits);
  char text[320];  // the largest double has 309 digits
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, number->real, std::chars_format::fixed, 0);
  return error == std::errc() && digits == std::string_view(text, end - text);
}

// Whether a value that was read is a number that is an int64 or a double.
bool IsPlainNumber(const char* p, const char* end) {
  if (!IsDigit(*p) && *p != '-' && *p != 'N' && *p != 'I') return false;
  if (*p == 'N' || *p == 'I') return true;
  Number number;
  Fault fault;
  return ScanNumber(p, &number, &fault) == end && number.kind != Number::kBigInt;
}

// Whether a list that was read holds such numbers and nulls only.
bool IsListOfNumbers(const char* p, const char* end) {
  p = SkipSpace(p + 1);
  while (p < end - 1) {
    Fault fault;
    const char* next = SkipValue(p, 1, &fault);
    if (!next || (*p != 'n' && !IsPlainNumber(p, next))) return false;
    p = SkipSpace(next);
    if (*p == ',') p = SkipSpace(p + 1);
  }
  return true;
}

}  // namespace

Status Column::Pad(int64_t row) {
  if (rows_ == row) return Status::OK();
  const int64_t missing = row - rows_;
  spans_.resize(row, Span{0, 0});
  rows_ = row;
  if (shape_ == Shape::kFlat) return values_.AppendNulls(missing);
  if (shape_ == Shape::kList) {
    list_ends_.resize(row, static_cast<int32_t>(values_.size()));
    list_valid_.resize(row, false);
  }
  return Status::OK();
}

// Room for what the rest of the text may hold if it is like the rows before `p`: growing
// step by step would copy what is there again and again. Room that is not used is given
// back at the end.
Status Column::ReserveRest(const char* p) {
  const auto done = static_cast<double>(p - text_.data());
  constexpr double kSlack = 1.125;
  const double more = kSlack * static_cast<double>(text_.size()) / done - 1;
  if (more <= 0) return Status::OK();
  const auto rows = static_cast<size_t>(static_cast<double>(rows_) * (more + 1));
  spans_.reserve(rows);
  if (shape_ == Shape::kText) return Status::OK();
  if (shape_ == Shape::kList) list_ends_.reserve(rows);
  return values_.ReserveMore(more);
}

void Column::Truncate(int64_t row) {
  // A list that a fault broke off has values, too, though it is no row.
  row = std::min(row, rows_);
  rows_ = row;
  if (use_ == Use::kIgnore) return;
  spans_.resize(row);
  if (shape_ == Shape::kFlat) {
    values_.Truncate(row);
  } else if (shape_ == Shape::kList) {
    list_ends_.resize(row);
    list_valid_.resize(row);
    values_.Truncate(row == 0 ? 0 : list_ends_[row - 1]);
  }
}

Status Column::AddNull() {
  if (shape_ == Shape::kFlat) return values_.AppendNulls(1);
  if (shape_ == Shape::kList) {
    list_ends_.push_back(static_cast<int32_t>(values_.size()));
    list_valid_.push_back(false);
  }
  return Status::OK();
}

const char* Column::AsText(const char* p, Fault* fault) {
  shape_ = Shape::kText;
  return SkipValue(p, 1, fault);
}

const char* Column::Parse(const char* p, int64_t row, Fault* fault) {
  if (use_ == Use::kIgnore) return SkipValue(p, 1, fault);
  if (rows_ > row) Truncate(row);
  if (row == kMeasured && rows_ == row && !ReserveRest(p).ok()) {
    return OutOfMemory(p, fault);
  }
  if (!Pad(row).ok()) return OutOfMemory(p, fault);
  const char* end;
  if (*p == 'n') {
    Literal literal;
    end = ScanLiteral(p, &literal, fault);
    if (!end) return nullptr;
    if (!AddNull().ok()) return OutOfMemory(p, fault);
    p = end;  // an empty span
  } else {
    end = shape_ == Shape::kText ? SkipValue(p, 1, fault) : ParseTyped(p, fault);
    if (!end) return nullptr;
  }
  spans_.push_back({static_cast<uint32_t>(p - text_.data()),
                    static_cast<uint32_t>(end - text_.data())});
  rows_ = row + 1;
  return end;
}

const char* Column::ParseTyped(const char* p, Fault* fault) {
  if (*p == '{') return AsText(p, fault);
  if (*p == '[') {
    if (fault->max_depth < 2) return fault->TooDeep(p);
    if (shape_ == Shape::kFlat) {
      if (values_.kind() != Kind::kNull) return AsText(p, fault);
      shape_ = Shape::kList;
      list_ends_.assign(rows_, 0);
      list_valid_.assign(rows_, false);
      values_.Truncate(0);
    }
    return ParseList(p, fault);
  }
  if (shape_ == Shape::kList) return AsText(p, fault);
  const char* end = ParseScalar(p, &values_, fault);
  return end || fault->at ? end : AsText(p, fault);
}

const char* Column::ParseList(const char* p, Fault* fault) {
  const char* const begin = p;
  const int64_t first = values_.size();
  p = SkipSpace(p + 1);
  while (*p != ']') {
    // The first number of a list says whether it is one of integers.
    if (use_ != Use::kDoubles && (IsDigit(*p) || *p == '-') &&
        (values_.kind() != Kind::kNull || IsInteger(p)) && values_.Takes(Kind::kInt64)) {
      Status status = values_.Become(Kind::kInt64);
      const char* rest = status.ok() ? ParseInt64s(p, &status) : p;
      if (!status.ok()) return OutOfMemory(p, fault);
      if (*rest == ']' && IsDigit(rest[-1])) {
        p = rest;
        break;
      }
      // Behind a comma, or at an item that is none of its own.
      p = SkipSpace(rest);
      if (*p == ']') return fault->Set(p, "a value after ','");
    }
    if (*p == 'n') {
      Literal literal;
      p = ScanLiteral(p, &literal, fault);
      if (!p) return nullptr;
      if (!values_.AppendNulls(1).ok()) return OutOfMemory(p, fault);
    } else {
      const char* end =
          *p == '[' || *p == '{' ? nullptr : ParseScalar(p, &values_, fault);
      if (!end) return fault->at ? nullptr : AsText(begin, fault);
      p = end;
    }
    p = SkipSpace(p);
    if (*p == ']') break;
    if (*p != ',') return fault->Set(p, "',' or ']' in an array");
    p = SkipSpace(p + 1);
    if (*p == ']') return fault->Set(p, "a value after ','");
  }
  if (values_.size() - first > std::numeric_limits<int32_t>::max() - first) {
    values_.Truncate(first);
    return AsText(begin, fault);
  }
  list_ends_.push_back(static_cast<int32_t>(values_.size()));
  list_valid_.push_back(true);
  return p + 1;
}

// Reads items as long as they are plain integers of up to six digits, the shape of token
// ids and labels, each with what separates it from the next. Stops at the first item that
// is something else, or at a bracket, which closes the list if a digit is before it.
const char* Column::ParseInt64s(const char* p, Status* status) {
  constexpr int64_t kRun = 256;
  constexpr int kMostDigits = 6;  // two more characters fit into a word
  for (;;) {
    auto room = values_.ReserveInt64s(kRun);
    if (!room.ok()) {
      *status = room.status();
      return p;
    }
    int64_t* out = *room;
    int64_t* const full = out + kRun;
    bool more = true;
    while (out < full) {
      const uint64_t word = Load8(p);
      const bool negative = (word & 0xFF) == '-';
      const uint64_t number = negative ? Load8(p + 1) : word;
      const int digits = CountDigits(number);
      more = false;
      if (digits == 0 || digits > kMostDigits) break;
      if ((number & 0xFF) == '0' && digits > 1) break;
      const int64_t value = NumberOf(number, digits);
      const int64_t item = negative ? -value : value;
      const uint64_t behind = number >> (8 * digits);
      int size = digits + negative;
      if ((behind & 0xFF) == ']') {
        *out++ = item;
        p += size;
        break;
      }
      // Blanks before the comma, a fraction, or a bracket behind the comma: the general
      // loop knows.
      if ((behind & 0xFF) != ',' || (behind >> 8 & 0xFF) == ']') break;
      size += (behind >> 8 & 0xFF) == ' ' ? 2 : 1;
      more = true;
      *out++ = item;
      p += size;
      // Masks and labels repeat one item again and again.
      if (size > 8) continue;
      const int unused = 8 * (8 - size);
      while (out < full && (Load8(p) ^ word) << unused == 0) {
        *out++ = item;
        p += size;
      }
    }
    *status = values_.CommitInt64s(out);
    if (!status->ok() || !more) return p;
  }
}

const char* Column::ParseScalar(const char* p, Values* values, Fault* fault) {
  if (*p == '"') return ParseString(p, values, fault);
  if (IsDigit(*p) || *p == '-') return ParseNumber(p, values, fault);
  Literal literal;
  const char* end = ScanLiteral(p, &literal, fault);
  if (!end) return nullptr;
  const bool boolean = literal == Literal::kTrue || literal == Literal::kFalse;
  const Kind kind = boolean ? Kind::kBool : Kind::kDouble;
  if (!values->Takes(kind)) return nullptr;
  if (!values->Become(kind).ok()) return OutOfMemory(p, fault);
  const Status status =
      boolean ? values->AppendBool(literal == Literal::kTrue)
              : values->AppendDouble(literal == Literal::kNaN
                                         ? std::numeric_limits<double>::quiet_NaN()
                                         : std::numeric_limits<double>::infinity());
  return status.ok() ? end : OutOfMemory(p, fault);
}

const char* Column::ParseNumber(const char* p, Values* values, Fault* fault) {
  Number number;
  const char* end = ScanNumber(p, &number, fault);
  if (!end) return nullptr;
  if (use_ == Use::kDoubles && number.kind != Number::kDouble) {
    if (!IsExactDouble({p, static_cast<size_t>(end - p)}, &number)) return nullptr;
    number.kind = Number::kDouble;
  }
  if (number.kind == Number::kBigInt) return nullptr;
  const bool integer = number.kind == Number::kInt64;
  const Kind kind = integer ? Kind::kInt64 : Kind::kDouble;
  if (!values->Takes(kind)) return nullptr;
  if (!values->Become(kind).ok()) return OutOfMemory(p, fault);
  const Status status =
      integer ? values->AppendInt64(number.integer) : values->AppendDouble(number.real);
  return status.ok() ? end : OutOfMemory(p, fault);
}

const char* Column::ParseString(const char* p, Values* values, Fault* fault) {
  StringToken token;
  const char* end = ScanString(p + 1, &token, fault);
  if (!end || !values->Takes(Kind::kString)) return nullptr;
  if (!values->Become(Kind::kString).ok()) return OutOfMemory(p, fault);
  if (!token.escaped) {
    return values->AppendString(token.raw()).ok() ? end : OutOfMemory(p, fault);
  }
  auto room = values->ReserveString(static_cast<int64_t>(token.raw().size()));
  if (!room.ok()) return OutOfMemory(p, fault);
  bool lone = false;
  char* stop = Unescape(token, *room, &lone, fault);
  // A lone surrogate has no UTF-8; such a column stays text, escapes and all.
  if (!stop || lone) return nullptr;
  return values->CommitString(stop).ok() ? end : OutOfMemory(p, fault);
}

// Says what the texts have in common: numbers, or lists of numbers, or nothing.
std::shared_ptr<arrow::Field> Column::TextField() const {
  bool numbers = use_ == Use::kTyped;
  bool lists = numbers;
  for (const Span& span : spans_) {
    if (span.begin == span.end) continue;
    const char* p = text_.data() + span.begin;
    const char* const end = text_.data() + span.end;
    const bool list = *p == '[';
    numbers = numbers && !list && IsPlainNumber(p, end);
    lists = lists && list && IsListOfNumbers(p, end);
    if (!numbers && !lists) return JsonField(name_);
  }
  return JsonNumberField(name_,
                         lists ? *arrow::list(arrow::float64()) : *arrow::float64());
}

Result<std::shared_ptr<arrow::Array>> Column::Presence(int64_t rows) const {
  arrow::BooleanBuilder builder;
  ARROW_RETURN_NOT_OK(builder.Reserve(rows));
  for (int64_t row = 0; row < rows; ++row) {
    // No value stands at the block's first byte, where its row begins.
    builder.UnsafeAppend(row < rows_ && spans_[row].end > 0);
  }
  return builder.Finish();
}

Result<Column::Finished> Column::Finish(int64_t rows, bool classify) {
  ARROW_RETURN_NOT_OK(Pad(rows));
  if (shape_ == Shape::kFlat) {
    spans_ = {};
    ARROW_ASSIGN_OR_RAISE(auto array, values_.Finish());
    return Finished{arrow::field(name_, array->type()), array};
  }
  if (shape_ == Shape::kList) {
    spans_ = {};
    ARROW_ASSIGN_OR_RAISE(auto items, values_.Finish());
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> offsets,
                          arrow::AllocateBuffer((rows + 1) * 4, BufferPool()));
    auto* out = offsets->mutable_data_as<int32_t>();
    out[0] = 0;
    std::copy(list_ends_.begin(), list_ends_.end(), out + 1);
    std::shared_ptr<arrow::Buffer> valid;
    const auto nulls = std::count(list_valid_.begin(), list_valid_.end(), false);
    if (nulls > 0) {
      ARROW_ASSIGN_OR_RAISE(valid, arrow::AllocateEmptyBitmap(rows));
      for (int64_t i = 0; i < rows; ++i) {
        if (list_valid_[i]) arrow::bit_util::SetBit(valid->mutable_data(), i);
      }
    }
    auto type = arrow::list(items->type());
    return Finished{
        arrow::field(name_, type),
        std::make_shared<arrow::ListArray>(type, rows, offsets, items, valid, nulls)};
  }
  arrow::StringBuilder builder(BufferPool());
  int64_t bytes = 0;
  for (const Span& span : spans_) bytes += span.end - span.begin;
  ARROW_RETURN_NOT_OK(builder.Reserve(rows));
  ARROW_RETURN_NOT_OK(builder.ReserveData(bytes));
  for (const Span& span : spans_) {
    if (span.begin == span.end) {
      builder.UnsafeAppendNull();
    } else {
      builder.UnsafeAppend(text_.data() + span.begin,
                           static_cast<int32_t>(span.end - span.begin));
    }
  }
  ARROW_ASSIGN_OR_RAISE(auto array, builder.Finish());
  return Finished{classify ? TextField() : JsonField(name_), array};
}

}  // namespace fast_axolotl::json
