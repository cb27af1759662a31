// SPDX-License-Identifier: Apache-2.0

// Conversions of slices, whose first row is not the first of their buffers: what a
// sanitizer must see.

#include "core/format/convert.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "arrow/api.h"
#include "arrow/json/from_string.h"
#include "core/format/to_json.h"

namespace fast_axolotl {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;
using TypePtr = std::shared_ptr<arrow::DataType>;

ArrayPtr Make(const TypePtr& type, const std::string& json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

// The rows of an array in a buffer of their own, with rows before and behind them.
ArrayPtr Sliced(const ArrayPtr& array) {
  const auto all = arrow::Concatenate({array, array, array}).ValueOrDie();
  return all->Slice(array->length(), array->length());
}

std::string Text(const arrow::Array& array) {
  std::string text;
  for (int64_t i = 0; i < array.length(); ++i) {
    EXPECT_TRUE(AppendJson(array, i, &text).ok());
    text += ' ';
  }
  return text;
}

void ExpectConverts(const ArrayPtr& array, const TypePtr& type) {
  for (const ArrayPtr& from : {array, Sliced(array)}) {
    const auto converted = ConvertArray(from, type, Change::kNone);
    ASSERT_TRUE(converted.ok()) << type->ToString() << ": " << converted.status();
    EXPECT_TRUE((*converted)->type()->Equals(*type));
    ASSERT_TRUE((*converted)->ValidateFull().ok()) << (*converted)->ValidateFull();
    EXPECT_EQ(Text(**converted), Text(*array)) << type->ToString();
  }
}

TEST(ConvertArray, KeepsTheValuesOfSlices) {
  const std::string rows = "[[1, null], null, [], [2, 3, 4]]";
  for (const auto& from :
       {arrow::list(arrow::int8()), arrow::large_list(arrow::int16()),
        arrow::list_view(arrow::int32()), arrow::large_list_view(arrow::uint8())}) {
    ExpectConverts(Make(from, rows), arrow::list(arrow::int64()));
    ExpectConverts(Make(from, rows), arrow::large_list(arrow::int64()));
  }
  const auto pairs =
      Make(arrow::fixed_size_list(arrow::int8(), 2), "[[1, 2], null, [3, null]]");
  ExpectConverts(pairs, arrow::fixed_size_list(arrow::int32(), 2));
  ExpectConverts(pairs, arrow::list(arrow::int32()));
  ExpectConverts(Make(arrow::list(arrow::int8()), "[[1, 2], null, [3, null]]"),
                 arrow::fixed_size_list(arrow::int64(), 2));
  const auto field = [](const TypePtr& type) {
    return arrow::struct_({arrow::field("a", type), arrow::field("b", arrow::utf8())});
  };
  ExpectConverts(Make(field(arrow::int8()), R"([{"a": 1, "b": "x"}, null, {"a": null}])"),
                 field(arrow::int64()));
  const auto words =
      Make(arrow::dictionary(arrow::int8(), arrow::utf8()), R"(["a", null, "b", "a"])");
  ExpectConverts(words, arrow::utf8());
  ExpectConverts(words, arrow::dictionary(arrow::int32(), arrow::utf8()));
  ExpectConverts(Make(arrow::utf8_view(), R"(["a", null, "more than twelve bytes"])"),
                 arrow::large_utf8());
}

TEST(ConvertArray, DecodesRunsOfASlice) {
  const auto runs =
      arrow::RunEndEncodedArray::Make(9, Make(arrow::int16(), "[2, 3, 9]"),
                                      Make(arrow::utf8_view(), R"(["a", null, "b"])"))
          .ValueOrDie();
  for (int64_t offset = 0; offset < 9; ++offset) {
    const auto slice = runs->Slice(offset, 9 - offset);
    const auto decoded = ConvertArray(slice, arrow::utf8(), Change::kNone);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(Text(**decoded), Text(*slice));
    EXPECT_TRUE((*decoded)->ValidateFull().ok());
  }
}

TEST(ConvertArray, LeavesOutWhatLiesUnderNulls) {
  // The null list has a value that does not fit.
  const auto items = Make(arrow::int64(), "[1, 1000, 2]");
  const auto valid = Make(arrow::boolean(), "[true, false, true]");
  const arrow::ListArray lists(arrow::list(arrow::int64()), 3,
                               Make(arrow::int32(), "[0, 1, 2, 3]")->data()->buffers[1],
                               items, valid->data()->buffers[1]);
  const auto converted = ConvertArray(arrow::MakeArray(lists.data()),
                                      arrow::list(arrow::int8()), Change::kNone);
  ASSERT_TRUE(converted.ok()) << converted.status();
  EXPECT_EQ(Text(**converted), "[1] null [2] ");
}

TEST(ConvertArray, RefusesAnotherKind) {
  const auto fails = [](const TypePtr& from, const std::string& rows, const TypePtr& to,
                        Change change) {
    return ConvertArray(Make(from, rows), to, change).status().IsInvalid();
  };
  for (const Change change : {Change::kNone, Change::kForm}) {
    EXPECT_TRUE(fails(arrow::boolean(), "[true]", arrow::int64(), change));
    EXPECT_TRUE(fails(arrow::int64(), "[1]", arrow::boolean(), change));
    EXPECT_TRUE(fails(arrow::utf8(), R"(["1"])", arrow::int64(), change));
    EXPECT_TRUE(fails(arrow::list(arrow::boolean()), "[[true]]",
                      arrow::list(arrow::int64()), change));
    EXPECT_TRUE(fails(arrow::list(arrow::utf8()), R"([["1"]])",
                      arrow::list(arrow::float64()), change));
    EXPECT_TRUE(fails(arrow::int64(), "[9007199254740993]", arrow::float64(), change));
    EXPECT_TRUE(fails(arrow::float64(), "[9223372036854775808]", arrow::int64(), change));
    EXPECT_TRUE(
        fails(arrow::float64(), "[18446744073709551616]", arrow::uint64(), change));
    EXPECT_TRUE(fails(arrow::float64(), "[-1]", arrow::uint64(), change));
    EXPECT_TRUE(fails(arrow::float64(), "[1e300]", arrow::float32(), change));
  }
  EXPECT_TRUE(fails(arrow::float64(), "[0.1]", arrow::float32(), Change::kNone));
  EXPECT_FALSE(fails(arrow::float64(), "[0.1]", arrow::float32(), Change::kForm));
  EXPECT_TRUE(fails(arrow::float64(), "[0.1]", arrow::float16(), Change::kNone));
  EXPECT_FALSE(fails(arrow::float64(), "[0.1]", arrow::float16(), Change::kForm));
  EXPECT_TRUE(fails(arrow::float64(), "[1e6]", arrow::float16(), Change::kForm));
  EXPECT_FALSE(fails(arrow::utf8(), R"(["1"])", arrow::int64(), Change::kParsed));
}

TEST(AppendJson, ReadsSlicesOfUnions) {
  const auto numbers = Make(arrow::int8(), "[1, 2, 3, null]");
  const auto texts = Make(arrow::utf8(), R"(["a", "b", null, "d"])");
  const auto types = Make(arrow::int8(), "[0, 1, 1, 0]");
  const auto sparse =
      arrow::SparseUnionArray::Make(*types, {numbers, texts}).ValueOrDie();
  const auto dense = arrow::DenseUnionArray::Make(
                         *types, *Make(arrow::int32(), "[1, 0, 2, 3]"), {numbers, texts})
                         .ValueOrDie();
  EXPECT_EQ(Text(*sparse), "1 \"b\" null null ");
  EXPECT_EQ(Text(*sparse->Slice(1)), "\"b\" null null ");
  EXPECT_EQ(Text(*dense), "2 \"a\" null null ");
  EXPECT_EQ(Text(*dense->Slice(1)), "\"a\" null null ");
  const auto nested = Make(arrow::list(arrow::struct_({arrow::field(
                               "k", arrow::fixed_size_list(arrow::float32(), 1))})),
                           R"([[{"k": [0.5]}], [], [{"k": null}, null]])");
  EXPECT_EQ(Text(*Sliced(nested)), R"([{"k": [0.5]}] [] [{"k": null}, null] )");
}

}  // namespace
}  // namespace fast_axolotl
