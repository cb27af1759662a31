// SPDX-License-Identifier: Apache-2.0
#include "core/output/pad.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/output/numbers.h"
#include "core/output/sequences.h"
#include "sequences.h"

namespace fast_axolotl {
namespace {

template <typename T = int64_t>
std::vector<std::vector<T>> Padded(const Sequences& sequences, const PadShape& shape,
                                   Fill fill = 0) {
  const auto lengths = sequences.Lengths();
  auto tensor = Pad(sequences, fill, arrow::CTypeTraits<T>::type_singleton(),
                    PaddedLength(lengths, shape), shape);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return Rows<T>(**tensor);
}

std::string PadError(const Sequences& sequences,
                     const std::shared_ptr<arrow::DataType>& type, Fill fill = 0) {
  const auto lengths = sequences.Lengths();
  const auto tensor = Pad(sequences, fill, type, PaddedLength(lengths, {}), {});
  return tensor.ok() ? "" : tensor.status().message();
}

TEST(PadTest, BothSidesOfPaddingAndTruncation) {
  const auto rows = Make<int32_t>({{1, 2, 3}, {}, {4, 5}});
  EXPECT_EQ(Padded(rows, {}, 9), (Ints{{1, 2, 3}, {9, 9, 9}, {4, 5, 9}}));
  EXPECT_EQ(Padded(rows, {.padding = Side::kLeft}, 9),
            (Ints{{1, 2, 3}, {9, 9, 9}, {9, 4, 5}}));
  EXPECT_EQ(Padded(rows, {.max_length = 2}), (Ints{{1, 2}, {0, 0}, {4, 5}}));
  EXPECT_EQ(Padded(rows, {.max_length = 2, .truncation = Side::kLeft}),
            (Ints{{2, 3}, {0, 0}, {4, 5}}));
  // Rows are cut to max_length, although rounding up would leave them more room.
  EXPECT_EQ(Padded(rows, {.max_length = 2, .multiple_of = 4, .padding = Side::kLeft}),
            (Ints{{0, 0, 1, 2}, {0, 0, 0, 0}, {0, 0, 4, 5}}));
}

TEST(PadTest, LengthOfAllRows) {
  const std::vector<int64_t> lengths = {3, 0, 7};
  EXPECT_EQ(PaddedLength(lengths, {}), 7);
  EXPECT_EQ(PaddedLength(lengths, {.multiple_of = 8}), 8);
  EXPECT_EQ(PaddedLength(lengths, {.multiple_of = 7}), 7);
  EXPECT_EQ(PaddedLength(lengths, {.max_length = 5}), 5);
  EXPECT_EQ(PaddedLength(lengths, {.max_length = 9}), 7);
  EXPECT_EQ(PaddedLength(lengths, {.max_length = 9, .to_max_length = true}), 9);
  EXPECT_EQ(
      PaddedLength(lengths, {.max_length = 9, .multiple_of = 4, .to_max_length = true}),
      12);
  EXPECT_EQ(PaddedLength({}, {}), 0);
  EXPECT_EQ(PaddedLength({}, {.max_length = 9, .to_max_length = true}), 9);
}

TEST(PadTest, NoRowsAndNoValues) {
  EXPECT_EQ(Padded(Make<int64_t>({}), {}), Ints{});
  EXPECT_EQ(Padded(Make<int64_t>({{}, {}}), {}), (Ints{{}, {}}));
  EXPECT_EQ(Padded(Make<int64_t>({{1}}), {.max_length = 0}), (Ints{{}}));
}

TEST(PadTest, MasksAndPositions) {
  const std::vector<int64_t> lengths = {3, 0, 1};
  const PadShape left = {.max_length = 2, .padding = Side::kLeft};
  auto mask = AttentionMask(lengths, arrow::int8(), 3, left);
  ASSERT_TRUE(mask.ok());
  EXPECT_EQ(Rows<int8_t>(**mask),
            (std::vector<std::vector<int8_t>>{{0, 1, 1}, {0, 0, 0}, {0, 0, 1}}));
  auto positions = PositionIds(lengths, 7, arrow::int64(), 3, {});
  ASSERT_TRUE(positions.ok());
  EXPECT_EQ(Rows<int64_t>(**positions), (Ints{{0, 1, 2}, {7, 7, 7}, {0, 7, 7}}));
  const std::vector<int64_t> long_rows = {3, 128, 129};
  int64_t row = 0;
  EXPECT_FALSE(PositionIds(long_rows, 0, arrow::int8(), 129, {}, &row).ok());
  EXPECT_EQ(row, 2);
  // What is padding, or cut, needs no number.
  EXPECT_TRUE(PositionIds(lengths, 0, arrow::int8(), 500, {}).ok());
  EXPECT_TRUE(PositionIds(long_rows, 0, arrow::int8(), 129, {.max_length = 128}).ok());
}

TEST(PadTest, ErrorsNameRowAndValue) {
  EXPECT_EQ(PadError(Make<int64_t>({{1}, {2, 300}}), arrow::int8()),
            "row 1: 300 does not fit into int8");
  EXPECT_EQ(PadError(Make<double>({{1, 0.1}}), arrow::int32()),
            "row 0: 0.1 does not fit into int32");
  EXPECT_EQ(PadError(Make<double>({{1, 16777217.5}}), arrow::int32()),
            "row 0: 16777217.5 does not fit into int32");
  EXPECT_EQ(PadError(Make<int64_t>({{1}}), arrow::uint8(), -100),
            "fill value: -100 does not fit into uint8");
  EXPECT_EQ(PadError(Make<int64_t>({{1}}), arrow::int64(), 0.5),
            "fill value: 0.5 does not fit into int64");
  // What is cut does not count.
  EXPECT_EQ(Padded<int8_t>(Make<int64_t>({{1, 300}}), {.max_length = 1}),
            (std::vector<std::vector<int8_t>>{{1}}));
}

TEST(PadTest, RefusesHalfFloats) {
  Sequences halves = Make<uint16_t>({{1}});
  halves.type = arrow::float16();
  const auto lengths = halves.Lengths();
  EXPECT_TRUE(Pad(halves, 0, arrow::float32(), 1, {}).status().IsTypeError());
  EXPECT_TRUE(
      Pad(Make<int64_t>({{1}}), 0, arrow::float16(), 1, {}).status().IsTypeError());
  EXPECT_TRUE(EmptyTensor(arrow::utf8(), {1}).status().IsTypeError());
}

TEST(PadTest, RefusesTensorsBeyondMemory) {
  EXPECT_TRUE(EmptyTensor(arrow::int64(), {int64_t{1} << 40, int64_t{1} << 40})
                  .status()
                  .IsOutOfMemory());
}

// --- which values fit -----------------------------------------------------------------

// Whether Pad takes the value, and makes the same value of it, at every place of a row
// that is long enough for vectorised loops.
template <typename To, typename From>
bool Takes(From value) {
  bool all = true;
  bool any = false;
  for (size_t at = 0; at < 35; at += 17) {
    std::vector<From> row(35, From{1});
    row[at] = value;
    const auto tensor =
        Pad(Make<From>({row}), 0, arrow::CTypeTraits<To>::type_singleton(), 35, {});
    if (tensor.ok()) {
      const To got = Rows<To>(**tensor)[0][at];
      EXPECT_TRUE(static_cast<From>(got) == value || value != value) << value;
      EXPECT_EQ(Rows<To>(**tensor)[0][(at + 1) % 35], To{1});
    }
    all &= tensor.ok();
    any |= tensor.ok();
  }
  EXPECT_EQ(all, any) << value;
  return all;
}

template <typename T>
constexpr T kMin = std::numeric_limits<T>::min();
template <typename T>
constexpr T kMax = std::numeric_limits<T>::max();

TEST(NumbersTest, IntegersFitWhereTheyAreInRange) {
  EXPECT_TRUE(Takes<int32_t>(int64_t{kMax<int32_t>}));
  EXPECT_TRUE(Takes<int32_t>(int64_t{kMin<int32_t>}));
  EXPECT_FALSE(Takes<int32_t>(int64_t{kMax<int32_t>} + 1));
  EXPECT_FALSE(Takes<int32_t>(int64_t{kMin<int32_t>} - 1));
  EXPECT_FALSE(Takes<uint64_t>(int64_t{-1}));
  EXPECT_FALSE(Takes<uint32_t>(int64_t{-1}));
  EXPECT_FALSE(Takes<uint64_t>(int8_t{-1}));
  EXPECT_TRUE(Takes<uint32_t>(int64_t{kMax<uint32_t>}));
  EXPECT_TRUE(Takes<int64_t>(static_cast<uint64_t>(kMax<int64_t>)));
  EXPECT_FALSE(Takes<int64_t>(uint64_t{1} << 63));
  // These would look like negative numbers when cut.
  EXPECT_FALSE(Takes<int32_t>(kMax<uint64_t>));
  EXPECT_FALSE(Takes<int8_t>(uint8_t{128}));
  EXPECT_TRUE(Takes<int8_t>(uint8_t{127}));
  EXPECT_TRUE(Takes<int64_t>(kMin<int8_t>));
  EXPECT_TRUE(Takes<int64_t>(kMax<uint32_t>));
}

TEST(NumbersTest, IntegersFitIntoFloatsWhereTheyAreExact) {
  EXPECT_TRUE(Takes<double>(int64_t{1} << 53));
  EXPECT_FALSE(Takes<double>((int64_t{1} << 53) + 1));
  EXPECT_TRUE(Takes<double>((int64_t{1} << 53) + 2));
  EXPECT_FALSE(Takes<double>(-(int64_t{1} << 53) - 1));
  EXPECT_TRUE(Takes<double>(kMin<int64_t>));
  EXPECT_FALSE(Takes<double>(kMax<uint64_t>));
  EXPECT_TRUE(Takes<double>(uint64_t{1} << 63));
  EXPECT_TRUE(Takes<float>(int32_t{1} << 24));
  EXPECT_FALSE(Takes<float>((int32_t{1} << 24) + 1));
  EXPECT_TRUE(Takes<float>(kMin<int32_t>));
  EXPECT_TRUE(Takes<float>(kMax<uint16_t>));
  EXPECT_TRUE(Takes<double>(kMax<uint32_t>));
}

TEST(NumbersTest, FloatsFitIntoIntegersWhereTheyAreIntegral) {
  EXPECT_TRUE(Takes<int64_t>(-3.0));
  EXPECT_TRUE(Takes<int64_t>(-0.0));
  EXPECT_FALSE(Takes<int64_t>(0.5));
  EXPECT_FALSE(Takes<int64_t>(0x1p63));
  EXPECT_TRUE(Takes<int64_t>(-0x1p63));
  EXPECT_TRUE(Takes<int64_t>(0x1p63 - 1024));
  EXPECT_TRUE(Takes<uint64_t>(0x1p63));
  EXPECT_FALSE(Takes<uint64_t>(0x1p64));
  EXPECT_FALSE(Takes<uint8_t>(-1.0));
  EXPECT_TRUE(Takes<uint8_t>(255.0F));
  EXPECT_FALSE(Takes<uint8_t>(256.0F));
  EXPECT_FALSE(Takes<int8_t>(-128.5));
  EXPECT_FALSE(Takes<int32_t>(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(Takes<int32_t>(-std::numeric_limits<float>::infinity()));
}

TEST(NumbersTest, DoublesBecomeTheNearestFloat) {
  const auto nearest = Padded<float>(
      Make<double>({{0.1, 1e-60, std::numeric_limits<double>::infinity()}}), {});
  EXPECT_EQ(nearest[0],
            (std::vector<float>{0.1F, 0.0F, std::numeric_limits<float>::infinity()}));
  EXPECT_TRUE(Takes<float>(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(Takes<float>(1e300));
  EXPECT_FALSE(Takes<float>(-1e300));
  EXPECT_EQ(Padded<float>(Make<double>({{1}, {}}), {}, 0.1)[1][0], 0.1F);
}

}  // namespace
}  // namespace fast_axolotl
