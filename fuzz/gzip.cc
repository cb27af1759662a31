// SPDX-License-Identifier: Apache-2.0

// gzip: ISA-L and zlib agree, in reads of any size; and restart points that lie.

#include <zlib.h>

#include <optional>
#include <string>
#include <string_view>

#include "../tests/cpp/streams.h"
#include "core/codec/codec.h"
#include "fuzz.h"

namespace {

// What zlib makes of the data, given byte by byte, up to `limit` and a little more, if it
// ends at a match whose distance is wrong.
std::optional<std::string> InflatedToABadDistance(std::string_view data, size_t limit) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return std::nullopt;
  std::string text;
  std::string part(1 << 16, '\0');
  int code = Z_OK;
  for (const char& byte : data) {
    if (code == Z_STREAM_END) {
      if (byte == '\0') continue;
      inflateReset(&stream);
    }
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(&byte));
    stream.avail_in = 1;
    do {
      stream.next_out = reinterpret_cast<Bytef*>(part.data());
      stream.avail_out = static_cast<uInt>(part.size());
      code = inflate(&stream, Z_NO_FLUSH);
      text.append(part.data(), part.size() - stream.avail_out);
    } while (code == Z_OK && stream.avail_out == 0);
    if (text.size() > limit) break;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) break;
  }
  const std::string_view reason = code == Z_DATA_ERROR && stream.msg ? stream.msg : "";
  const bool distance =
      reason == "invalid distance too far back" || reason == "invalid distance code";
  inflateEnd(&stream);
  if (!distance) return std::nullopt;
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fast_axolotl;
  fuzz::Choices choices(data, size);
  const uint8_t kind = choices.Byte();
  const fuzz::Steps steps(choices.Byte());
  if (kind % 4 != 0) {
    const fuzz::Streamed whole = fuzz::CheckCodec(kGzip, choices.rest(), steps);
    const auto text = InflatedToABadDistance(choices.rest(), whole.text.size());
    FUZZ_CHECK(!text || std::string_view(*text).starts_with(whole.text),
               std::to_string(whole.text.size()) + " bytes, of which zlib finds " +
                   std::to_string(text->size()));
    return 0;
  }
  RestartPoint point;
  point.in = 1 + choices.Byte();
  point.bits = choices.Byte() % 8;
  point.crc = static_cast<uint32_t>(choices.Int64());
  point.member = choices.Byte();
  const std::string_view rest = choices.rest();
  const size_t window = std::min<size_t>(rest.size(), choices.Byte() * 129);
  point.window = rest.substr(0, window);
  const auto stream = kGzip.open_at(
      std::make_shared<TrickleStream>(std::string(rest.substr(window)), 100), "/file",
      point);
  fuzz::ReadStream(**stream, steps, 1000, 1 << 20);
  return 0;
}
