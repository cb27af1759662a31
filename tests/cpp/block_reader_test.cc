// SPDX-License-Identifier: Apache-2.0
#include "core/format/block_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/format/csv/tokenizer.h"
#include "core/format/json/splitter.h"
#include "streams.h"

namespace fast_axolotl {
namespace {

// What a pass over some text gave.
struct Pass {
  std::vector<std::string> rows;  // framed rows, else the blocks
  std::string text;               // of all blocks
  std::vector<int64_t> lines;     // at which blocks begin
  Status end;
};

Pass ReadAll(const std::string& text, RowSplitter splitter, int64_t most,
             size_t fails_at = TrickleStream::kNever) {
  BlockReader reader(std::make_shared<TrickleStream>(text, most, fails_at), "file",
                     std::move(splitter));
  Pass pass;
  std::vector<Block> kept;  // a block stays as it is while the reader goes on
  for (;;) {
    auto block = reader.Next();
    if (!block.ok()) {
      pass.end = block.status();
      break;
    }
    if (!*block) break;
    kept.push_back(std::move(**block));
  }
  for (const Block& block : kept) {
    EXPECT_EQ(block.line, std::count(pass.text.begin(), pass.text.end(), '\n'));
    EXPECT_EQ(std::string(block.begin + block.size, Block::kPadding),
              std::string(Block::kPadding, '\0'));
    pass.text += block.text();
    if (block.framing == Framing::kLines) {
      pass.rows.emplace_back(block.text());
      continue;
    }
    EXPECT_EQ(block.row, static_cast<int64_t>(pass.rows.size()));
    size_t begin = 0;
    for (uint32_t end : block.row_ends) {
      pass.rows.emplace_back(block.text().substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return pass;
}

// Reads of one byte, of a few, and of all at once.
constexpr int64_t kReads[] = {1, 7, int64_t{1} << 40};

TEST(BlockReader, GivesAllTextInWholeLines) {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += std::string(i % 97, 'x') + "\n";
  for (int64_t most : kReads) {
    const Pass pass = ReadAll(text, SplitLines, most);
    ASSERT_TRUE(pass.end.ok());
    EXPECT_EQ(pass.text, text);
    EXPECT_GT(pass.rows.size(), 1u);
    for (const std::string& block : pass.rows) EXPECT_TRUE(block.ends_with('\n'));
  }
}

TEST(BlockReader, ARowMayBeLongerThanABlock) {
  const std::string text = "a\n" + std::string(5 * BlockReader::kTarget, 'x') + "\nb";
  const Pass pass = ReadAll(text, SplitLines, int64_t{1} << 16);
  ASSERT_TRUE(pass.end.ok());
  EXPECT_EQ(pass.text, text);
}

TEST(BlockReader, SkipsAByteOrderMarkAndCountsIt) {
  for (int64_t most : kReads) {
    BlockReader reader(std::make_shared<TrickleStream>("\xEF\xBB\xBF"
                                                       "a\n",
                                                       most),
                       "file", SplitLines);
    auto block = reader.Next().ValueOrDie();
    ASSERT_TRUE(block);
    EXPECT_EQ(block->text(), "a\n");
    EXPECT_EQ(block->offset, 3);
    EXPECT_FALSE(reader.Next().ValueOrDie());
    EXPECT_FALSE(reader.Next().ValueOrDie());
  }
}

TEST(BlockReader, NothingIsNoBlock) {
  EXPECT_TRUE(ReadAll("", SplitLines, 1).rows.empty());
  EXPECT_TRUE(ReadAll("\xEF\xBB\xBF", SplitLines, 1).rows.empty());
}

// The rows before a fault come first; the part of a row at the fault is none.
TEST(BlockReader, AFaultComesAfterTheWholeRowsBeforeIt) {
  const std::string text = "one\ntwo\nthree\n";
  for (size_t fails_at = 0; fails_at <= text.size(); ++fails_at) {
    for (int64_t most : kReads) {
      const Pass pass = ReadAll(text, SplitLines, most, fails_at);
      EXPECT_EQ(pass.text, text.substr(0, text.rfind('\n', fails_at - 1) + 1)
                               .substr(0, fails_at ? std::string::npos : 0));
      EXPECT_TRUE(pass.end.IsIOError());
      EXPECT_EQ(pass.end.message(), "file: the disk is gone");
    }
  }
}

RowSplitter Json() { return json::MakeSplitter("file", /*may_be_object=*/true); }

using Rows = std::vector<std::string>;

TEST(JsonSplitter, FramesTheElementsOfAnArray) {
  const std::string text =
      "\n [ {\"a\": \"],[\\\"{\"}, [1, [2]] ,3,\"x,y\"\n,{\"b\":{\"c\":[]}} ] \n";
  const Rows rows = {" {\"a\": \"],[\\\"{\"}", " [1, [2]] ", "3", "\"x,y\"\n",
                     "{\"b\":{\"c\":[]}} "};
  for (int64_t most : kReads) {
    const Pass pass = ReadAll(text, Json(), most);
    ASSERT_TRUE(pass.end.ok()) << pass.end;
    EXPECT_EQ(pass.rows, rows);
    EXPECT_EQ(pass.text, text);
  }
}

TEST(JsonSplitter, AnArrayOfManyBlocks) {
  std::string text = "[";
  Rows rows;
  for (int i = 0; i < 60'000; ++i) {
    rows.push_back("{\"text\": \"" + std::string(i % 50, '}') + "\\\\\"}");
    text += (i ? "," : "") + rows.back();
  }
  text += "]";
  const Pass pass = ReadAll(text, Json(), 1000);
  ASSERT_TRUE(pass.end.ok()) << pass.end;
  EXPECT_EQ(pass.rows, rows);
}

TEST(JsonSplitter, EmptyArraysAndMissingElements) {
  for (int64_t most : kReads) {
    EXPECT_EQ(ReadAll("[]", Json(), most).rows, Rows{});
    EXPECT_EQ(ReadAll(" [ \n ] ", Json(), most).rows, Rows{});
    // The row's parser reports the empty ones.
    EXPECT_EQ(ReadAll("[1,]", Json(), most).rows, (Rows{"1", ""}));
    EXPECT_EQ(ReadAll("[,1]", Json(), most).rows, (Rows{"", "1"}));
  }
}

TEST(JsonSplitter, AnArrayMustEnd) {
  for (const char* text :
       {"[", "[1", "[1,", "[{\"a\": 1}, {\"a", "[\"]", "[1] 2", "[1]]"}) {
    for (int64_t most : kReads) {
      EXPECT_TRUE(ReadAll(text, Json(), most).end.IsIOError()) << text;
    }
  }
}

TEST(JsonSplitter, OneObjectOrLines) {
  for (int64_t most : kReads) {
    EXPECT_EQ(ReadAll("{\n\"a\": 1\n}\n", Json(), most).rows, Rows{"{\n\"a\": 1\n}\n"});
    const Pass lines = ReadAll("{\"a\": \"}{\"}\n{\n", Json(), most);
    EXPECT_EQ(lines.text, "{\"a\": \"}{\"}\n{\n");
    EXPECT_EQ(lines.rows[0].substr(0, 11), "{\"a\": \"}{\"}");
  }
}

TEST(JsonSplitter, NothingIsNoJsonFileButIsALinesFile) {
  for (const char* text : {"", " \n", "\xEF\xBB\xBF"}) {
    EXPECT_TRUE(ReadAll(text, Json(), 1).end.IsIOError());
    EXPECT_TRUE(ReadAll(text, json::MakeSplitter("file", false), 1).end.ok());
  }
}

TEST(CsvSplitter, CutsAtRowEndsOutsideQuotes) {
  std::string text;
  for (int i = 0; i < 30'000; ++i) {
    text += i % 3 == 0 ? "a,\"x\n\"\"\ny\"\n" : i % 3 == 1 ? "b,c\"d\r\n" : "\"e\",\n";
  }
  for (int64_t most : {int64_t{999}, int64_t{1} << 40}) {
    const Pass pass = ReadAll(text, csv::MakeSplitter(','), most);
    ASSERT_TRUE(pass.end.ok());
    EXPECT_EQ(pass.text, text);
    EXPECT_GT(pass.rows.size(), 1u);
    for (std::string block : pass.rows) {
      PaddedText padded(block);
      const auto size = static_cast<uint32_t>(padded.size());
      EXPECT_TRUE(csv::ReadRows(padded.begin(), 0, size, ',', 2).faults.empty());
    }
  }
}

}  // namespace
}  // namespace fast_axolotl
