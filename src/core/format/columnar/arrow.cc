// SPDX-License-Identifier: Apache-2.0

// Arrow IPC files and streams, which Feather V2 files are too. Arrow's reader trusts what
// a message says of its buffers, so every batch is validated in full before it goes on:
// a flipped bit would crash whoever touches the batch.

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "core/common/stop.h"
#include "core/format/columnar/columnar.h"
#include "core/format/columnar/ipc_batches.h"
#include "core/format/columnar/validate.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/format/schema.h"

namespace fast_axolotl {
namespace {

// The end of the last fragment.
constexpr int kAllBatches = std::numeric_limits<int>::max();

// A file on its way through.
struct Reading {
  std::string path;
  ReadOptions options;
  IpcBatches batches;
  Projection projection;
  int end = 0;      // the batch to stop before
  int64_t row = 0;  // of the file, that comes next

  Result<std::optional<DecodeTask>> Next() {
    if (batches.next == end) return std::nullopt;
    auto batch = Guarded([&] { return batches.Next(); });
    if (!batch.ok()) return GoOn(batch.status());
    if (!*batch) return std::nullopt;
    const int index = batches.next++;
    const int64_t first_row = row;
    row += (*batch)->num_rows();
    const int64_t bytes = TotalBytes(**batch);
    return DecodeTask{
        [this_path = path, this_options = options, this_projection = projection,
         batch = *batch, index, first_row]() -> Decoded {
          const Status valid = Guarded([&] { return ValidateBatch(*batch); });
          if (!valid.ok()) {
            return Lost({}, At(this_path, index, first_row, valid), batch->num_rows(),
                        this_options, this_path);
          }
          return Finish(*batch, this_projection, this_options, this_path, first_row);
        },
        bytes};
  }

  // What is lost with a batch that cannot be read, if what is behind it may follow.
  Result<std::optional<DecodeTask>> GoOn(const Status& status) {
    const Status error = At(path, batches.next, row, status);
    if (!options.keep_bad_rows || !IsOfData(status)) return error;
    const int64_t length = batches.Length();
    if (length < 0) {
      if (!batches.CanGoOn()) return error;
      ++batches.next;
      ++row;
      return LostPart(MakeDamage(0, error, path, kNextBatch));
    }
    ++batches.next;
    row += length;
    if (length == 0) return DecodeTask{[] { return Decoded{}; }, 0};
    return DecodeTask{[error, length, options = options, path = path] {
                        return Lost({}, error, length, options, path);
                      },
                      0};
  }

  static constexpr char kNextBatch[] = "; reading goes on with the next record batch";

  static Status At(const std::string& path, int index, int64_t row,
                   const Status& status) {
    return AtPlace(path,
                   "record batch " + std::to_string(index) + ", after row " +
                       std::to_string(row) + " of the file",
                   status);
  }

  static int64_t TotalBytes(const arrow::RecordBatch& batch) {
    int64_t bytes = 0;
    for (const auto& column : batch.column_data()) {
      for (const auto& buffer : column->buffers) bytes += buffer ? buffer->size() : 0;
      for (const auto& child : column->child_data) {
        for (const auto& buffer : child->buffers) bytes += buffer ? buffer->size() : 0;
      }
    }
    return bytes;
  }
};

Result<FragmentReader> OpenFragment(const Input& input, const ReadOptions& options,
                                    const FileIndex* index, const arrow::Schema& schema,
                                    const Fragment& fragment) {
  auto reading = std::make_shared<Reading>();
  reading->path = input.file.path;
  reading->options = options;
  auto ipc = IpcOptions();
  reading->projection = MakeProjection(schema, options);
  if (reading->projection.indices.size() < static_cast<size_t>(schema.num_fields())) {
    ipc.included_fields = reading->projection.indices;
    // No index at all would mean all of them.
    if (ipc.included_fields.empty()) ipc.included_fields = {0};
  }
  ARROW_ASSIGN_OR_RAISE(reading->batches, OpenIpc(input, options.counter, ipc));
  const bool last = index && index->IsLast(fragment);
  reading->end = last ? kAllBatches : static_cast<int>(fragment.end);
  reading->row = fragment.first_row();
  if (reading->batches.file) {
    reading->batches.next = static_cast<int>(fragment.begin);
  }
  // A stream has no way to a batch but through those before it.
  while (reading->batches.next < fragment.begin) {
    ARROW_ASSIGN_OR_RAISE(auto batch, reading->batches.Next());
    if (!batch) return Status::IOError("the stream ends before batch ", fragment.begin);
    ++reading->batches.next;
  }
  return [reading] { return reading->Next(); };
}

Result<Sample> SampleArrow(const Input& input, const ReadOptions& options) {
  auto sample = Guarded([&]() -> Result<Sample> {
    ARROW_ASSIGN_OR_RAISE(IpcBatches batches,
                          OpenIpc(input, options.counter, IpcOptions()));
    Sample found;
    ARROW_ASSIGN_OR_RAISE(found.schema, ColumnsOf(*batches.schema()));
    // How many rows the file has is left to count(); a stream shows its first batch.
    if (batches.file && input.codec == nullptr) return found;
    auto batch = batches.Next();
    if (batch.ok() && *batch) {
      found.rows = (*batch)->num_rows();
      found.bytes = Reading::TotalBytes(**batch);
    }
    return found;
  });
  if (!sample.ok()) return AtFile(input.file.path, sample.status());
  return sample;
}

bool HasDictionary(const arrow::DataType& type) {
  if (type.id() == arrow::Type::DICTIONARY) return true;
  return std::any_of(type.fields().begin(), type.fields().end(),
                     [](const auto& field) { return HasDictionary(*field->type()); });
}

// Parts of a file, for threads to read side by side: one alone takes longer to copy the
// bytes than several do to validate them. One part where that would not help.
std::vector<Fragment> PartsOf(const Input& input, const IpcBatches& batches) {
  constexpr int64_t kPartBytes = int64_t{4} << 20;
  // To find the lengths of smaller batches takes too long beside reading them; of larger
  // ones each thread would hold one.
  constexpr int64_t kLeastBatch = int64_t{128} << 10;
  constexpr int64_t kMostBatch = int64_t{16} << 20;
  // Each part reads the footer, which has 24 bytes for each batch.
  constexpr int64_t kBytesForPart = 64 * 24;
  const std::vector<Fragment> whole = {{0, kAllBatches}};
  const int64_t count = batches.file ? batches.file->num_record_batches() : 0;
  if (input.codec || count < 2) return whole;
  const int64_t batch = input.file.size / count;
  if (batch < kLeastBatch || batch > kMostBatch) return whole;
  for (const auto& field : batches.schema()->fields()) {
    // Each part would read the dictionaries anew.
    if (HasDictionary(*field->type())) return whole;
  }
  const int64_t parts =
      std::max<int64_t>(std::min(input.file.size / kPartBytes, batch / kBytesForPart), 1);
  const int64_t in_a_part = (count + parts - 1) / parts;
  std::vector<Fragment> found;
  for (int64_t at = 0; at < count; at += in_a_part) found.push_back({at, at + in_a_part});
  found.back().end = kAllBatches;
  return found;
}

// The rows before each batch of a file, counted by the headers as far as it is asked for.
class RowsBefore {
 public:
  explicit RowsBefore(IpcBatches batches) : batches_(std::move(batches)) {}

  int64_t operator()(int batch) {
    const std::lock_guard lock(mutex_);
    for (; batches_.next < batch; ++batches_.next) {
      // One row where that is not known, as in Reading.
      const int64_t rows = batches_.Length();
      rows_.push_back(rows_.back() + (rows < 0 ? 1 : rows));
    }
    return rows_[static_cast<size_t>(batch)];
  }

 private:
  std::mutex mutex_;
  IpcBatches batches_;
  std::vector<int64_t> rows_ = {0};
};

Result<OpenedFile> OpenArrow(const Input& input, const ReadOptions& options,
                             std::shared_ptr<const FileIndex> index) {
  auto batches = Guarded([&] { return OpenIpc(input, nullptr, IpcOptions()); });
  if (!batches.ok()) return AtFile(input.file.path, batches.status());
  OpenedFile file;
  file.decompresses = input.codec && batches->stream;
  file.fragments = index ? index->fragments : PartsOf(input, *batches);
  // An index has the rows before each fragment.
  const auto rows_before = file.fragments.size() > 1 && !index
                               ? std::make_shared<RowsBefore>(*batches)
                               : nullptr;
  file.open = [input, options, index, schema = batches->schema(),
               rows_before](Fragment fragment) -> Result<FragmentReader> {
    auto reader = Guarded([&] {
      if (rows_before) fragment.row = (*rows_before)(static_cast<int>(fragment.begin));
      return OpenFragment(input, options, index.get(), *schema, fragment);
    });
    if (!reader.ok()) return AtFile(input.file.path, reader.status());
    return reader;
  };
  return file;
}

// The batches' lengths stand in their headers. What is wrong with a batch whose header is
// sound comes up when it is read.
Result<FileIndex> IndexArrow(const Input& input, const ReadOptions& options) {
  auto index = Guarded([&]() -> Result<FileIndex> {
    ARROW_ASSIGN_OR_RAISE(IpcBatches batches,
                          OpenIpc(input, options.counter, IpcOptions()));
    if (batches.stream && batches.schema()->num_fields() > 0) {
      // One column tells a batch's length.
      auto ipc = IpcOptions();
      ipc.included_fields = {0};
      ARROW_ASSIGN_OR_RAISE(batches, OpenIpc(input, options.counter, ipc));
    }
    FileIndex found;
    int64_t row = 0;
    const auto add = [&](int64_t rows) {
      const auto lost = static_cast<int64_t>(found.damages.size());
      found.fragments.push_back({batches.next, batches.next + 1, rows, row, 0, lost});
      row += rows;
    };
    for (;; ++batches.next) {
      ARROW_RETURN_NOT_OK(CheckStop());
      // A stream tells the length with the batch, which it has to come by anyway.
      if (batches.file && batches.next < batches.file->num_record_batches()) {
        if (const int64_t rows = batches.Length(); rows >= 0) {
          add(rows);
          continue;
        }
      }
      const auto batch = batches.Next();
      if (batch.ok() && !*batch) break;
      const int64_t rows = batch.ok() ? (*batch)->num_rows() : batches.Length();
      if (rows >= 0) {
        add(rows);
        continue;
      }
      if (!options.keep_bad_rows || !IsOfData(batch.status())) return batch.status();
      const bool more = batches.CanGoOn();
      const int64_t at = row + static_cast<int64_t>(found.damages.size());
      const Status error = Reading::At(input.file.path, batches.next, at, batch.status());
      found.damages.push_back(MakeDamage(at, error, input.file.path,
                                         more ? Reading::kNextBatch : kRestIsLost));
      if (!more) break;
    }
    // A stream is read from its start by whoever needs any of it.
    if (batches.stream && !found.fragments.empty()) {
      found.fragments = {{0, batches.next, row, 0, 0}};
      found.from_start = true;
    }
    return found;
  });
  if (!index.ok()) return AtFile(input.file.path, index.status());
  return index;
}

// The batches' lengths stand in their headers: no column is read.
Result<int64_t> CountArrow(const Input& input, const ReadOptions& options) {
  auto rows = Guarded([&]() -> Result<int64_t> {
    ARROW_ASSIGN_OR_RAISE(IpcBatches batches,
                          OpenIpc(input, options.counter, IpcOptions()));
    if (!batches.file) return -1;
    return batches.file->CountRows();
  });
  if (!rows.ok()) return AtFile(input.file.path, rows.status());
  return rows;
}

}  // namespace

const Format kArrow{"arrow",   {".arrow", ".ipc"}, IsIpc,     SampleArrow,
                    OpenArrow, IndexArrow,         CountArrow};
const Format kFeather{"feather", {".feather"}, IsIpc,     SampleArrow,
                      OpenArrow, IndexArrow,   CountArrow};

}  // namespace fast_axolotl
