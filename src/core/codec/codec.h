// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/io/interfaces.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// A place inside compressed data from which it can be decompressed.
struct RestartPoint {
  int64_t in = 0;       // compressed bytes before it
  int bits = 0;         // of the byte before `in` that are still to be read, 0 to 7
  int64_t out = 0;      // decompressed bytes before it
  uint32_t crc = 0;     // of the gzip member so far, and
  uint32_t member = 0;  // its decompressed length so far, modulo 2^32
  std::string window;   // what matches may refer to: up to 32 KiB before `out`
};

/// A compression that a whole file may be wrapped in.
struct Codec {
  std::string_view name;
  /// Suffixes that name it, the first one being the usual one.
  std::vector<std::string_view> suffixes;
  /// What each independent part of such a file begins with: a gzip member, a zstd frame.
  std::string_view part_magic;
  /// Whether a file that starts with `head` is of this codec.
  bool (*matches)(std::string_view head);
  /// The decompressed bytes of `raw`. Every byte before a fault is delivered, and none
  /// that may not be right (which costs gzip some hundred bytes before some faults); the
  /// read after it fails with an IOError that names `path` and the compressed byte
  /// offset.
  Result<std::shared_ptr<arrow::io::InputStream>> (*open)(
      std::shared_ptr<arrow::io::InputStream> raw, const std::string& path);
  /// The same, slower, noting the places where decompression can start again in `points`
  /// as they are passed: the start, and others at least 1 MiB of output apart.
  Result<std::shared_ptr<arrow::io::InputStream>> (*open_recording)(
      std::shared_ptr<arrow::io::InputStream> raw, const std::string& path,
      std::vector<RestartPoint>* points);
  /// The decompressed bytes from a point on. `raw` starts at its byte `point.in`, or one
  /// before where `point.bits` is not 0.
  Result<std::shared_ptr<arrow::io::InputStream>> (*open_at)(
      std::shared_ptr<arrow::io::InputStream> raw, const std::string& path,
      const RestartPoint& point);
};

/// Every codec there is. A new one is a source file and a line in this table.
std::span<const Codec> Codecs();

/// The codec that the first bytes of a file show, or null.
const Codec* CodecOfBytes(std::string_view head);

/// The codec that a file's name claims, or null; its suffix is cut off `name`.
const Codec* CodecOfName(std::string_view* name);

// The codecs of the table.
extern const Codec kGzip;
extern const Codec kZstd;

}  // namespace fast_axolotl
