// SPDX-License-Identifier: Apache-2.0
#include "core/output/pack_unit.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "core/common/memory.h"
#include "core/common/stop.h"
#include "core/common/text.h"
#include "core/output/numbers.h"

namespace fast_axolotl {
namespace {

// The parts' tensors one behind the other.
Result<std::shared_ptr<arrow::Tensor>> JoinRows(
    std::span<const Packed> parts, std::shared_ptr<arrow::Tensor> Packed::* column) {
  const auto& first = *(parts[0].*column);
  int64_t rows = 0;
  for (const Packed& part : parts) rows += (part.*column)->shape()[0];
  ARROW_ASSIGN_OR_RAISE(auto joined, EmptyTensor(first.type(), {rows, first.shape()[1]}));
  uint8_t* out = joined->raw_mutable_data();
  for (const Packed& part : parts) {
    const arrow::Buffer& bytes = *(part.*column)->data();
    if (bytes.size() > 0) std::memcpy(out, bytes.data(), bytes.size());
    out += bytes.size();
  }
  return joined;
}

// The lengths of the rows of a plan's units in the order in which they come.
class UnitLengths {
 public:
  UnitLengths(const Plan& plan, const DatasetIndex& index, const RowLengths& lengths)
      : plan_(plan), index_(index), lengths_(lengths) {}

  void Read(int64_t lane, int64_t unit, std::vector<int64_t>* out) {
    const PlanOptions& options = plan_.options();
    const int64_t begin = unit * options.batch_size;
    const int64_t end = std::min(begin + options.batch_size, plan_.LaneRows(lane));
    out->clear();
    if (!options.shuffle) {
      Append(lane, begin, end, out);
      return;
    }
    for (int64_t row = begin; row < end; ++row) {
      const int64_t window = row / options.window;
      if (lane != lane_ || window != window_) {
        lane_ = lane;
        window_ = window;
        order_ = plan_.WindowOrder(lane, window);
        held_.clear();
        const int64_t first = window * options.window;
        Append(lane, first, first + static_cast<int64_t>(order_.size()), &held_);
      }
      out->push_back(held_[order_[row - window * options.window]]);
    }
  }

 private:
  void Append(int64_t lane, int64_t begin, int64_t end, std::vector<int64_t>* out) const {
    for (const FragmentSlice& slice : plan_.Slices(lane, begin, end)) {
      const DatasetIndex::Entry& entry = index_.entries()[slice.fragment];
      const auto rows = lengths_.files[entry.file].begin() + entry.fragment.row;
      out->insert(out->end(), rows + slice.begin, rows + slice.end);
    }
  }

  const Plan& plan_;
  const DatasetIndex& index_;
  const RowLengths& lengths_;
  int64_t lane_ = -1;
  int64_t window_ = -1;
  std::vector<uint32_t> order_;  // of that window
  std::vector<int64_t> held_;    // the lengths of its rows
};

// The longest sequence that is no error.
int64_t Longest(const PackOptions& options) {
  if (options.too_long != PackOptions::Long::kError) {
    return std::numeric_limits<int64_t>::max();
  }
  return options.length - (options.eos_token ? 1 : 0);
}

Status TooLong(int64_t length, const PackOptions& options) {
  return Status::Invalid("a sequence of ", length, " tokens is longer than the ",
                         Longest(options),
                         " that fit into a packed row; too_long=\"split\" or \"cut\" "
                         "takes it");
}

// Packing must not come upon a value that it cannot place.
Status CheckFits(const Sequences& sequences, const arrow::DataType& type, int64_t* row) {
  if (sequences.type->Equals(type)) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const CopyNumbers copy, CopierOf(*sequences.type, type));
  std::vector<uint8_t> scratch;
  for (size_t i = 0; i < sequences.rows.size(); ++i) {
    const auto& [values, length] = sequences.rows[i];
    scratch.resize(std::max<size_t>(scratch.size(), length * type.byte_width()));
    const int64_t failed = copy(values, length, scratch.data());
    if (failed < 0) continue;
    *row = static_cast<int64_t>(i);
    return DoesNotFit("", *sequences.type, values + failed * sequences.type->byte_width(),
                      type);
  }
  return Status::OK();
}

}  // namespace

Result<Packed> PackUnit::Rows(int64_t begin, int64_t end) const {
  return Pack(tokens, labels ? &*labels : nullptr, layout, begin, end, columns.options,
              columns.type);
}

Result<Sequences> Copy(const Sequences& sequences) {
  const int64_t width = sequences.type->byte_width();
  int64_t values = 0;
  for (const Sequences::Row& row : sequences.rows) values += row.length;
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer,
                        arrow::AllocateBuffer(values * width, BufferPool()));
  Sequences copy;
  copy.type = sequences.type;
  copy.owners.push_back(buffer);
  uint8_t* out = buffer->mutable_data();
  for (const Sequences::Row& row : sequences.rows) {
    copy.rows.push_back({out, row.length});
    if (row.length > 0) std::memcpy(out, row.values, row.length * width);
    out += row.length * width;
  }
  return copy;
}

Result<PackUnit> MakeUnit(Sequences tokens, std::optional<Sequences> labels,
                          PackColumns columns, Misfit* misfit) {
  const std::vector<int64_t> lengths = tokens.Lengths();
  misfit->column = columns.labels;
  for (size_t i = 0; labels && i < lengths.size(); ++i) {
    if (i < labels->rows.size() && labels->rows[i].length == lengths[i]) continue;
    misfit->row = static_cast<int64_t>(i);
    return Status::Invalid("there are ", lengths[i], " tokens and ",
                           i < labels->rows.size() ? labels->rows[i].length : 0,
                           " labels");
  }
  if (labels) ARROW_RETURN_NOT_OK(CheckFits(*labels, *columns.type, &misfit->row));
  misfit->column = columns.tokens;
  const PackOptions& options = columns.options;
  const auto longer = std::find_if(lengths.begin(), lengths.end(), [&](int64_t length) {
    return length > Longest(options);
  });
  if (longer != lengths.end()) {
    misfit->row = longer - lengths.begin();
    return TooLong(*longer, options);
  }
  ARROW_RETURN_NOT_OK(CheckFits(tokens, *columns.type, &misfit->row));
  PackUnit unit;
  ARROW_ASSIGN_OR_RAISE(unit.layout, LayOut(lengths, options));
  unit.tokens = std::move(tokens);
  unit.labels = std::move(labels);
  unit.columns = std::move(columns);
  return unit;
}

Result<Packed> Join(std::span<const Packed> parts) {
  if (parts.size() == 1) return parts[0];
  Packed joined;
  for (auto column : {&Packed::input_ids, &Packed::labels, &Packed::position_ids,
                      &Packed::sequence_ids}) {
    ARROW_ASSIGN_OR_RAISE(joined.*column, JoinRows(parts, column));
  }
  if (joined.input_ids->size() > std::numeric_limits<int32_t>::max()) {
    return Status::Invalid("a batch of ", joined.input_ids->size(),
                           " tokens is more than int32 can count in cu_seqlens");
  }
  int64_t segments = 1;
  for (const Packed& part : parts) segments += part.cu_seqlens->size() - 1;
  ARROW_ASSIGN_OR_RAISE(joined.cu_seqlens, EmptyTensor(arrow::int32(), {segments}));
  auto* out = reinterpret_cast<int32_t*>(joined.cu_seqlens->raw_mutable_data());
  int32_t before = 0;
  *out++ = 0;
  for (const Packed& part : parts) {
    const auto* starts = reinterpret_cast<const int32_t*>(part.cu_seqlens->raw_data());
    for (int64_t i = 1; i < part.cu_seqlens->size(); ++i) *out++ = before + starts[i];
    before = out[-1];
    joined.max_seqlen = std::max(joined.max_seqlen, part.max_seqlen);
  }
  return joined;
}

Status CheckLengths(const Dataset& dataset, const RowLengths& lengths,
                    const PackColumns& columns) {
  for (size_t file = 0; file < lengths.files.size(); ++file) {
    ARROW_RETURN_NOT_OK(CheckStop());
    for (size_t row = 0; row < lengths.files[file].size(); ++row) {
      const int64_t length = lengths.files[file][row];
      if (length <= Longest(columns.options)) continue;
      return Status::IOError(dataset.files()[file].path, ": row ", row + 1, ", column ",
                             Quoted(columns.tokens), ": ",
                             TooLong(length, columns.options).message());
    }
  }
  return Status::OK();
}

Result<std::vector<std::vector<int64_t>>> CountPackedRows(const Plan& plan,
                                                          const DatasetIndex& index,
                                                          const RowLengths& lengths,
                                                          const PackOptions& options) {
  UnitLengths units(plan, index, lengths);
  std::vector<std::vector<int64_t>> rows(plan.lanes());
  std::vector<int64_t> of_unit;
  for (int64_t lane = 0; lane < plan.lanes(); ++lane) {
    for (int64_t unit = 0; unit < plan.LaneBatches(lane); ++unit) {
      ARROW_RETURN_NOT_OK(CheckStop());
      units.Read(lane, unit, &of_unit);
      ARROW_ASSIGN_OR_RAISE(const PackLayout layout, LayOut(of_unit, options));
      rows[lane].push_back(layout.rows());
    }
  }
  return rows;
}

}  // namespace fast_axolotl
