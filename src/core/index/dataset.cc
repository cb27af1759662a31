// SPDX-License-Identifier: Apache-2.0
#include "core/index/dataset.h"

#include <algorithm>
#include <utility>

#include "core/common/for_each.h"
#include "core/common/stop.h"
#include "core/common/text.h"
#include "core/format/schema.h"

namespace fast_axolotl {
namespace {

constexpr size_t kSampledFiles = 16;
// A file with a footer inside a codec is kept decompressed, in an open temporary file, as
// long as its input is. Of so many files, the first, inputs are kept all the same.
constexpr size_t kKeptSpools = 8;

bool IsJson(const Format* format) { return format == &kJson || format == &kJsonl; }

// Null, or a list of nothing but nulls: the sample does not show what it holds.
bool IsUnknown(const arrow::DataType& type) {
  return type.id() == arrow::Type::NA ||
         (type.id() == arrow::Type::LIST && IsUnknown(*type.field(0)->type()));
}

// What a CSV header that another delimiter would have cut says of it.
std::string DelimiterHint(const arrow::FieldVector& fields) {
  if (fields.size() != 1) return "";
  const std::string& name = fields[0]->name();
  const size_t at = name.find_first_of(";\t|");
  if (at == std::string::npos) return "";
  return "; if " + Quoted(name.substr(at, 1)) +
         " stands between its cells, pass that as delimiter= of CsvOptions";
}

}  // namespace

Result<std::shared_ptr<Dataset>> Dataset::Open(std::vector<File> files,
                                               const Format* format, ReadOptions options,
                                               bool keep_begun, int num_threads) {
  std::shared_ptr<Dataset> dataset(
      new Dataset(std::move(files), format, std::move(options)));
  ARROW_RETURN_NOT_OK(dataset->TakeSample(num_threads));
  if (!keep_begun) dataset->begun_ = nullptr;
  return dataset;
}

Result<Input> Dataset::input(size_t file) const {
  {
    std::lock_guard lock(mutex_);
    if (inputs_[file]) return *inputs_[file];
  }
  ARROW_ASSIGN_OR_RAISE(Input input, DetectInput(files_[file], format_));
  input.limits = options_.limits;
  // Only formats with footers have a count.
  if (input.codec && input.format->count && file >= kKeptSpools) return input;
  std::lock_guard lock(mutex_);
  if (!inputs_[file]) {
    // The content is for the one that opens the file now, not to be kept.
    inputs_[file] = input;
    inputs_[file]->content = nullptr;
  }
  return input;
}

BegunPass Dataset::TakeBegun(size_t file, const ReadOptions& options) const {
  if (file != 0) return nullptr;
  std::lock_guard lock(mutex_);
  BegunPass begun = std::exchange(begun_, nullptr);
  // What was decoded has all columns, as they came.
  return options.columns || options.stable ? nullptr : begun;
}

Result<const Format*> Dataset::SampleOf(size_t file) {
  ARROW_ASSIGN_OR_RAISE(Input input, this->input(file));
  ReadOptions all = options_;
  all.columns.reset();
  all.counter = nullptr;
  // Of temporary files, and these may be large, no more than one at a time.
  std::unique_lock lock(spool_mutex_, std::defer_lock);
  if (input.codec && input.format->count) lock.lock();
  ARROW_ASSIGN_OR_RAISE(samples_[file], input.format->sample(input, all));
  BegunPass begun = std::exchange(samples_[file]->begun, nullptr);
  if (file == 0) begun_ = std::move(begun);
  return input.format;
}

Result<std::vector<Dataset::SampledFile>> Dataset::SampleFiles(int num_threads) {
  std::vector<SampledFile> sampled(std::min(files_.size(), kSampledFiles));
  const auto sample = [&](size_t k) -> Status {
    const size_t file = k * files_.size() / sampled.size();
    const auto format = SampleOf(file);
    // Of files that cannot be read, the pass tells.
    if (!format.ok() && (!options_.keep_bad_rows || !IsOfData(format.status()))) {
      return format.status();
    }
    sampled[k] = {file, format.ok() ? *format : nullptr, format.status()};
    return Status::OK();
  };
  if (sampled.size() == 1 || num_threads == 1) {
    for (size_t k = 0; k < sampled.size(); ++k) ARROW_RETURN_NOT_OK(sample(k));
  } else {
    ARROW_RETURN_NOT_OK(ForEach(sampled.size(), num_threads, sample));
  }
  return sampled;
}

Status Dataset::TakeSample(int num_threads) {
  // Every column is sampled, so that a wrong name can be told the right ones.
  auto found = arrow::schema(arrow::FieldVector{});
  bool json = false;
  bool csv = false;
  bool only_csv = true;
  bool any = false;
  Status failure;
  ARROW_ASSIGN_OR_RAISE(const auto sampled, SampleFiles(num_threads));
  for (const auto& [file, format, unread] : sampled) {
    if (!format) {
      if (failure.ok()) failure = unread;
      continue;
    }
    any = true;
    json |= IsJson(format);
    csv |= format == &kCsv;
    only_csv &= format == &kCsv;
    // Cells are read as strings where kinds meet; what has types of its own is not.
    found = WidenSchema(*found, *samples_[file]->schema,
                        only_csv ? Mixed::kString : Mixed::kJson);
    ARROW_RETURN_NOT_OK(
        CheckColumns(found->num_fields(), options_.limits, files_[file].path));
  }
  if (!any) ARROW_RETURN_NOT_OK(failure);
  arrow::FieldVector fields = found->fields();
  for (auto& field : fields) {
    if (IsJsonField(*field) && TypeOfJsonField(*field)) {
      field = arrow::field(field->name(), TypeOfJsonField(*field));
    }
    if (csv && field->type()->id() == arrow::Type::NA) {
      field = arrow::field(field->name(), arrow::utf8());
    } else if (json && IsUnknown(*field->type())) {
      field = JsonField(field->name());
    }
    field = StableField(*field);
  }
  options_.sampled = arrow::schema(fields);
  if (options_.types) {
    for (const auto& fixed : options_.types->fields()) {
      const auto same =
          std::find_if(fields.begin(), fields.end(),
                       [&](const auto& field) { return field->name() == fixed->name(); });
      if (same == fields.end()) {
        fields.push_back(fixed->WithNullable(true));
      } else {
        *same = fixed->WithNullable(true);
      }
    }
  }
  ARROW_RETURN_NOT_OK(FindColumns(&fields));
  if (options_.columns) {
    arrow::FieldVector chosen;
    const auto all = arrow::schema(fields);
    for (const std::string& name : *options_.columns) {
      chosen.push_back(all->GetFieldByName(name));
    }
    fields = std::move(chosen);
  }
  schema_ = arrow::schema(std::move(fields));
  return Status::OK();
}

// The columns of a file whose footer tells them; null for others.
Result<std::shared_ptr<arrow::Schema>> Dataset::FooterOf(size_t file) const {
  ARROW_ASSIGN_OR_RAISE(const Input input, this->input(file));
  if (input.format->count == nullptr || input.codec) return nullptr;
  ARROW_ASSIGN_OR_RAISE(const Sample sample, input.format->sample(input, options_));
  return sample.schema;
}

Status Dataset::FindColumns(arrow::FieldVector* fields) {
  if (!options_.columns) return Status::OK();
  const auto has = [&](const std::string& name) {
    return std::any_of(fields->begin(), fields->end(),
                       [&](const auto& field) { return field->name() == name; });
  };
  const auto missing = [&] {
    return std::find_if_not(options_.columns->begin(), options_.columns->end(), has);
  };
  // Footers are cheap enough to ask all of them before a name is called wrong.
  for (size_t i = 0; i < files_.size() && missing() != options_.columns->end(); ++i) {
    if (samples_[i]) continue;
    ARROW_RETURN_NOT_OK(CheckStop());
    const auto sampled = FooterOf(i);
    if (!sampled.ok() && options_.keep_bad_rows && IsOfData(sampled.status())) continue;
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Schema> footer, sampled);
    if (!footer) continue;
    for (const auto& field : footer->fields()) {
      if (!has(field->name())) fields->push_back(StableField(*field));
    }
  }
  const auto wrong = missing();
  if (wrong == options_.columns->end()) return Status::OK();
  ARROW_ASSIGN_OR_RAISE(const Input first, input(0));
  return Status::Invalid("no column ", Quoted(*wrong), " in ",
                         Quoted(files_[0].path, 200),
                         files_.size() > 1 ? " and the other files" : "",
                         "; the columns there are: ", ColumnNames(*fields),
                         first.format == &kCsv ? DelimiterHint(*fields) : "");
}

// The rows of a file as its footer tells them, or -1.
Result<int64_t> Dataset::FooterRows(size_t file) const {
  ARROW_ASSIGN_OR_RAISE(const Input input, this->input(file));
  if (!input.format->count || (input.codec && !samples_[file])) return -1;
  return input.format->count(input, options_);
}

Result<RowCount> Dataset::CountRows() const {
  RowCount count;
  int64_t sampled_rows = 0;
  int64_t sampled_bytes = 0;
  int64_t unknown_bytes = 0;
  for (size_t i = 0; i < files_.size(); ++i) {
    ARROW_RETURN_NOT_OK(CheckStop());
    const auto& sample = samples_[i];
    if (sample) {
      sampled_rows += sample->rows;
      sampled_bytes += sample->bytes;
      if (sample->complete) {
        count.rows += sample->rows;
        continue;
      }
    }
    const auto rows = FooterRows(i);
    if (rows.ok() && *rows >= 0) {
      count.rows += *rows;
      continue;
    }
    if (!rows.ok() && !(options_.keep_bad_rows && IsOfData(rows.status()))) {
      return rows.status();
    }
    unknown_bytes += files_[i].size;
    count.exact = false;
  }
  if (unknown_bytes > 0 && sampled_bytes > 0) {
    count.rows += static_cast<int64_t>(static_cast<double>(unknown_bytes) /
                                           static_cast<double>(sampled_bytes) *
                                           static_cast<double>(sampled_rows) +
                                       0.5);
  }
  return count;
}

}  // namespace fast_axolotl
