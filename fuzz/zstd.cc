// SPDX-License-Identifier: Apache-2.0

// Zstandard: the same bytes in reads of any size.

#include "core/codec/codec.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fast_axolotl;
  fuzz::Choices choices(data, size);
  const fuzz::Steps steps(choices.Byte());
  fuzz::CheckCodec(kZstd, choices.rest(), steps);
  return 0;
}
