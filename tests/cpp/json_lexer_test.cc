// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/format/json/lexer.h"
#include "streams.h"

namespace fast_axolotl::json {
namespace {

// Whether the text is one value and nothing else.
bool IsValue(std::string_view text) {
  PaddedText padded(text);
  Fault fault;
  const char* end = SkipValue(SkipSpace(padded.begin()), 0, &fault);
  EXPECT_TRUE(end || fault.expected);
  return end && SkipSpace(end) == padded.end();
}

TEST(JsonLexer, TakesWhatPythonTakes) {
  for (const char* text : {"0",
                           "-0",
                           "12",
                           "-1.5e+300",
                           "1E5",
                           "0.25",
                           "12345678901234567890123",
                           "NaN",
                           "Infinity",
                           "-Infinity",
                           "null",
                           "true",
                           "false",
                           "\"\"",
                           "\"a\\u00e9\\n\\/\"",
                           "\"\\ud800\"",
                           "[]",
                           "[ ]",
                           "{}",
                           "[1, [2, {\"a\": [null]}]]",
                           " {\"a\" : 1 } ",
                           "{\"a\":1,\"a\":2}"}) {
    EXPECT_TRUE(IsValue(text)) << text;
  }
}

TEST(JsonLexer, RefusesWhatPythonRefuses) {
  for (const char* text :
       {"",      "01",     "-",       "+1",        "1.",          ".5",
        "1e",    "1e+",    "-Inf",    "-NaN",      "nul",         "True",
        "\"",    "\"\\",   "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"a\tb\"",
        "[",     "[1",     "[1,",     "[1,]",      "[,1]",        "[1 2]",
        "{",     "{\"a\"", "{\"a\":", "{\"a\":1",  "{\"a\":1,}",  "{a:1}",
        "{1:1}", "'a'",    "[1}",     "{\"a\":1]", "1 2",         "nullnull"}) {
    EXPECT_FALSE(IsValue(text)) << text;
  }
}

// Every value cut anywhere is a fault, found without a look behind the padding.
TEST(JsonLexer, StopsAtTheEndOfTheText) {
  const std::string text =
      R"({"a\"b": [1, -2.5e-3, "\u00e9\ud83d\ude00 \\", null, true, {"x": {}}], "": NaN})";
  ASSERT_TRUE(IsValue(text));
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(IsValue(text.substr(0, size))) << size;
  }
}

TEST(JsonLexer, NestingIsLimited) {
  const auto nested = [](int depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(IsValue(nested(kMaxDepth)));
  EXPECT_FALSE(IsValue(nested(kMaxDepth + 1)));
  EXPECT_FALSE(IsValue(std::string(1 << 20, '[')));
}

TEST(JsonLexer, StringsOfEveryLength) {
  for (size_t size = 0; size < 70; ++size) {
    for (size_t at = 0; at <= size; ++at) {
      std::string text(size, 'x');
      text.insert(at, "\\n");
      PaddedText padded("\"" + text + "\"");
      StringToken token;
      Fault fault;
      ASSERT_EQ(ScanString(padded.begin() + 1, &token, &fault), padded.end());
      EXPECT_TRUE(token.escaped);
      EXPECT_EQ(token.raw(), text);
    }
  }
}

std::string Unescaped(std::string_view inside, bool* lone) {
  PaddedText padded(std::string(inside) + "\"");
  StringToken token;
  Fault fault;
  EXPECT_NE(ScanString(padded.begin(), &token, &fault), nullptr);
  std::string out(token.raw().size(), '\0');
  *lone = false;
  char* end = Unescape(token, out.data(), lone, &fault);
  if (!end) return "fault: " + std::string(fault.expected);
  out.resize(end - out.data());
  return out;
}

TEST(JsonLexer, Unescapes) {
  bool lone = false;
  EXPECT_EQ(Unescaped(R"(a\"\\\/\b\f\n\r\tz)", &lone), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(Unescaped(R"(\u0041\u00e9\u20AC)", &lone), "A\u00e9\u20ac");
  EXPECT_EQ(Unescaped(R"(\ud83d\ude00)", &lone), "\xF0\x9F\x98\x80");
  EXPECT_FALSE(lone);
  EXPECT_EQ(Unescaped(R"(\ud83d)", &lone), "\xED\xA0\xBD");
  EXPECT_TRUE(lone);
  EXPECT_EQ(Unescaped(R"(\ude00\ud83d)", &lone), "\xED\xB8\x80\xED\xA0\xBD");
  EXPECT_TRUE(lone);
  EXPECT_EQ(Unescaped(R"(\ud83d\u0041)", &lone),
            "\xED\xA0\xBD"
            "A");
  EXPECT_TRUE(lone);
  EXPECT_EQ(Unescaped(R"(\u12)", &lone), "fault: four hexadecimal digits after \\u");
  EXPECT_EQ(Unescaped(R"(\q)", &lone), "fault: a valid escape");
}

Number Scanned(std::string_view text) {
  PaddedText padded(text);
  Number number;
  Fault fault;
  EXPECT_EQ(ScanNumber(padded.begin(), &number, &fault), padded.end()) << text;
  return number;
}

TEST(JsonLexer, Numbers) {
  EXPECT_EQ(Scanned("9223372036854775807").integer, INT64_MAX);
  EXPECT_EQ(Scanned("-9223372036854775808").integer, INT64_MIN);
  EXPECT_EQ(Scanned("9223372036854775808").kind, Number::kBigInt);
  EXPECT_EQ(Scanned("-9223372036854775809").kind, Number::kBigInt);
  EXPECT_EQ(Scanned("999999999999999999").integer, 999999999999999999);
  EXPECT_EQ(Scanned("-0").kind, Number::kInt64);
  const Number zero = Scanned("-0.0");
  EXPECT_EQ(zero.kind, Number::kDouble);
  EXPECT_TRUE(std::signbit(zero.real));
  EXPECT_EQ(Scanned("1e400").real, HUGE_VAL);
  EXPECT_EQ(Scanned("-1e400").real, -HUGE_VAL);
  EXPECT_EQ(Scanned("1e-400").real, 0.0);
  EXPECT_EQ(Scanned("0.1").real, 0.1);
  EXPECT_EQ(Scanned("-Infinity").real, -HUGE_VAL);
}

}  // namespace
}  // namespace fast_axolotl::json
