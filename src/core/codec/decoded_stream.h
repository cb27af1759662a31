// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "arrow/io/interfaces.h"
#include "core/common/error.h"
#include "core/common/limits.h"

namespace fast_axolotl {

/// Compressed bytes at hand: a decoder moves `next` on as it takes them.
struct CompressedInput {
  const uint8_t* next = nullptr;
  int64_t available = 0;
};

/// What a codec supplies to read its bytes as a stream.
struct Decoder {
  /// Decodes from `input` into at most `room` bytes at `out`; returns how many it wrote.
  /// It takes input or writes output, or both, unless `input` is empty.
  /// A part (see Codec) ends with its call: the next one begins in another.
  std::function<Result<int64_t>(CompressedInput& input, uint8_t* out, int64_t room)> step;
  /// An error if the compressed bytes may not end where `step` has come to, which is
  /// anywhere but behind a whole part.
  std::function<Status()> end;
};

/// The stream that `decoder` makes of `raw`. A fault becomes an IOError that names
/// `path`, the codec and the compressed byte offset, after all bytes before it.
std::shared_ptr<arrow::io::InputStream> MakeDecodedStream(
    std::shared_ptr<arrow::io::InputStream> raw, Decoder decoder, std::string codec,
    std::string path);

/// Makes a stream of MakeDecodedStream refuse to decode more than `limits` allow; before
/// that, nothing is refused. `before`: the file's decoded bytes before the stream's
/// start.
void LimitDecoded(arrow::io::InputStream& stream, const Limits& limits, int64_t before);

/// Whether a stream has failed because of its limits.
bool LimitExceeded(const arrow::io::InputStream& stream);

/// The compressed bytes that a stream made by MakeDecodedStream has decoded so far; -1
/// for any other stream.
int64_t CompressedPosition(const arrow::io::InputStream& stream);

/// The compressed bytes up to the end of the last part that such a stream has decoded as
/// a whole, with what pads it; 0 where there is none yet.
int64_t WholeParts(const arrow::io::InputStream& stream);

}  // namespace fast_axolotl
