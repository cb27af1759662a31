// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "core/codec/codec.h"
#include "core/common/error.h"
#include "core/common/limits.h"
#include "core/format/format.h"
#include "core/source/file.h"

namespace fast_axolotl {

/// A file and how to read it.
struct Input {
  File file;
  const Codec* codec = nullptr;  // null: plain
  const Format* format = nullptr;
  /// What the file may ask for.
  Limits limits;
  /// Files of up to so many bytes are read whole at the first look, for the one that
  /// opens the file next.
  static constexpr int64_t kSmallFile = int64_t{64} << 10;
  /// All of such a file; null of others, and where it was opened before.
  std::shared_ptr<arrow::Buffer> content;

  /// The file's bytes, decompressed, from the start.
  Result<std::shared_ptr<arrow::io::InputStream>> OpenStream(
      std::shared_ptr<ByteCounter> counter) const;

  /// Where, from byte `from` of the compressed file on, a part begins that can be
  /// decompressed by itself (see Codec), or -1. It is tried: as a whole, or its first
  /// 64 KiB.
  Result<int64_t> FindPart(int64_t from) const;

  /// The bytes decompressed from byte `in` of the compressed file on, where a part
  /// begins, noting restart points unless `points` is null.
  Result<std::shared_ptr<arrow::io::InputStream>> OpenPart(
      std::shared_ptr<ByteCounter> counter, int64_t in,
      std::vector<RestartPoint>* points) const;

  /// Bytes `[begin, end)` of the decompressed file, decompressing from the last of
  /// `points` that is not behind `begin`.
  Result<std::shared_ptr<arrow::io::InputStream>> OpenRange(
      std::shared_ptr<ByteCounter> counter, const std::vector<RestartPoint>& points,
      int64_t begin, int64_t end) const;

  /// The decompressed file with random access. Behind a codec that is a temporary file,
  /// made at the first call and kept as long as this input or a copy of it.
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenRandomAccess(
      std::shared_ptr<ByteCounter> counter) const;

 private:
  Result<std::shared_ptr<arrow::io::RandomAccessFile>> Open(
      std::shared_ptr<ByteCounter> counter) const;

  // Of an input and all its copies.
  struct Shared {
    std::atomic<bool> counted = false;  // the content, as bytes read
    std::timed_mutex mutex;             // guards what follows
    std::shared_ptr<arrow::io::RandomAccessFile> file;
    std::weak_ptr<ByteCounter> counted_by;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

/// Finds out how to read a file: the first bytes decide, then the name, unless `format`
/// is given, which stands above the name. An unknown format is Invalid (a ValueError);
/// bytes that contradict what they must be are an IOError.
Result<Input> DetectInput(const File& file, const Format* format);

/// What a name alone says: format (or null) and codec (or null).
struct NamedFormat {
  const Format* format = nullptr;
  const Codec* codec = nullptr;
};
NamedFormat FormatOfName(std::string_view name);

}  // namespace fast_axolotl
