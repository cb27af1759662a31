// SPDX-License-Identifier: Apache-2.0
#include "core/format/schema.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "arrow/type.h"
#include "core/format/options.h"

namespace fast_axolotl {
namespace {

using Names = std::vector<std::string>;

TEST(UniqueNames, NumberRepeatedAndEmptyOnes) {
  EXPECT_EQ(UniqueNames({}), Names{});
  EXPECT_EQ(UniqueNames({"a", "b"}), (Names{"a", "b"}));
  EXPECT_EQ(UniqueNames({"a", "a", "a"}), (Names{"a", "a_1", "a_2"}));
  EXPECT_EQ(UniqueNames({"", "x", ""}), (Names{"column_0", "x", "column_2"}));
  // A name that the file has is not taken away from it.
  EXPECT_EQ(UniqueNames({"a", "a", "a_1"}), (Names{"a", "a_2", "a_1"}));
  EXPECT_EQ(UniqueNames({"", "column_0"}), (Names{"column_0_1", "column_0"}));
}

TEST(TypeNames, AreReadAsTheyAreWritten) {
  for (const auto& type :
       {arrow::null(),
        arrow::boolean(),
        arrow::int8(),
        arrow::uint64(),
        arrow::float16(),
        arrow::float32(),
        arrow::float64(),
        arrow::utf8(),
        arrow::large_utf8(),
        arrow::binary(),
        arrow::date32(),
        arrow::date64(),
        arrow::time32(arrow::TimeUnit::MILLI),
        arrow::time64(arrow::TimeUnit::NANO),
        arrow::duration(arrow::TimeUnit::SECOND),
        arrow::timestamp(arrow::TimeUnit::MICRO),
        arrow::timestamp(arrow::TimeUnit::NANO, "Europe/Berlin"),
        arrow::decimal128(10, 2),
        arrow::decimal256(50, -3),
        arrow::list(arrow::int64()),
        arrow::list(arrow::list(arrow::float64())),
        arrow::large_list(arrow::utf8()),
        arrow::struct_({arrow::field("a", arrow::int32()),
                        arrow::field("b c", arrow::list(arrow::utf8()))})}) {
    const std::string name = TypeName(*arrow::field("x", type));
    auto field = ParseField("x", name);
    ASSERT_TRUE(field.ok()) << name << ": " << field.status();
    EXPECT_TRUE((*field)->type()->Equals(*type)) << name;
  }
  EXPECT_EQ(TypeName(*arrow::field("x", arrow::list(arrow::float64()))), "list<float64>");
  EXPECT_TRUE(IsJsonField(*ParseField("x", "json").ValueOrDie()));
  EXPECT_EQ(TypeName(*JsonField("x")), "json");
}

TEST(TypeNames, OthersAreInvalid) {
  for (const char* name : {"",
                           " ",
                           "int65",
                           "int64 x",
                           "list",
                           "list<",
                           "list<int64",
                           "list<>",
                           "list<int64>>",
                           "timestamp",
                           "timestamp[]",
                           "timestamp[us",
                           "timestamp[us,",
                           "timestamp[week]",
                           "time32[us]",
                           "time64[s]",
                           "decimal128",
                           "decimal128(",
                           "decimal128(10",
                           "decimal128(10,)",
                           "decimal128(99, 0)",
                           "decimal128(99999999999, 0)",
                           "struct<>",
                           "struct<a>",
                           "struct<a: int64",
                           "json<int64>",
                           "date32[ms]"}) {
    EXPECT_TRUE(ParseField("x", name).status().IsInvalid()) << name;
  }
}

TEST(TypeNames, DeepNestingIsNoCrash) {
  std::string name;
  for (int i = 0; i < 100'000; ++i) name += "list<";
  EXPECT_TRUE(ParseField("x", name).status().IsInvalid());
}

std::string Widened(std::shared_ptr<arrow::Field> a, std::shared_ptr<arrow::Field> b,
                    Mixed mixed = Mixed::kJson) {
  const auto both =
      WidenSchema(*arrow::schema({std::move(a)}), *arrow::schema({std::move(b)}), mixed);
  return TypeName(*both->field(0));
}

TEST(WidenSchema, FindsTheCommonKind) {
  const auto of = [](std::shared_ptr<arrow::DataType> type) {
    return arrow::field("x", std::move(type));
  };
  EXPECT_EQ(Widened(of(arrow::null()), of(arrow::int64())), "int64");
  EXPECT_EQ(Widened(of(arrow::int64()), of(arrow::float64())), "float64");
  EXPECT_EQ(Widened(of(arrow::int64()), of(arrow::utf8())), "json");
  EXPECT_EQ(Widened(of(arrow::boolean()), of(arrow::int64())), "json");
  EXPECT_EQ(Widened(of(arrow::boolean()), of(arrow::int64()), Mixed::kString), "string");
  EXPECT_EQ(Widened(of(arrow::list(arrow::int64())), of(arrow::list(arrow::null()))),
            "list<int64>");
  EXPECT_EQ(Widened(of(arrow::list(arrow::int64())), of(arrow::int64())), "json");
  EXPECT_EQ(Widened(JsonField("x"), of(arrow::int64())), "json");
}

TEST(WidenSchema, FindsNoCommonTypeOfAnotherKind) {
  const auto json = [](std::shared_ptr<arrow::DataType> a,
                       std::shared_ptr<arrow::DataType> b) {
    const auto of = [](auto type) { return arrow::field("x", std::move(type)); };
    return Widened(of(a), of(b)) == "json" && Widened(of(b), of(a)) == "json";
  };
  EXPECT_TRUE(json(arrow::uint64(), arrow::int8()));
  EXPECT_TRUE(json(arrow::utf8(), arrow::binary()));
  EXPECT_TRUE(json(arrow::list(arrow::boolean()), arrow::list(arrow::int8())));
  EXPECT_TRUE(json(arrow::timestamp(arrow::TimeUnit::SECOND),
                   arrow::timestamp(arrow::TimeUnit::SECOND, "UTC")));
  EXPECT_TRUE(json(arrow::date32(), arrow::timestamp(arrow::TimeUnit::SECOND)));
  EXPECT_TRUE(json(arrow::decimal128(9, 2), arrow::decimal128(9, 3)));
  EXPECT_TRUE(json(arrow::map(arrow::utf8(), arrow::int8()), arrow::int8()));
}

TEST(WidenSchema, UnitesColumnsByNameInTheirOrder) {
  const auto a = arrow::schema(
      {arrow::field("x", arrow::int64()), arrow::field("y", arrow::utf8())});
  const auto b = arrow::schema(
      {arrow::field("z", arrow::utf8()), arrow::field("x", arrow::float64())});
  EXPECT_EQ(WidenSchema(*a, *b, Mixed::kJson)->field_names(), (Names{"x", "y", "z"}));
}

}  // namespace
}  // namespace fast_axolotl
