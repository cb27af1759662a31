// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/codec/codec.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/index/store.h"
#include "core/source/file.h"
#include "streams.h"

namespace fast_axolotl {
namespace {

// --- the encoding ---------------------------------------------------------------------

FileIndex SomeIndex() {
  FileIndex index;
  index.framing = Framing::kArray;
  index.from_start = true;
  index.parts = {{0, 100, 3, 0, 0}, {100, 250, 0, 3, 5}, {260, 400, 7, 3, 6}};
  index.fragments = {{0, 250, 3, 0, 0}, {260, 400, 7, 3, 6}};
  index.points = {{}, {99, 3, 200, 0xDEADBEEF, 200, std::string(32768, 'w')}};
  index.damages = {{3, "between the fragments"}};
  return index;
}

std::string Shown(const FileIndex& index) {
  std::string text =
      std::to_string(static_cast<int>(index.framing)) + std::to_string(index.from_start);
  const auto add = [&](const std::vector<Fragment>& fragments) {
    for (const Fragment& f : fragments) {
      for (const int64_t part : {f.begin, f.end, f.rows, f.row, f.line}) {
        text += ' ' + std::to_string(part);
      }
    }
    text += ';';
  };
  add(index.fragments);
  add(index.parts);
  for (const RestartPoint& point : index.points) {
    for (const int64_t part : {point.in, int64_t{point.bits}, point.out,
                               int64_t{point.crc}, int64_t{point.member}}) {
      text += ' ' + std::to_string(part);
    }
    text += point.window;
  }
  return text;
}

TEST(Index, ComesBackAsItWas) {
  for (const FileIndex& index : {SomeIndex(), FileIndex{}}) {
    const auto found = DecodeIndex(EncodeIndex(index, "key"), "key");
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(Shown(*found), Shown(index));
  }
}

TEST(Index, IsForOneKey) {
  const std::string bytes = EncodeIndex(SomeIndex(), "key");
  for (const char* key : {"", "ke", "key2", "yek"}) {
    EXPECT_TRUE(DecodeIndex(bytes, key).status().IsIOError());
  }
}

TEST(Index, EveryTruncationIsRefused) {
  const std::string bytes = EncodeIndex(SomeIndex(), "key");
  for (size_t size = 0; size < bytes.size(); ++size) {
    ASSERT_TRUE(DecodeIndex(bytes.substr(0, size), "key").status().IsIOError()) << size;
  }
  EXPECT_TRUE(DecodeIndex(bytes + '\0', "key").status().IsIOError());
}

TEST(Index, EveryFlippedBitIsRefused) {
  const std::string bytes = EncodeIndex(SomeIndex(), "key");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    ASSERT_TRUE(DecodeIndex(damaged, "key").status().IsIOError()) << bit;
  }
}

// The bytes of an index whose checksum fits whatever the body says.
std::string Packed(const std::string& body) {
  std::string packed(ZSTD_compressBound(body.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), body.data(), body.size(), 1));
  const auto checksum = static_cast<uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(packed.data()), packed.size()));
  const uint64_t size = body.size();
  std::string head = "FAXIDX03";
  head.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  head.append(reinterpret_cast<const char*>(&size), sizeof size);
  return head + packed;
}

std::string Body(const std::string& bytes) {
  std::string body(1 << 20, '\0');
  body.resize(
      ZSTD_decompress(body.data(), body.size(), bytes.data() + 20, bytes.size() - 20));
  return body;
}

TEST(Index, NothingLiesBetweenFragmentsButDamage) {
  FileIndex index = SomeIndex();
  EXPECT_TRUE(DecodeIndex(EncodeIndex(index, "key"), "key").ok());
  index.damages.clear();
  EXPECT_TRUE(DecodeIndex(EncodeIndex(index, "key"), "key").status().IsIOError());
}

TEST(Index, NoBodyCrashesBehindAChecksumThatFits) {
  FileIndex index = SomeIndex();
  index.points[1].window.resize(9);
  const std::string body = Body(EncodeIndex(index, "key"));
  ASSERT_TRUE(DecodeIndex(Packed(body), "key").ok());
  for (size_t size = 0; size < body.size(); ++size) {
    ASSERT_FALSE(DecodeIndex(Packed(body.substr(0, size)), "key").ok()) << size;
  }
  for (size_t at = 0; at < body.size(); ++at) {
    for (const int value : {0, 1, 0x7F, 0x80, 0xFF}) {
      std::string changed = body;
      changed[at] = static_cast<char>(value);
      const auto found = DecodeIndex(Packed(changed), "key");
      if (!found.ok()) continue;
      // What passes can be used: rows are where Narrow() looks for them.
      for (const Fragment& fragment : found->fragments) {
        if (fragment.rows > 0) found->Narrow(fragment, 0, fragment.rows);
      }
    }
  }
}

TEST(Index, OfLinesIsTheSameFromSeveralThreads) {
  // So long that it is shared.
  std::string text = "\n\n";
  for (int64_t row = 0; text.size() < (size_t{12} << 20); ++row) {
    text += std::string(static_cast<size_t>(row * 7919 % 3000), 'x') + '\n';
    if (row % 5 == 0) text += '\n';
  }
  const std::string path = testing::TempDir() + "fast_axolotl_lines.txt";
  std::ofstream(path, std::ios::binary) << text;
  const auto file = StatFile(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto input = DetectInput(*file, nullptr);
  ASSERT_TRUE(input.ok()) << input.status();
  ReadOptions options;
  const auto alone = input->format->index(*input, options);
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_GT(alone->fragments.size(), 10);
  for (const int threads : {2, 7}) {
    options.index_threads = threads;
    options.counter = std::make_shared<ByteCounter>(0);
    const auto shared = input->format->index(*input, options);
    ASSERT_TRUE(shared.ok()) << shared.status();
    EXPECT_EQ(Shown(*shared), Shown(*alone));
    EXPECT_EQ(*options.counter, file->size);  // not twice, as after a fault
  }
  std::remove(path.c_str());
}

// --- restart points -------------------------------------------------------------------

// Text that repeats itself at a distance which only a window reaches.
std::string Repeating(size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string period(20'000, '\0');
  for (char& c : period) c = static_cast<char>('a' + random() % 26);
  std::string text;
  text.reserve(size + period.size());
  while (text.size() < size) {
    text += period;
    text[text.size() - 1 - random() % 1000] = '\n';
  }
  text.resize(size);
  return text;
}

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
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

// Everything that a stream gives, in reads of `step`, and how it ended.
std::pair<std::string, Status> ReadAll(arrow::io::InputStream& stream, int64_t step) {
  std::string text;
  std::string part(static_cast<size_t>(step), '\0');
  for (;;) {
    auto got = stream.Read(step, part.data());
    if (!got.ok() || *got == 0) return {std::move(text), got.status()};
    text.append(part.data(), static_cast<size_t>(*got));
  }
}

std::vector<RestartPoint> PointsOf(const std::string& data, const std::string& text,
                                   int64_t most = 1 << 20, int64_t step = 1 << 20) {
  std::vector<RestartPoint> points;
  auto raw = std::make_shared<TrickleStream>(data, most);
  auto stream =
      CodecOfBytes(data)->open_recording(std::move(raw), "file", &points).ValueOrDie();
  const auto [found, end] = ReadAll(*stream, step);
  EXPECT_TRUE(end.ok()) << end;
  EXPECT_TRUE(found == text);
  EXPECT_FALSE(points.empty());
  return points;
}

std::pair<std::string, Status> ReadFrom(const std::string& data,
                                        const RestartPoint& point, int64_t most,
                                        int64_t step = 1 << 20) {
  const auto from = static_cast<size_t>(point.in - (point.bits > 0 ? 1 : 0));
  auto raw = std::make_shared<TrickleStream>(data.substr(from), most);
  auto stream = CodecOfBytes(data)->open_at(std::move(raw), "file", point).ValueOrDie();
  return ReadAll(*stream, step);
}

void ExpectTails(const std::string& data, const std::string& text,
                 const std::vector<RestartPoint>& points) {
  for (const RestartPoint& point : points) {
    for (const int64_t most : {int64_t{1}, int64_t{1} << 20}) {
      const auto [found, end] = ReadFrom(data, point, most);
      ASSERT_TRUE(end.ok()) << end;
      // Not EXPECT_EQ, which would print megabytes.
      ASSERT_TRUE(found == std::string_view(text).substr(static_cast<size_t>(point.out)));
    }
  }
}

TEST(RestartPoints, OfGzip) {
  const std::string text = Repeating(size_t{50} << 20, 1);
  const std::string data = Gzip(text);
  const auto points = PointsOf(data, text);
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0].out, 0);
  bool within_a_byte = false;
  for (size_t i = 1; i < points.size(); ++i) {
    EXPECT_GE(points[i].out - points[i - 1].out, int64_t{16} << 20);
    EXPECT_EQ(points[i].window,
              text.substr(static_cast<size_t>(points[i].out) - 32768, 32768));
    within_a_byte |= points[i].bits > 0;
  }
  EXPECT_TRUE(within_a_byte);
  ExpectTails(data, text, points);
  // A byte in, a byte out, up to where the first match of the window is long past.
  auto raw = std::make_shared<TrickleStream>(
      data.substr(static_cast<size_t>(points[1].in - (points[1].bits > 0 ? 1 : 0))), 1);
  auto stream = kGzip.open_at(std::move(raw), "file", points[1]).ValueOrDie();
  for (int64_t i = 0; i < 100'000; ++i) {
    char byte;
    ASSERT_EQ(*stream->Read(1, &byte), 1);
    ASSERT_EQ(byte, text[static_cast<size_t>(points[1].out + i)]) << i;
  }
}

TEST(RestartPoints, DoNotDependOnTheReads) {
  const std::string text = Repeating(size_t{20} << 20, 2);
  const std::string data = Gzip(text);
  const auto points = PointsOf(data, text);
  const auto trickled = PointsOf(data, text, 1, 999'983);
  ASSERT_EQ(points.size(), 2u);
  ASSERT_EQ(trickled.size(), points.size());
  EXPECT_EQ(trickled[1].in, points[1].in);
  EXPECT_EQ(trickled[1].bits, points[1].bits);
  EXPECT_EQ(trickled[1].out, points[1].out);
  EXPECT_EQ(trickled[1].crc, points[1].crc);
  EXPECT_EQ(trickled[1].window, points[1].window);
}

TEST(RestartPoints, InLaterMembersOfGzip) {
  const std::string first = Repeating(size_t{9} << 20, 3);
  const std::string second = Repeating(size_t{40} << 20, 4);
  const std::string text = first + second + first;
  const std::string data =
      Gzip(first) + Gzip("") + Gzip(second) + Gzip(first) + std::string(5, '\0');
  const auto points = PointsOf(data, text);
  ASSERT_GE(points.size(), 3u);
  EXPECT_EQ(points[1].member, points[1].out - static_cast<int64_t>(first.size()));
  ExpectTails(data, text, points);
}

TEST(RestartPoints, AtTheStartOfAMember) {
  // Members of 6 MiB: the third one's start is the first place far enough from the first.
  std::string text;
  std::string data;
  for (unsigned i = 0; i < 8; ++i) {
    const std::string part = Repeating(size_t{6} << 20, 5 + i);
    text += part;
    data += Gzip(part);
  }
  ExpectTails(data, text, PointsOf(data, text));
}

TEST(RestartPoints, KnowTheChecksumOfTheWholeMember) {
  const std::string text = Repeating(size_t{20} << 20, 20);
  const std::string data = Gzip(text);
  const auto points = PointsOf(data, text);
  ASSERT_EQ(points.size(), 2u);
  for (const size_t from_end : {1u, 4u, 5u, 8u}) {  // the length, the CRC-32
    std::string damaged = data;
    damaged[data.size() - from_end] ^= 1;
    EXPECT_TRUE(ReadFrom(damaged, points[1], 100).second.IsIOError()) << from_end;
  }
  for (const size_t cut : {1u, 8u, 9u, 1000u}) {
    const auto [found, end] = ReadFrom(data.substr(0, data.size() - cut), points[1], 100);
    EXPECT_TRUE(end.IsIOError()) << cut;
  }
}

TEST(RestartPoints, OfZstdFrames) {
  std::string text;
  std::string data;
  for (unsigned i = 0; i < 12; ++i) {
    const std::string part = Repeating(size_t{400} << 10, 30 + i);
    text += part;
    data += Zstd(part) + std::string("\x50\x2A\x4D\x18\x03\0\0\0abc", 11);
  }
  const auto points = PointsOf(data, text);
  ASSERT_EQ(points.size(), 4u);
  ExpectTails(data, text, points);
  // The end of the last frame is no place to begin at.
  EXPECT_EQ(PointsOf(Zstd(text), text).size(), 1u);
}

}  // namespace
}  // namespace fast_axolotl
