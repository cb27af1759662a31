// SPDX-License-Identifier: Apache-2.0
#include "core/codec/codec.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include "streams.h"

namespace fast_axolotl {
namespace {

std::string Gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  out.resize(ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return out;
}

std::string Skippable() { return {"\x50\x2A\x4D\x18\x03\0\0\0abc", 11}; }

struct Decoded {
  std::string text;
  Status end;
};

// Reads in steps of `step` bytes what comes in reads of at most `most`.
Decoded Decode(const std::string& data, int64_t most, int64_t step,
               size_t fails_at = TrickleStream::kNever) {
  const Codec* codec = CodecOfBytes(data);
  auto raw = std::make_shared<TrickleStream>(data, most, fails_at);
  auto stream = codec->open(std::move(raw), "file").ValueOrDie();
  Decoded decoded;
  std::string part(static_cast<size_t>(step), '\0');
  for (;;) {
    auto got = stream->Read(step, part.data());
    decoded.end = got.status();
    if (!got.ok() || *got == 0) break;
    decoded.text.append(part.data(), static_cast<size_t>(*got));
  }
  // A fault stays one.
  EXPECT_EQ(stream->Read(step, part.data()).ok(), decoded.end.ok());
  return decoded;
}

struct Case {
  const char* name;
  std::string (*compress)(const std::string&);
};

class Codecs : public testing::TestWithParam<Case> {
 protected:
  static std::string Compress(const std::string& text) {
    return GetParam().compress(text);
  }
};

INSTANTIATE_TEST_SUITE_P(All, Codecs,
                         testing::Values(Case{"gzip", Gzip}, Case{"zstd", Zstd}),
                         [](const auto& tested) { return tested.param.name; });

std::string Words(size_t size) {
  std::mt19937 random(7);
  std::string text;
  while (text.size() < size) text += std::to_string(random() % 1000) + " words\n";
  return text;
}

TEST_P(Codecs, AnySizeOfReads) {
  const std::string text = Words(3000);
  for (int64_t most : {1, 7, 1 << 20}) {
    for (int64_t step : {1, 1000, 1 << 20}) {
      const Decoded decoded = Decode(Compress(text), most, step);
      ASSERT_TRUE(decoded.end.ok()) << decoded.end;
      EXPECT_EQ(decoded.text, text);
    }
  }
}

TEST_P(Codecs, AllMembers) {
  const std::string text = Words(500);
  std::string data = Compress("") + Compress(text) + Compress("") + Compress(text);
  if (GetParam().compress == Zstd) data = Skippable() + data + Skippable();
  if (GetParam().compress == Gzip) data += std::string(100, '\0');  // padding
  for (int64_t most : {1, 1 << 20}) {
    const Decoded decoded = Decode(data, most, 64);
    ASSERT_TRUE(decoded.end.ok()) << decoded.end;
    EXPECT_EQ(decoded.text, text + text);
  }
}

TEST_P(Codecs, EveryTruncationIsAFault) {
  const std::string text = Words(300);
  const std::string data = Compress(text);
  for (size_t size = 4; size < data.size(); ++size) {
    const Decoded decoded = Decode(data.substr(0, size), 16, 1 << 20);
    ASSERT_TRUE(decoded.end.IsIOError()) << size;
    EXPECT_TRUE(text.starts_with(decoded.text));
    EXPECT_TRUE(decoded.end.message().starts_with("file: ")) << decoded.end;
    EXPECT_EQ(decoded.end.message().find("file: ", 1), std::string::npos);
  }
}

TEST_P(Codecs, NoFlippedBitPasses) {
  const std::string text = Words(300);
  const std::string data = Compress(text);
  for (size_t bit = 32; bit < data.size() * 8; ++bit) {
    std::string damaged = data;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const Decoded decoded = Decode(damaged, 50, 1 << 20);
    EXPECT_TRUE(!decoded.end.ok() || decoded.text == text) << bit;
  }
}

// Rows before the damage are given, however much of it is read at a time.
TEST_P(Codecs, TheBytesBeforeAFaultDoNotDependOnTheReads) {
  for (const size_t size : {size_t{3000}, size_t{600'000}}) {
    const std::string text = Words(size);
    std::string damaged = Compress(text);
    damaged[damaged.size() * 3 / 4] ^= 0x55;
    const Decoded whole = Decode(damaged, 1 << 20, 1 << 20);
    EXPECT_TRUE(whole.end.IsIOError());
    EXPECT_TRUE(size < 5000 || whole.text.size() > size / 2);
    for (const int64_t step : {19, 1000, 70'000, 300'000}) {
      for (const int64_t most : {int64_t{100}, int64_t{1} << 20}) {
        const Decoded decoded = Decode(damaged, most, step);
        EXPECT_TRUE(decoded.text == whole.text)
            << decoded.text.size() << " for " << whole.text.size();
      }
    }
  }
}

TEST_P(Codecs, AFaultBelowComesAfterTheBytesBeforeIt) {
  const std::string text = Words(3000);
  const std::string data = Compress(text);
  const Decoded decoded = Decode(data, 100, 1000, data.size() / 2);
  EXPECT_EQ(decoded.end.message(), "the disk is gone");
  EXPECT_TRUE(text.starts_with(decoded.text));
}

// What zlib makes of one member, given byte by byte, if it ends at a match whose
// distance is wrong.
std::optional<std::string> InflatedToABadDistance(const std::string& data) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  std::string text(1 << 16, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  int code = Z_OK;
  for (size_t i = 0; i < data.size() && code == Z_OK; ++i) {
    stream.avail_in = 1;
    code = inflate(&stream, Z_NO_FLUSH);
  }
  const std::string_view reason = stream.msg ? stream.msg : "";
  const bool distance =
      reason == "invalid distance too far back" || reason == "invalid distance code";
  text.resize(stream.total_out);
  inflateEnd(&stream);
  if (!distance) return std::nullopt;
  return text;
}

// ISA-L counts such a match as output, whose bytes are whatever was in memory.
TEST(Gzip, NoByteComesThatIsNotThere) {
  const std::string data = Gzip(Words(2000));
  int tried = 0;
  for (size_t bit = 80; bit < data.size() * 8; ++bit) {
    std::string damaged = data;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const auto text = InflatedToABadDistance(damaged);
    if (!text) continue;
    ++tried;
    for (const int64_t step : {30, 1 << 20}) {
      const Decoded decoded = Decode(damaged, 1 << 20, step);
      EXPECT_TRUE(decoded.end.IsIOError());
      ASSERT_TRUE(text->starts_with(decoded.text))
          << bit << ": " << decoded.text.size() << " bytes for " << text->size();
      EXPECT_GE(decoded.text.size() + 258, text->size());
    }
  }
  EXPECT_GT(tried, 10);
}

TEST(Gzip, GarbageAfterTheLastMember) {
  for (const std::string& tail : {std::string("x"), std::string("\0x", 2)}) {
    const Decoded decoded = Decode(Gzip("hello") + tail, 1, 100);
    EXPECT_EQ(decoded.text, "hello");
    EXPECT_TRUE(decoded.end.IsIOError());
  }
}

TEST(Gzip, AWrongChecksum) {
  std::string data = Gzip("hello");
  data[data.size() - 6] ^= 1;
  for (int64_t most : {1, 1 << 20}) {
    const Decoded decoded = Decode(data, most, 100);
    EXPECT_NE(decoded.end.message().find("checksum"), std::string::npos) << decoded.end;
  }
}

TEST(CodecOfName, CutsItsSuffixOff) {
  std::string_view name = "a.jsonl.GZ";
  EXPECT_EQ(CodecOfName(&name), CodecOfBytes("\x1f\x8b"));
  EXPECT_EQ(name, "a.jsonl");
  EXPECT_EQ(CodecOfName(&name), nullptr);
  EXPECT_EQ(CodecOfBytes(""), nullptr);
}

}  // namespace
}  // namespace fast_axolotl
