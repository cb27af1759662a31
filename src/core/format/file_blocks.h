// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/codec/codec.h"
#include "core/format/block_reader.h"
#include "core/format/input.h"
#include "core/format/options.h"
#include "core/format/text_format.h"

namespace fast_axolotl {

/// The blocks of a whole text file; where bad rows are kept, those behind damaged parts,
/// too.
class FileBlocks {
 public:
  /// `points`: where restart points are noted; null for none.
  static Result<std::shared_ptr<FileBlocks>> Open(const Input& input,
                                                  const ReadOptions& options,
                                                  TextPass pass,
                                                  std::vector<RestartPoint>* points);

  const std::string& path() const { return input_.file.path; }
  const TextPass& pass() const { return pass_; }

  /// As BlockReader::Next.
  Result<std::optional<Block>> Next();

  /// After an error: goes on behind the damage, and says where, in the compressed file;
  /// -1 if that cannot be.
  Result<int64_t> GoOn(const Status& error);

 private:
  FileBlocks(const Input& input, const ReadOptions& options, TextPass pass,
             std::vector<RestartPoint>* points);

  Status AsRead(const Status& error) const;
  Status OpenAt(int64_t in, const BlockStart& start);
  void TakePoints();

  const Input input_;
  const ReadOptions options_;
  const TextPass pass_;
  std::vector<RestartPoint>* const points_;
  std::unique_ptr<std::vector<RestartPoint>> own_;
  std::shared_ptr<arrow::io::InputStream> stream_;
  std::unique_ptr<BlockReader> reader_;
  int64_t in_ = 0;   // compressed bytes before the stream
  int64_t out_ = 0;  // decompressed bytes that were read before it
  bool inside_line_ = false;
};

/// What a damaged part of a file means for what is behind it: `next` is from GoOn.
std::string WhatFollows(int64_t next);

}  // namespace fast_axolotl
