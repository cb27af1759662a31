// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "arrow/array.h"
#include "core/format/json/column.h"
#include "core/format/options.h"
#include "core/format/schema.h"
#include "streams.h"

namespace fast_axolotl::json {
namespace {

// What a column made of the values of some rows, one row after another; "-" is a row
// without the key.
struct Made {
  std::string type;
  std::string values;  // as Arrow prints them, without blanks
};

Made Make(const std::vector<std::string>& rows, Column::Use use = Column::Use::kTyped) {
  std::string text;
  for (const std::string& row : rows) text += row + "\n";
  PaddedText padded(text);
  Column column("x", 0, use, padded.text());
  const char* p = padded.begin();
  for (size_t row = 0; row < rows.size(); ++row) {
    Fault fault;
    if (rows[row] != "-") {
      const char* end = column.Parse(p, static_cast<int64_t>(row), &fault);
      EXPECT_EQ(end, p + rows[row].size()) << rows[row];
    }
    p += rows[row].size() + 1;
  }
  auto finished = column.Finish(static_cast<int64_t>(rows.size()));
  EXPECT_TRUE(finished.ok()) << finished.status();
  EXPECT_TRUE(finished->array->ValidateFull().ok());
  Made made{TypeName(*finished->field), finished->array->ToString()};
  std::erase_if(made.values, [](char c) { return c == ' ' || c == '\n'; });
  return made;
}

void ExpectMade(const std::vector<std::string>& rows, const std::string& type,
                const std::string& values) {
  const Made made = Make(rows);
  EXPECT_EQ(made.type, type);
  EXPECT_EQ(made.values, values);
}

TEST(JsonColumn, OneKindIsTyped) {
  ExpectMade({"null", "-", "null"}, "null", "3nulls");
  ExpectMade({"1", "null", "-", "-12"}, "int64", "[1,null,null,-12]");
  ExpectMade({"-", "1.5", "1e2", "NaN"}, "float64", "[null,1.5,100,nan]");
  ExpectMade({"true", "false", "null"}, "bool", "[true,false,null]");
  ExpectMade({"null", "\"a\\t\"", "\"\""}, "string", "[null,\"a\t\",\"\"]");
}

TEST(JsonColumn, ListsOfOneKindAreTyped) {
  ExpectMade({"[1, 2]", "[]", "null", "-", "[12345678,null , 9]"}, "list<int64>",
             "[[1,2],[],null,null,[12345678,null,9]]");
  ExpectMade({"[]", "[\"a\"]"}, "list<string>", "[[],[\"a\"]]");
  ExpectMade({"[null]", "[1.5]"}, "list<float64>", "[[null],[1.5]]");
  ExpectMade({"[0.5, 2e3]", "[]"}, "list<float64>", "[[0.5,2000],[]]");
  ExpectMade({"[-Infinity, -1.5]"}, "list<float64>", "[[-inf,-1.5]]");
  ExpectMade({"[-0, -100]"}, "list<int64>", "[[0,-100]]");
}

TEST(JsonColumn, KindsThatMeetAreText) {
  for (const char* other :
       {"1.5", "\"a\"", "true", "{}", "[1]", "12345678901234567890"}) {
    const Made made = Make({"1", "null", other, "-"});
    EXPECT_EQ(made.type, "json") << other;
    EXPECT_TRUE(made.values.starts_with("[\"1\",null,")) << made.values;
  }
  EXPECT_EQ(Make({"[1]", "[1.5]"}).type, "json");
  EXPECT_EQ(Make({"[1]", "[[1]]"}).type, "json");
  EXPECT_EQ(Make({"\"\\ud800\""}).type, "json");
  EXPECT_EQ(Make({"1"}, Column::Use::kText).type, "json");
}

// A list that turns out not to be of one kind leaves nothing of itself behind.
TEST(JsonColumn, AHalfReadListIsTextToo) {
  const Made made = Make({"[1, 2, 3]", "[4, 5, \"x\"]", "[6]"});
  EXPECT_EQ(made.values, "[\"[1,2,3]\",\"[4,5,\"x\"]\",\"[6]\"]");
}

TEST(JsonColumn, TheLastOfEqualKeysCounts) {
  PaddedText text("1 \"a\" 2");
  Column column("x", 0, Column::Use::kTyped, text.text());
  Fault fault;
  ASSERT_TRUE(column.Parse(text.begin(), 0, &fault));
  ASSERT_TRUE(column.Parse(text.begin() + 6, 0, &fault));
  const auto finished = column.Finish(1).ValueOrDie();
  EXPECT_EQ(finished.array->ToString(), "[\n  2\n]");
}

// As token ids come: all lengths of numbers, in all layouts a writer may choose.
TEST(JsonColumn, IntegersInEveryLayout) {
  std::vector<std::string> numbers = {"0"};
  for (int digits = 1; digits <= 19; ++digits) {
    numbers.push_back(std::string(digits, '1'));
    numbers.push_back("-" + std::string(digits, '8').replace(0, 1, "1"));
  }
  for (const char* separator : {",", ", ", " ,", ",\n", ",  ", "\t,\r\n "}) {
    std::string list = "[";
    std::string expected = "[[";
    for (int i = 0; i < 3000; ++i) {
      const std::string& number = numbers[i % numbers.size()];
      list += (i ? separator : "") + number;
      expected += (i ? "," : "") + number;
    }
    PaddedText text(list + "]");
    Column column("x", 0, Column::Use::kTyped, text.text());
    Fault fault;
    ASSERT_EQ(column.Parse(text.begin(), 0, &fault), text.end());
    const auto finished = column.Finish(1).ValueOrDie();
    ASSERT_EQ(TypeName(*finished.field), "list<int64>");
    const auto& lists = static_cast<const arrow::ListArray&>(*finished.array);
    const auto& values = static_cast<const arrow::Int64Array&>(*lists.values());
    ASSERT_EQ(values.length(), 3000);
    for (int i = 0; i < 3000; ++i) {
      ASSERT_EQ(std::to_string(values.Value(i)), numbers[i % numbers.size()]);
    }
  }
}

// Masks and labels repeat one item; what follows it may begin as it does.
TEST(JsonColumn, IntegersThatRepeat) {
  for (const std::string separator : {",", ", "}) {
    for (const int count : {1, 2, 255, 256, 257, 600}) {
      for (const std::string item : {"1", "0", "-100", "1234", "-12345", "123456"}) {
        std::string begun = "[";
        for (int i = 0; i < count; ++i) begun += item + separator;
        for (const std::string last : {"0", "1", "12", "-1001", "12345", "1234567"}) {
          PaddedText text(begun + last + "]");
          Column column("x", 0, Column::Use::kTyped, text.text());
          Fault fault;
          ASSERT_EQ(column.Parse(text.begin(), 0, &fault), text.end()) << text.text();
          const auto finished = column.Finish(1).ValueOrDie();
          ASSERT_EQ(TypeName(*finished.field), "list<int64>");
          const auto& lists = static_cast<const arrow::ListArray&>(*finished.array);
          const auto& values = static_cast<const arrow::Int64Array&>(*lists.values());
          ASSERT_EQ(values.length(), count + 1);
          for (int i = 0; i < count; ++i) ASSERT_EQ(values.Value(i), std::stoll(item));
          ASSERT_EQ(values.Value(count), std::stoll(last));
        }
        // A comma that nothing follows is found behind any number of them.
        PaddedText broken(begun + "]");
        Column column("x", 0, Column::Use::kTyped, broken.text());
        Fault fault;
        ASSERT_EQ(column.Parse(broken.begin(), 0, &fault), nullptr);
        ASSERT_EQ(fault.at, broken.end() - 1);
      }
    }
  }
}

// Room is estimated from the first rows, which may be far shorter or longer than others.
TEST(JsonColumn, RowsOfAllLengths) {
  for (const bool long_first : {false, true}) {
    std::vector<std::string> rows;
    for (int row = 0; row < 40; ++row) {
      const int size = (row < 20) == long_first ? 5000 : 1;
      std::string list = "[";
      for (int i = 0; i < size; ++i) list += (i ? "," : "") + std::to_string(row * 7 + i);
      rows.push_back(list + "]");
    }
    std::string text;
    for (const std::string& row : rows) text += row + "\n";
    PaddedText padded(text);
    Column column("x", 0, Column::Use::kTyped, padded.text());
    Fault fault;
    const char* p = padded.begin();
    for (size_t row = 0; row < rows.size(); ++row) {
      p = column.Parse(p, static_cast<int64_t>(row), &fault) + 1;
    }
    const auto finished = column.Finish(static_cast<int64_t>(rows.size())).ValueOrDie();
    ASSERT_TRUE(finished.array->ValidateFull().ok());
    const auto& made = static_cast<const arrow::ListArray&>(*finished.array);
    const auto& values = static_cast<const arrow::Int64Array&>(*made.values());
    for (int64_t row = 0; row < made.length(); ++row) {
      ASSERT_EQ(made.value_length(row), (row < 20) == long_first ? 5000 : 1);
      for (int64_t i = 0; i < made.value_length(row); ++i) {
        ASSERT_EQ(values.Value(made.value_offset(row) + i), row * 7 + i);
      }
    }
  }
}

TEST(JsonColumn, BrokenValuesAreFaults) {
  for (const char* value : {"",
                            "[",
                            "[1",
                            "[1,",
                            "[1,]",
                            "[1, ]",
                            "[1,\n]",
                            "[,1]",
                            "[01]",
                            "[1 2]",
                            "[1.]",
                            "[1,,2]",
                            "[1}",
                            "\"",
                            "\"a",
                            "nul",
                            "[nul]",
                            "[null",
                            "{",
                            "{\"a\":}",
                            "-",
                            "[-]",
                            "[-01]",
                            "[1, -]",
                            "[1,1,]",
                            "[1, 1, ]",
                            "[1, 1,, 1]",
                            "[\"a\", \"\\x\"]",
                            "[1, \"\\x\"]",
                            "1.e5",
                            "[123456789012345678901234567890"}) {
    PaddedText text(value);
    Column column("x", 0, Column::Use::kTyped, text.text());
    Fault fault;
    const char* end = column.Parse(text.begin(), 0, &fault);
    EXPECT_EQ(end, nullptr) << value;
    EXPECT_NE(fault.at, nullptr) << value;
    // The column goes on as if the row had not been.
    column.Truncate(0);
    EXPECT_TRUE(column.Finish(1).ok());
  }
}

}  // namespace
}  // namespace fast_axolotl::json
