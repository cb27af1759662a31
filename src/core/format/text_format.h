// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "core/format/block_reader.h"
#include "core/format/format.h"

namespace fast_axolotl {

/// How one pass over a file that is read front to back turns it into rows.
struct TextPass {
  /// Splits the file into blocks.
  RowSplitter splitter;
  /// Makes the task that decodes a block. Called for the blocks in their order; the task
  /// may write into its block's text, not beyond.
  std::function<Result<std::function<Decoded()>>(Block)> task;
};

/// Starts a pass over a file.
using TextFormat = Result<TextPass> (*)(const Input&, const ReadOptions&);

/// Format::sample for such a format: the columns of the file's first 4 MiB. A fault in
/// there ends the sample; it is reported when the rows are read.
Result<Sample> SampleText(const Input& input, const ReadOptions& options,
                          TextFormat format);

/// Format::fragments for such a format: the whole file is one.
Result<std::vector<Fragment>> TextFragments(const Input& input,
                                            const ReadOptions& options,
                                            TextFormat format);

}  // namespace fast_axolotl
