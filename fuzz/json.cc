// SPDX-License-Identifier: Apache-2.0

// JSON: values by themselves, and rows of a file in one go and in pieces.

#include "../tests/cpp/streams.h"
#include "core/common/text.h"
#include "core/format/json/column.h"
#include "core/format/json/splitter.h"
#include "fuzz.h"

namespace fast_axolotl::fuzz {
namespace {

// A value is good for every kind of column or for none, and ends at the same place.
void CheckValue(std::string_view text) {
  using json::Column;
  PaddedText padded(text, Block::kPadding);
  json::Fault fault;
  const char* const end =
      json::SkipValue(json::SkipSpace(padded.begin()), /*depth=*/1, &fault);
  FUZZ_CHECK(end || (fault.expected && fault.at <= padded.end()), "a fault's place");
  FUZZ_CHECK(!end || end <= padded.end(), "a value's end");
  for (const auto use : {Column::Use::kTyped, Column::Use::kDoubles, Column::Use::kText,
                         Column::Use::kIgnore}) {
    Column column("x", 0, use, padded.text());
    json::Fault other;
    const char* const parsed = column.Parse(json::SkipSpace(padded.begin()), 0, &other);
    FUZZ_CHECK(parsed == end, std::string("of use ") +
                                  std::to_string(static_cast<int>(use)) + ": " +
                                  (parsed ? "good" : other.expected));
    if (!parsed || use == Column::Use::kIgnore) continue;
    const auto finished = column.Finish(1, true);
    FUZZ_CHECK(finished.ok() && finished->array->ValidateFull().ok(),
               finished.status().ToString());
  }
}

RowSplitter SplitterOf(Framing framing) {
  return framing == Framing::kArray ? json::MakeArraySplitter("/file", true) : SplitLines;
}

}  // namespace
}  // namespace fast_axolotl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fast_axolotl;
  const fuzz::TextInput in(fuzz::Choices(data, size));
  const uint8_t kind = in.kind;
  if (kind % 4 == 0) {
    // The lexer's caller has checked this.
    if (ValidUtf8Prefix(in.text) == in.text.size()) fuzz::CheckValue(in.text);
    return 0;
  }
  const bool lines = kind % 2 == 1;
  const Input input = fuzz::MemoryInput(lines ? kJsonl : kJson,
                                        lines ? "/file.jsonl" : "/file.json", in.text);
  ReadOptions options;
  options.keep_bad_rows = in.goes_on();
  const fuzz::Pass typed = fuzz::ReadRows(input, options);
  const auto sample = input.format->sample(input, options);
  if (!sample.ok()) return 0;
  const ReadOptions stable = fuzz::StableOptions(options, *sample->schema, true);
  // What kind of column a value lands in decides on no row.
  const fuzz::Pass texts = fuzz::ReadRows(input, stable);
  FUZZ_CHECK(texts.rows.size() == typed.rows.size() && texts.end.Equals(typed.end),
             typed.Shown() + "\nas text\n" + texts.Shown());
  fuzz::CheckCuts(input, stable, fuzz::SplitterOf, CountNewlines, in.steps());
  return 0;
}
