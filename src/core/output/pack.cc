// SPDX-License-Identifier: Apache-2.0
#include "core/output/pack.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "core/output/numbers.h"

namespace fast_axolotl {
namespace {

// Writes one of the two columns that hold what the sequences hold.
class Column {
 public:
  static Result<Column> Make(const Sequences& sequences, std::optional<int64_t> eos,
                             const arrow::DataType& type, const char* name) {
    Column column(sequences, type, name);
    ARROW_ASSIGN_OR_RAISE(column.copy_, CopierOf(*sequences.type, type));
    if (eos) {
      ARROW_ASSIGN_OR_RAISE(column.eos_, Filler::Make(*eos, type, "eos token"));
    }
    return column;
  }

  Status Write(const Segment& segment, uint8_t* out) const {
    const auto& row = sequences_.rows[segment.sequence];
    const int64_t own = std::min(segment.length, row.length - segment.begin);
    const uint8_t* values = row.values + segment.begin * width_;
    const int64_t failed = copy_(values, own, out);
    if (failed >= 0) {
      return DoesNotFit("sequence " + std::to_string(segment.sequence) + name_,
                        *sequences_.type, values + failed * width_, type_);
    }
    eos_(out + own * type_.byte_width(), segment.length - own);
    return Status::OK();
  }

 private:
  Column(const Sequences& sequences, const arrow::DataType& type, const char* name)
      : sequences_(sequences),
        type_(type),
        name_(name),
        width_(sequences.type->byte_width()) {}

  const Sequences& sequences_;
  const arrow::DataType& type_;
  const char* name_;
  int64_t width_;
  CopyNumbers copy_ = nullptr;
  Filler eos_;
};

// A layout of other sequences would read what lies behind them.
Status CheckSegments(std::span<const Segment> segments, const Sequences& tokens,
                     const Sequences* labels, bool eos) {
  if (labels != nullptr && labels->rows.size() != tokens.rows.size()) {
    return Status::Invalid(tokens.rows.size(), " sequences have labels for ",
                           labels->rows.size());
  }
  for (const Segment& segment : segments) {
    const size_t sequence = static_cast<size_t>(segment.sequence);
    if (sequence >= tokens.rows.size() || segment.begin < 0 || segment.length < 0 ||
        segment.begin > tokens.rows[sequence].length ||
        segment.length > tokens.rows[sequence].length + eos - segment.begin) {
      return Status::Invalid("the layout was made for other sequences");
    }
    if (labels != nullptr &&
        labels->rows[sequence].length != tokens.rows[sequence].length) {
      return Status::Invalid("sequence ", sequence, " has ", tokens.rows[sequence].length,
                             " tokens and ", labels->rows[sequence].length, " labels");
    }
  }
  return Status::OK();
}

Result<std::shared_ptr<arrow::Tensor>> Int32Tensor(const std::vector<int32_t>& values) {
  ARROW_ASSIGN_OR_RAISE(
      auto tensor, EmptyTensor(arrow::int32(), {static_cast<int64_t>(values.size())}));
  std::copy(values.begin(), values.end(),
            reinterpret_cast<int32_t*>(tensor->raw_mutable_data()));
  return tensor;
}

}  // namespace

Result<Packed> Pack(const Sequences& tokens, const Sequences* labels,
                    const PackLayout& layout, int64_t begin, int64_t end,
                    const PackOptions& options,
                    const std::shared_ptr<arrow::DataType>& type) {
  if (begin < 0 || begin > end || end > layout.rows()) {
    return Status::Invalid("no rows [", begin, ", ", end, ") in a layout of ",
                           layout.rows());
  }
  const int64_t length = options.length;
  if (end > begin && length > std::numeric_limits<int32_t>::max() / (end - begin)) {
    return Status::Invalid(end - begin, " rows of ", length,
                           " tokens are more than int32 can count in cu_seqlens");
  }
  int64_t next = begin == 0 ? 0 : layout.ends[begin - 1];
  const int64_t last = end == 0 ? 0 : layout.ends[end - 1];
  ARROW_RETURN_NOT_OK(CheckSegments(std::span(layout.segments).subspan(next, last - next),
                                    tokens, labels, options.eos_token.has_value()));

  ARROW_ASSIGN_OR_RAISE(const Column ids,
                        Column::Make(tokens, options.eos_token, *type, ""));
  ARROW_ASSIGN_OR_RAISE(const Column own_labels,
                        Column::Make(labels != nullptr ? *labels : tokens,
                                     options.eos_token, *type, ", label"));
  ARROW_ASSIGN_OR_RAISE(const Filler pad_token,
                        Filler::Make(options.pad_token, *type, "pad token"));
  ARROW_ASSIGN_OR_RAISE(const Filler pad_label,
                        Filler::Make(options.pad_label, *type, "label of the padding"));
  ARROW_ASSIGN_OR_RAISE(
      const Filler join_label,
      Filler::Make(options.join_label.value_or(0), *type, "label of a join"));
  ARROW_ASSIGN_OR_RAISE(const CountUp count, CounterOf(*type, length));

  Packed packed;
  for (auto* tensor :
       {&packed.input_ids, &packed.labels, &packed.position_ids, &packed.sequence_ids}) {
    ARROW_ASSIGN_OR_RAISE(*tensor, EmptyTensor(type, {end - begin, length}));
  }
  std::vector<int32_t> starts;
  starts.reserve(static_cast<size_t>(last - next + end - begin + 1));
  int64_t at = 0;  // in the rows laid end to end
  const auto place = [&](const std::shared_ptr<arrow::Tensor>& tensor) {
    return tensor->raw_mutable_data() + at * type->byte_width();
  };
  // What tokens and padding have in common: each is a segment.
  const auto advance = [&](int64_t segment_length, const Filler& id) {
    starts.push_back(static_cast<int32_t>(at));
    packed.max_seqlen = std::max(packed.max_seqlen, segment_length);
    count(segment_length, place(packed.position_ids));
    id(place(packed.sequence_ids), segment_length);
    at += segment_length;
  };
  for (int64_t row = begin; row < end; ++row) {
    const int64_t row_end = (row - begin + 1) * length;
    for (int64_t number = 1; next < layout.ends[row]; ++next, ++number) {
      const Segment& segment = layout.segments[next];
      if (segment.length > row_end - at) {
        return Status::Invalid("the layout was made for longer rows");
      }
      ARROW_RETURN_NOT_OK(ids.Write(segment, place(packed.input_ids)));
      ARROW_RETURN_NOT_OK(own_labels.Write(segment, place(packed.labels)));
      if (options.join_label) join_label(place(packed.labels), 1);
      ARROW_ASSIGN_OR_RAISE(const Filler id, Filler::Make(number, *type, "sequence"));
      advance(segment.length, id);
    }
    if (at == row_end) continue;
    pad_token(place(packed.input_ids), row_end - at);
    pad_label(place(packed.labels), row_end - at);
    ARROW_ASSIGN_OR_RAISE(const Filler none, Filler::Make(0, *type, "sequence"));
    advance(row_end - at, none);
  }
  starts.push_back(static_cast<int32_t>(at));
  ARROW_ASSIGN_OR_RAISE(packed.cu_seqlens, Int32Tensor(starts));
  return packed;
}

}  // namespace fast_axolotl
