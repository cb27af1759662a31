// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arrow/io/interfaces.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// A regular file on a local disk, as it was when the dataset was made.
struct File {
  std::string path;
  int64_t size = 0;
  /// When it was last written to, in nanoseconds since 1970. Without it the file may
  /// change, but not end before `size`.
  std::optional<int64_t> modified;
};

/// Bytes read from disk so far, shared by all files of one reader.
using ByteCounter = std::atomic<int64_t>;

/// Looks at `path`, following links. Anything but a regular file is refused: a pipe
/// cannot be opened twice, and sampling the schema needs that.
Result<File> StatFile(const std::string& path);

/// The same of many, on several threads; the error of the first that cannot be read.
Result<std::vector<File>> StatFiles(const std::vector<std::string>& paths);

/// All bytes of a small file, with the errors of OpenFile.
Result<std::shared_ptr<arrow::Buffer>> ReadWhole(const File& file);

/// Opens a file for `pread`: concurrent ReadAt calls are safe, nothing is mapped (a
/// mapped file that shrinks kills the process). A file whose size or time is not the one
/// of `file`, when it is opened or behind any read, is an IOError: what was read may be
/// neither the old bytes nor the new ones. Where the process has many files open, those
/// not read for the longest time are closed, and opened again when they are read; a file
/// that was replaced meanwhile is an IOError. `counter` may be null.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenFile(
    const File& file, std::shared_ptr<ByteCounter> counter);

/// Writes the rest of `stream` to an unlinked temporary file and opens that for
/// `pread`; errors name `path`, the file the bytes came from.
Result<std::shared_ptr<arrow::io::RandomAccessFile>> Spool(arrow::io::InputStream& stream,
                                                           const std::string& path);

}  // namespace fast_axolotl
