// SPDX-License-Identifier: Apache-2.0
#include "core/output/numbers.h"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "core/common/number.h"

namespace fast_axolotl {
namespace {

template <typename From, typename To>
constexpr bool AlwaysFits() {
  using Limits = std::numeric_limits<From>;
  if constexpr (std::floating_point<From>) {
    return std::floating_point<To> && sizeof(To) >= sizeof(From);
  } else if constexpr (std::floating_point<To>) {
    return Limits::digits <= std::numeric_limits<To>::digits;
  } else {
    return std::in_range<To>(Limits::min()) && std::in_range<To>(Limits::max());
  }
}

// Converts one value; what it returns is zero where the value fits. Without branches, and
// in bits as wide as the value, so that the loop over it can be vectorised.
template <typename From, typename To>
auto Convert(From value, To* out) {
  if constexpr (std::integral<From> && std::integral<To>) {
    using Bits = std::make_unsigned_t<From>;
    constexpr Bits kTop = static_cast<Bits>(Bits{1} << (sizeof(From) * 8 - 1));
    *out = static_cast<To>(value);
    auto lost = static_cast<Bits>(static_cast<Bits>(value) ^
                                  static_cast<Bits>(static_cast<From>(*out)));
    // Which is a sign on one side only.
    if constexpr (std::signed_integral<From> != std::signed_integral<To>) {
      lost = static_cast<Bits>(lost | (static_cast<Bits>(value) & kTop));
    }
    return lost;
  } else if constexpr (std::integral<From>) {
    *out = static_cast<To>(value);
    return !IsExact<To>(value);
  } else if constexpr (std::integral<To>) {
    // Powers of two, which a float holds exactly even where it does not hold the limits.
    constexpr From kBegin = static_cast<From>(std::numeric_limits<To>::min());
    constexpr From kEnd =
        From{2} * static_cast<From>(To{1} << (std::numeric_limits<To>::digits - 1));
    const bool in_range = value >= kBegin && value < kEnd;
    *out = static_cast<To>(in_range ? value : From{0});
    return !in_range || static_cast<From>(*out) != value;
  } else {
    *out = static_cast<To>(value);
    return std::isfinite(value) && !std::isfinite(*out);
  }
}

template <typename From, typename To>
int64_t Copy(const uint8_t* values, int64_t count, uint8_t* out) {
  const auto* from = reinterpret_cast<const From*>(values);
  auto* to = reinterpret_cast<To*>(out);
  if constexpr (std::same_as<From, To>) {
    if (count > 0) std::memcpy(to, from, static_cast<size_t>(count) * sizeof(From));
  } else if constexpr (AlwaysFits<From, To>()) {
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<To>(from[i]);
  } else {
    To ignored;
    decltype(Convert(From{}, &ignored)) lost{};
    for (int64_t i = 0; i < count; ++i) lost |= Convert(from[i], &to[i]);
    if (lost) {
      return std::find_if(from, from + count,
                          [&](From value) { return Convert(value, &ignored) != 0; }) -
             from;
    }
  }
  return -1;
}

template <typename T>
void Count(int64_t count, uint8_t* out) {
  auto* to = reinterpret_cast<T*>(out);
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(i);
}

template <typename T>
void FillWith(uint8_t* out, int64_t count, const void* bits) {
  T value;
  std::memcpy(&value, bits, sizeof(value));
  std::fill_n(reinterpret_cast<T*>(out), count, value);
}

Status NoNumber(const arrow::DataType& type) {
  return Status::TypeError(type.ToString(),
                           " is not supported: only integers, float and double are");
}

// Calls `body` with a value of the C++ type that stands for `type`.
template <typename Body>
auto WithType(const arrow::DataType& type, Body&& body) -> decltype(body(int64_t{})) {
  switch (type.id()) {
    case arrow::Type::INT8:
      return body(int8_t{});
    case arrow::Type::INT16:
      return body(int16_t{});
    case arrow::Type::INT32:
      return body(int32_t{});
    case arrow::Type::INT64:
      return body(int64_t{});
    case arrow::Type::UINT8:
      return body(uint8_t{});
    case arrow::Type::UINT16:
      return body(uint16_t{});
    case arrow::Type::UINT32:
      return body(uint32_t{});
    case arrow::Type::UINT64:
      return body(uint64_t{});
    case arrow::Type::FLOAT:
      return body(float{});
    case arrow::Type::DOUBLE:
      return body(double{});
    default:
      return NoNumber(type);
  }
}

// Like repr() in Python, except that integral values have no ".0".
std::string TextOf(double value) {
  char text[32];
  for (const int digits : {15, 16, 17}) {
    std::snprintf(text, sizeof(text), "%.*g", digits, value);
    if (std::strtod(text, nullptr) == value) break;
  }
  return text;
}

}  // namespace

Status CheckNumber(const arrow::DataType& type) {
  return WithType(type, [](auto) { return Status::OK(); });
}

Result<CopyNumbers> CopierOf(const arrow::DataType& from, const arrow::DataType& to) {
  return WithType(from, [&](auto source) -> Result<CopyNumbers> {
    return WithType(to, [](auto target) -> Result<CopyNumbers> {
      return &Copy<decltype(source), decltype(target)>;
    });
  });
}

Status DoesNotFit(const std::string& what, const arrow::DataType& from,
                  const uint8_t* value, const arrow::DataType& to) {
  return WithType(from, [&](auto number) {
    std::memcpy(&number, value, sizeof(number));
    std::string text;
    if constexpr (std::floating_point<decltype(number)>) {
      text = TextOf(number);
    } else {
      text = std::to_string(number);
    }
    return Status::Invalid(what, what.empty() ? "" : ": ", text, " does not fit into ",
                           to.ToString());
  });
}

Result<Filler> Filler::Make(Fill value, const arrow::DataType& type, const char* what) {
  return std::visit(
      [&](auto number) -> Result<Filler> {
        const auto& from = *arrow::CTypeTraits<decltype(number)>::type_singleton();
        const auto* bytes = reinterpret_cast<const uint8_t*>(&number);
        ARROW_ASSIGN_OR_RAISE(const CopyNumbers copy, CopierOf(from, type));
        Filler filler;
        filler.width_ = type.byte_width();
        if (copy(bytes, 1, reinterpret_cast<uint8_t*>(&filler.bits_)) >= 0) {
          return DoesNotFit(what, from, bytes, type);
        }
        return filler;
      },
      value);
}

void Filler::operator()(uint8_t* out, int64_t count) const {
  switch (width_) {
    case 1:
      return FillWith<uint8_t>(out, count, &bits_);
    case 2:
      return FillWith<uint16_t>(out, count, &bits_);
    case 4:
      return FillWith<uint32_t>(out, count, &bits_);
    default:
      return FillWith<uint64_t>(out, count, &bits_);
  }
}

Result<CountUp> CounterOf(const arrow::DataType& type, int64_t most) {
  ARROW_RETURN_NOT_OK(Filler::Make(most, type, "position"));
  return WithType(
      type, [](auto number) -> Result<CountUp> { return &Count<decltype(number)>; });
}

}  // namespace fast_axolotl
