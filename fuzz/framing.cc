// SPDX-License-Identifier: Apache-2.0

// Framing: the rows that splitters and the block reader find do not depend on the reads.

#include <algorithm>
#include <string>
#include <vector>

#include "../tests/cpp/streams.h"
#include "core/common/text.h"
#include "core/format/block_reader.h"
#include "core/format/csv/tokenizer.h"
#include "core/format/json/splitter.h"
#include "fuzz.h"

namespace fast_axolotl::fuzz {
namespace {

enum Kind { kLines, kJsonLines, kJsonFile, kCsvRows, kKinds };

RowSplitter MakeSplitter(Kind kind) {
  switch (kind) {
    case kJsonLines:
    case kJsonFile:
      return json::MakeSplitter("/file", kind == kJsonFile);
    case kCsvRows:
      return csv::MakeSplitter(',');
    default:
      return SplitLines;
  }
}

// Where the rows of some text end: from cuts that may hold several of them.
class Ends {
 public:
  Ends(Kind kind, std::string_view text) : kind_(kind), text_(text) {}

  void Add(size_t begin, const Cut& cut) {
    FUZZ_CHECK(begin == covered_, "a gap");
    covered_ += cut.end;
    if (cut.framing != Framing::kLines) {
      for (const uint32_t end : cut.row_ends) ends_.push_back(begin + end);
    } else if (kind_ == kCsvRows) {
      PaddedText copy(text_.substr(begin, cut.end), Block::kPadding);
      std::vector<uint32_t> begins;
      csv::RowBegins(copy.begin(), 0, static_cast<uint32_t>(cut.end), ',', 2, &begins);
      for (const uint32_t row : begins) ends_.push_back(begin + row);
    } else {
      const size_t end = begin + cut.end;
      FUZZ_CHECK(end == text_.size() || text_[end - 1] == '\n', "half a line");
    }
  }

  const std::vector<size_t>& ends() const { return ends_; }
  size_t covered() const { return covered_; }

 private:
  const Kind kind_;
  const std::string_view text_;
  std::vector<size_t> ends_;
  size_t covered_ = 0;
};

void CheckSplitter(Kind kind, std::string_view text, Steps steps) {
  Ends whole(kind, text);
  const Status whole_end =
      CutInSteps(text, MakeSplitter(kind), Steps(0), int64_t{1} << 40,
                 [&](size_t begin, const Cut& cut) { whole.Add(begin, cut); });
  Ends pieces(kind, text);
  const Status end =
      CutInSteps(text, MakeSplitter(kind), steps, 30,
                 [&](size_t begin, const Cut& cut) { pieces.Add(begin, cut); });
  FUZZ_CHECK(Said(end) == Said(whole_end), end.ToString() + "\n" + whole_end.ToString());
  FUZZ_CHECK(pieces.ends() == whole.ends(), std::to_string(pieces.ends().size()) +
                                                " rows, in one go " +
                                                std::to_string(whole.ends().size()));
  FUZZ_CHECK(
      !end.ok() || (whole.covered() == text.size() && pieces.covered() == text.size()),
      "text was left over");
}

// The text of all blocks, and the places they say they begin at. `fails_at`: where the
// stream fails.
void CheckBlocks(Kind kind, const std::string& text, size_t fails_at, int64_t most) {
  BlockReader reader(std::make_shared<TrickleStream>(text, most, fails_at), "/file",
                     MakeSplitter(kind),
                     {.count_lines = kind == kCsvRows ? CountLineEnds : CountNewlines});
  const bool mark = text.starts_with("\xEF\xBB\xBF");
  size_t at = mark && fails_at >= 3 ? 3 : 0;
  int64_t rows = 0;
  Status end;
  for (;;) {
    auto block = reader.Next();
    end = block.status();
    if (!block.ok() || !*block) break;
    FUZZ_CHECK((*block)->offset == static_cast<int64_t>(at), "a block's offset");
    FUZZ_CHECK((*block)->text() == std::string_view(text).substr(at, (*block)->size),
               "a block's text");
    FUZZ_CHECK((*block)->row == rows, "a block's first row");
    FUZZ_CHECK(std::all_of((*block)->begin + (*block)->size,
                           (*block)->begin + (*block)->size + Block::kPadding,
                           [](char c) { return c == '\0'; }),
               "no padding");
    rows += static_cast<int64_t>((*block)->row_ends.size());
    at += static_cast<size_t>((*block)->size);
    // Decoders write into their blocks.
    std::fill_n((*block)->begin, (*block)->size, '#');
  }
  FUZZ_CHECK(at <= std::min(text.size(), fails_at), "more than was read");
  if (fails_at <= text.size()) {
    FUZZ_CHECK(!end.ok(), "a fault was lost");
  } else {
    FUZZ_CHECK(!end.ok() || at == text.size() || text.empty(), "text was left over");
  }
}

}  // namespace
}  // namespace fast_axolotl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fast_axolotl;
  using namespace fast_axolotl::fuzz;
  Choices choices(data, size);
  const uint8_t choice = choices.Byte();
  const auto kind = static_cast<Kind>(choice % kKinds);
  const Steps steps(choices.Byte());
  const int64_t repeat = choice < 240 ? 1 : 1 + choices.Step() % 2000;
  const int64_t most = choices.Step() * (repeat > 1 ? 100 : 1);
  const auto fails_at = static_cast<size_t>(choices.Step() * repeat);
  const std::string_view text = choices.rest().substr(0, 8000);
  if (repeat == 1) CheckSplitter(kind, text, steps);
  // Several blocks only come of a long text.
  std::string many;
  for (int64_t i = 0; i < repeat && many.size() < 1'000'000; ++i) many += text;
  CheckBlocks(kind, many, choice & 16 ? fails_at : TrickleStream::kNever, most);
  return 0;
}
