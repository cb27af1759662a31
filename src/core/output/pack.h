// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/output/sequences.h"

namespace fast_axolotl {

/// How sequences are put into rows of a fixed length.
struct PackOptions {
  enum class Strategy {
    kConcat,   // end to end; the border of a row cuts a sequence
    kBestFit,  // each whole, into the fullest row that has room for it
  };
  /// What becomes of a sequence that is longer than a row.
  enum class Long {
    kSplit,  // it becomes several sequences
    kCut,    // its end is left out
    kError,
  };

  int64_t length = 0;
  Strategy strategy = Strategy::kBestFit;
  Long too_long = Long::kSplit;
  Fill pad_token = 0;
  int64_t pad_label = -100;
  /// Put behind each sequence; its label is itself.
  std::optional<int64_t> eos_token = {};
  /// Instead of the label of each segment's first token.
  std::optional<int64_t> join_label = {};
};

/// A run of a sequence's tokens that stands in one packed row.
struct Segment {
  int64_t sequence = 0;
  int64_t begin = 0;  // in the sequence, an added eos token counted
  int64_t length = 0;
};

/// Where the tokens of some sequences go; depends on their lengths and the options only.
/// All counts of tokens include added eos tokens.
struct PackLayout {
  std::vector<Segment> segments;  // in the order of their places
  std::vector<int64_t> ends;      // of each packed row, in `segments`
  int64_t tokens = 0;             // that were placed
  int64_t cut = 0;                // sequences that lost their end
  int64_t split = 0;              // sequences that stand in several segments
  int64_t lost_tokens = 0;        // of sequences that were cut

  int64_t rows() const { return static_cast<int64_t>(ends.size()); }
};

/// Best fit takes the sequences by decreasing length, equal ones in their order, each
/// into the row with the least room left that suffices, the earlier of equal rows; rows
/// come out in the order in which they were begun. An empty sequence takes no place, nor
/// does an eos token behind it. What is too long is cut, split into rows' lengths and a
/// rest, or refused before that, with either strategy.
/// Invalid where `length` is below 1, and, with the sequence's number counted from 0,
/// where one is too long and that is an error.
Result<PackLayout> LayOut(std::span<const int64_t> lengths, const PackOptions& options);

/// The columns of packed rows, each (rows, length) but for `cu_seqlens`.
struct Packed {
  std::shared_ptr<arrow::Tensor> input_ids;
  std::shared_ptr<arrow::Tensor> labels;
  std::shared_ptr<arrow::Tensor> position_ids;  // from 0 in every segment, padding too
  std::shared_ptr<arrow::Tensor> sequence_ids;  // 1, 2, ... in each row; padding is 0
  /// Where segments begin in the rows laid end to end, and where the last one ends; the
  /// padding of a row counts as a segment. Of int32, for flash-attention's varlen calls.
  std::shared_ptr<arrow::Tensor> cu_seqlens;
  int64_t max_seqlen = 0;
};

/// Rows `[begin, end)` of a layout, as tensors of `type`. `labels` null: the labels are
/// the tokens. Invalid where a sequence's labels are not as many as its tokens, where a
/// value does not fit into `type` (see numbers.h) or the rows' places into int32, and
/// where the layout is one of other sequences.
Result<Packed> Pack(const Sequences& tokens, const Sequences* labels,
                    const PackLayout& layout, int64_t begin, int64_t end,
                    const PackOptions& options,
                    const std::shared_ptr<arrow::DataType>& type);

}  // namespace fast_axolotl
