// SPDX-License-Identifier: Apache-2.0

// Detection: any bytes under any name are recognised, or refused in words; what is
// recognised can be sampled, indexed and read, or fails in words.

#include <iterator>
#include <memory>
#include <string>

#include "core/format/input.h"
#include "fuzz.h"

namespace fast_axolotl::fuzz {
namespace {

constexpr const char* kNames[] = {
    "a",           "a.jsonl",       "a.json",     "a.csv",     "a.tsv",
    "a.txt",       "a.parquet",     "a.arrow",    "a.feather", "a.ipc",
    "a.gz",        "a.jsonl.gz",    "a.json.zst", "a.csv.GZ",  "a.parquet.gz",
    "a.arrow.zst", "a.jsonl.gz.gz", ".jsonl",     "a.zst",     "a.jsonl.bak"};

void CheckNamed(const Status& status, const std::string& path) {
  FUZZ_CHECK(status.ok() || status.message().find(path) != std::string::npos,
             status.ToString());
}

}  // namespace
}  // namespace fast_axolotl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fast_axolotl;
  fuzz::Choices choices(data, size);
  const uint8_t name = choices.Byte();
  const uint8_t asked = choices.Byte();
  const std::string path =
      fuzz::WriteFile(fuzz::kNames[name % std::size(fuzz::kNames)], choices.rest());
  // Mostly none is asked for.
  const Format* format = asked % 32 < Formats().size() ? Formats()[asked % 32] : nullptr;
  const auto file = StatFile(path);
  FUZZ_CHECK(file.ok(), file.status().ToString());
  const auto input = DetectInput(*file, format);
  fuzz::CheckNamed(input.status(), path);
  if (!input.ok()) return 0;
  FUZZ_CHECK(!format || input->format == format, std::string(input->format->name));
  // libarrow's own parsers are for columnar.cc.
  if (input->format->matches) return 0;
  const auto sample = input->format->sample(*input, {});
  fuzz::CheckNamed(sample.status(), path);
  const fuzz::Pass whole = fuzz::ReadRows(*input, {});
  const auto index = input->format->index(*input, {});
  fuzz::CheckNamed(index.status(), path);
  if (!index.ok()) return 0;
  const fuzz::Pass indexed =
      fuzz::ReadRows(*input, {}, std::make_shared<const FileIndex>(*index));
  FUZZ_CHECK(indexed.rows.size() == whole.rows.size() && indexed.end.Equals(whole.end),
             indexed.Shown() + "\nand in one go\n" + whole.Shown());
  return 0;
}
