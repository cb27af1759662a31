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

/// A compression that a whole file may be wrapped in.
struct Codec {
  std::string_view name;
  /// Suffixes that name it, the first one being the usual one.
  std::vector<std::string_view> suffixes;
  /// Whether a file that starts with `head` is of this codec.
  bool (*matches)(std::string_view head);
  /// The decompressed bytes of `raw`. Every byte before a fault is delivered; the read
  /// after it fails with an IOError that names `path` and the compressed byte offset.
  Result<std::shared_ptr<arrow::io::InputStream>> (*open)(
      std::shared_ptr<arrow::io::InputStream> raw, const std::string& path);
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
