// SPDX-License-Identifier: Apache-2.0

// Parquet and Arrow: rows that are valid, or an error. libarrow's parsers are not built
// for the fuzzer, which only sees the code around them: lists, validation, errors.

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fast_axolotl;
  fuzz::Choices choices(data, size);
  const bool parquet = choices.Byte() % 2 == 0;
  const Input input =
      fuzz::MemoryInput(parquet ? kParquet : kArrow,
                        parquet ? "/file.parquet" : "/file.arrow", choices.rest());
  const auto sample = input.format->sample(input, {});
  FUZZ_CHECK(sample.ok() || sample.status().message().find("/file") == 0,
             sample.status().ToString());
  fuzz::ReadRows(input, {});
  const auto index = input.format->index(input, {});
  if (!index.ok()) return 0;
  fuzz::ReadRows(input, {}, std::make_shared<const FileIndex>(*index));
  return 0;
}
