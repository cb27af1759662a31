// SPDX-License-Identifier: Apache-2.0

// Arrow IPC files and streams, which Feather V2 files are too. Arrow's reader trusts what
// a message says of its buffers, so every batch is validated in full before it goes on:
// a flipped bit would crash whoever touches the batch.

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/ipc/message.h"
#include "arrow/ipc/options.h"
#include "arrow/ipc/reader.h"
#include "core/common/stop.h"
#include "core/format/columnar/columnar.h"
#include "core/format/columnar/validate.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/format/schema.h"

namespace fast_axolotl {
namespace {

using arrow::ipc::RecordBatchFileReader;
using arrow::ipc::RecordBatchStreamReader;

constexpr std::string_view kFileMagic{"ARROW1\0\0", 8};
constexpr std::string_view kFooterMagic{"ARROW1"};
constexpr std::string_view kContinuation{"\xFF\xFF\xFF\xFF", 4};

bool Matches(std::string_view head) {
  return head.starts_with(kFileMagic) || head.starts_with(kContinuation);
}

arrow::ipc::IpcReadOptions IpcOptions() {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.memory_pool = DecodePool();
  options.use_threads = false;
  // Buffers of a damaged file may lie anywhere, and are read as numbers where they lie.
  options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  return options;
}

Result<bool> IsIpcFile(const Input& input) {
  ARROW_ASSIGN_OR_RAISE(auto stream, input.OpenStream(nullptr));
  ARROW_ASSIGN_OR_RAISE(auto head, stream->Read(kFileMagic.size()));
  return head->ToString() == kFileMagic;
}

// Lets a message decompress to as much as its own bytes may become.
void Allow(int64_t bytes, const Limits& limits) {
  DecodeBudget* budget = DecodeBudget::Current();
  if (budget && bytes > 0) budget->Add(limits.Expanded(bytes));
}

// A file that allows for what is read of it.
class CountedFile : public arrow::io::RandomAccessFile {
 public:
  CountedFile(std::shared_ptr<arrow::io::RandomAccessFile> file, const Limits& limits)
      : file_(std::move(file)), limits_(limits) {
    set_mode(arrow::io::FileMode::READ);
  }
  // The file may be shared: whoever opened it closes it.
  Status Close() override { return Status::OK(); }
  bool closed() const override { return file_->closed(); }
  Result<int64_t> Tell() const override { return file_->Tell(); }
  Status Seek(int64_t position) override { return file_->Seek(position); }
  Result<int64_t> GetSize() override { return file_->GetSize(); }
  Result<int64_t> Read(int64_t nbytes, void* out) override {
    return file_->Read(nbytes, out);
  }
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    return file_->Read(nbytes);
  }
  Result<int64_t> ReadAt(int64_t position, int64_t nbytes, void* out) override {
    auto got = file_->ReadAt(position, nbytes, out);
    if (!got.ok()) return Note(got.status());
    Allow(*got, limits_);
    return got;
  }
  Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position,
                                                int64_t nbytes) override {
    auto got = file_->ReadAt(position, nbytes);
    if (!got.ok()) return Note(got.status());
    Allow((*got)->size(), limits_);
    return got;
  }
  // Why a read failed; Arrow's reader keeps the words of it only.
  const Status& failure() const { return failure_; }

 private:
  Status Note(const Status& status) {
    failure_ = status;
    return status;
  }

  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  const Limits limits_;
  Status failure_;
};

// The rows of a record batch by its header, with no look at its buffers; -1 where that
// cannot be read, or does not agree with itself.
int64_t LengthOf(const arrow::ipc::Message& message) {
  if (message.type() != arrow::ipc::MessageType::RECORD_BATCH) return -1;
  // A column of nulls has no buffers, but a length, which is that of the first column.
  const auto nulls = arrow::schema({arrow::field("", arrow::null())});
  const auto read = arrow::ipc::ReadRecordBatch(message, nulls, nullptr, IpcOptions());
  if (!read.ok()) return -1;
  const int64_t rows = (*read)->num_rows();
  return rows >= 0 && (*read)->column_data(0)->length == rows ? rows : -1;
}

// A number of a file, which are all little-endian, as is every machine we build for; 0
// where the file is not so long.
template <typename Number>
Number NumberAt(const arrow::Buffer& bytes, int64_t at) {
  Number number = 0;
  if (at >= 0 && at <= bytes.size() - static_cast<int64_t>(sizeof number)) {
    std::memcpy(&number, bytes.data() + at, sizeof number);
  }
  return number;
}

// Where the messages of a file's record batches are.
class BatchHeaders {
 public:
  // Of a file whose footer was found to be sound. Arrow keeps what it says to itself; it
  // is a flatbuffer: a table, of which the fourth field is a vector of blocks.
  explicit BatchHeaders(std::shared_ptr<arrow::io::RandomAccessFile> file)
      : file_(std::move(file)) {
    const auto tail = static_cast<int64_t>(sizeof(int32_t) + kFooterMagic.size());
    const int64_t end = file_->GetSize().ValueOr(0) - tail;
    const auto length = file_->ReadAt(std::max<int64_t>(end, 0), sizeof(int32_t));
    if (!length.ok()) return;
    const int64_t size = NumberAt<int32_t>(**length, 0);
    if (size <= 0 || size > end) return;
    auto footer = file_->ReadAt(end - size, size);
    if (!footer.ok()) return;
    footer_ = std::move(*footer);
    constexpr int kBatchesField = 3;
    const int64_t table = NumberAt<uint32_t>(*footer_, 0);
    const int64_t fields = table - NumberAt<int32_t>(*footer_, table);
    const auto field = static_cast<int64_t>(sizeof(uint16_t)) * (2 + kBatchesField);
    if (NumberAt<uint16_t>(*footer_, fields) <= field) return;
    const int64_t at = table + NumberAt<uint16_t>(*footer_, fields + field);
    blocks_ = at + NumberAt<uint32_t>(*footer_, at) + sizeof(uint32_t);
  }

  // The rows of that batch, or -1. It must be one of the file's.
  int64_t LengthAt(int batch) const {
    if (blocks_ == 0) return -1;
    const int64_t block = blocks_ + int64_t{24} * batch;
    const auto message =
        ReadHeader(NumberAt<int64_t>(*footer_, block),
                   NumberAt<int32_t>(*footer_, block + int64_t{sizeof(int64_t)}));
    return message.ok() ? LengthOf(**message) : -1;
  }

 private:
  // A message without its body.
  Result<std::unique_ptr<arrow::ipc::Message>> ReadHeader(int64_t at,
                                                          int64_t size) const {
    // Its own length is in front of it, since Arrow 0.15 behind four other bytes.
    if (at < 0 || size <= 8) return Status::IOError("no header");
    ARROW_ASSIGN_OR_RAISE(const auto bytes, file_->ReadAt(at, size));
    const bool marked = NumberAt<uint32_t>(*bytes, 0) == 0xFFFFFFFF;
    const int64_t begin = marked ? 8 : 4;
    const int64_t length = NumberAt<int32_t>(*bytes, begin - 4);
    if (length <= 0 || length > bytes->size() - begin) {
      return Status::IOError("no header");
    }
    return arrow::ipc::Message::Open(arrow::SliceBuffer(bytes, begin, length),
                                     std::make_shared<arrow::Buffer>(std::string_view()));
  }

  const std::shared_ptr<arrow::io::RandomAccessFile> file_;
  std::shared_ptr<arrow::Buffer> footer_;
  int64_t blocks_ = 0;  // in the footer
};

// The messages of a stream, checked for their size.
class Messages : public arrow::ipc::MessageReader {
 public:
  Messages(std::shared_ptr<arrow::io::InputStream> stream, const Input& input)
      : messages_(MessageReader::Open(std::move(stream))),
        path_(input.file.path),
        limits_(input.limits) {}

  Result<std::unique_ptr<arrow::ipc::Message>> ReadNextMessage() override {
    *length_ = -1;
    ARROW_ASSIGN_OR_RAISE(auto message, messages_->ReadNextMessage());
    if (message) {
      ARROW_RETURN_NOT_OK(CheckMetadata(message->metadata()->size(), limits_, path_));
      Allow(message->body_length(), limits_);
      *length_ = LengthOf(*message);
    }
    return message;
  }

  // The rows of the last message, if it was read as a whole and is a record batch's, as
  // its header has them; -1 otherwise.
  std::shared_ptr<const int64_t> length() const { return length_; }

 private:
  const std::unique_ptr<MessageReader> messages_;
  const std::string path_;
  const Limits limits_;
  const std::shared_ptr<int64_t> length_ = std::make_shared<int64_t>(-1);
};

int64_t CountColumns(const arrow::FieldVector& fields) {
  int64_t count = 0;
  for (const auto& field : fields) {
    count += std::max<int64_t>(CountColumns(field->type()->fields()), 1);
  }
  return count;
}

// Either kind of IPC data: its schema, and its batches one by one. A stream has no end
// that is known beforehand.
struct Batches {
  std::shared_ptr<RecordBatchFileReader> file;
  std::shared_ptr<RecordBatchStreamReader> stream;
  std::shared_ptr<CountedFile> counted;           // of the file
  std::shared_ptr<BatchHeaders> headers;          // of the file, once they are needed
  std::shared_ptr<const int64_t> stream_length;   // of the stream's last message
  std::shared_ptr<arrow::io::InputStream> bytes;  // of the stream
  Limits limits;
  int next = 0;

  std::shared_ptr<arrow::Schema> schema() const {
    return file ? file->schema() : stream->schema();
  }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() {
    DecodeBudget budget(Limits::kFreeExpansion);
    auto batch = Read();
    if (budget.refused() == 0) {
      if (batch.ok() && *batch) ARROW_RETURN_NOT_OK(CheckLengths(**batch));
      return batch;
    }
    return Status::IOError("it decompresses to more than ", limits.expansion,
                           " times its size, ", budget.refused(), " bytes so far",
                           RaiseLimit(limits, "expansion"));
  }

  // The rows of the batch at `next`, of a stream of that which Next() has tried, as its
  // header has them; -1 where it has none.
  int64_t Length() {
    if (stream) return *stream_length;
    if (!headers) headers = std::make_shared<BatchHeaders>(counted);
    return headers->LengthAt(next);
  }
  // Whether there is a way to what is behind the batch that Next() has failed at.
  bool CanGoOn() const {
    return stream ? *stream_length >= 0 : next + 1 < file->num_record_batches();
  }

 private:
  // How many rows are lost with a batch is not to be taken from a header that lies.
  static Status CheckLengths(const arrow::RecordBatch& batch) {
    for (const auto& column : batch.column_data()) {
      if (column->length != batch.num_rows()) {
        return Status::IOError("the header says ", batch.num_rows(),
                               " rows, and a column has ", column->length);
      }
    }
    return Status::OK();
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Read() {
    if (stream) {
      ARROW_ASSIGN_OR_RAISE(auto batch, stream->Next());
      // Behind the stream's end a codec may still have a fault to tell.
      if (!batch) ARROW_RETURN_NOT_OK(Drain());
      return batch;
    }
    if (next >= file->num_record_batches()) return nullptr;
    auto batch = file->ReadRecordBatch(next);
    if (!batch.ok() && !counted->failure().ok()) return counted->failure();
    return batch;
  }

  Status Drain() {
    for (;;) {
      ARROW_ASSIGN_OR_RAISE(auto rest, bytes->Read(int64_t{1} << 16));
      if (rest->size() == 0) return Status::OK();
    }
  }
};

Result<Batches> Open(const Input& input, std::shared_ptr<ByteCounter> counter,
                     const arrow::ipc::IpcReadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const bool is_file, IsIpcFile(input));
  Batches batches;
  batches.limits = input.limits;
  if (is_file) {
    ARROW_ASSIGN_OR_RAISE(auto file, input.OpenRandomAccess(std::move(counter)));
    ARROW_RETURN_NOT_OK(CheckFooter(*file, kFooterMagic.size(), input));
    batches.counted = std::make_shared<CountedFile>(std::move(file), input.limits);
    auto opened = RecordBatchFileReader::Open(batches.counted, options);
    if (!opened.ok()) {
      const Status& status = opened.status();
      // The system's reason stands by itself.
      if (status.detail()) return status;
      return Status::IOError(
          "the Arrow file has no readable footer at its end, it may be truncated: ",
          status.message());
    }
    batches.file = *opened;
  } else {
    ARROW_ASSIGN_OR_RAISE(batches.bytes, input.OpenStream(std::move(counter)));
    auto messages = std::make_unique<Messages>(batches.bytes, input);
    batches.stream_length = messages->length();
    ARROW_ASSIGN_OR_RAISE(batches.stream,
                          RecordBatchStreamReader::Open(std::move(messages), options));
  }
  ARROW_RETURN_NOT_OK(CheckColumns(CountColumns(batches.schema()->fields()), input.limits,
                                   input.file.path));
  return batches;
}

// A file on its way through.
struct Reading {
  std::string path;
  ReadOptions options;
  Batches batches;
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
                                    const Fragment& fragment) {
  auto reading = std::make_shared<Reading>();
  reading->path = input.file.path;
  reading->options = options;
  auto ipc = IpcOptions();
  ARROW_ASSIGN_OR_RAISE(reading->batches, Open(input, nullptr, ipc));
  const auto schema = reading->batches.schema();
  reading->projection = MakeProjection(*schema, options);
  if (reading->projection.indices.size() < static_cast<size_t>(schema->num_fields())) {
    ipc.included_fields = reading->projection.indices;
    // No index at all would mean all of them.
    if (ipc.included_fields.empty()) ipc.included_fields = {0};
  }
  ARROW_ASSIGN_OR_RAISE(reading->batches, Open(input, options.counter, ipc));
  reading->end = static_cast<int>(fragment.end);
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
    ARROW_ASSIGN_OR_RAISE(Batches batches, Open(input, options.counter, IpcOptions()));
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

// As long as no one asked how many there are, all batches are one fragment.
constexpr int kAllBatches = std::numeric_limits<int>::max();

Result<OpenedFile> OpenArrow(const Input& input, const ReadOptions& options,
                             std::shared_ptr<const FileIndex> index) {
  OpenedFile file;
  file.fragments =
      index ? index->fragments : std::vector<Fragment>{{0, kAllBatches, -1, 0, 0}};
  file.open = [input, options](const Fragment& fragment) -> Result<FragmentReader> {
    auto reader = Guarded([&] { return OpenFragment(input, options, fragment); });
    if (!reader.ok()) return AtFile(input.file.path, reader.status());
    return reader;
  };
  return file;
}

// The batches' lengths stand in their headers. What is wrong with a batch whose header is
// sound comes up when it is read.
Result<FileIndex> IndexArrow(const Input& input, const ReadOptions& options) {
  auto index = Guarded([&]() -> Result<FileIndex> {
    ARROW_ASSIGN_OR_RAISE(Batches batches, Open(input, options.counter, IpcOptions()));
    if (batches.stream && batches.schema()->num_fields() > 0) {
      // One column tells a batch's length.
      auto ipc = IpcOptions();
      ipc.included_fields = {0};
      ARROW_ASSIGN_OR_RAISE(batches, Open(input, options.counter, ipc));
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
    ARROW_ASSIGN_OR_RAISE(Batches batches, Open(input, options.counter, IpcOptions()));
    if (!batches.file) return -1;
    return batches.file->CountRows();
  });
  if (!rows.ok()) return AtFile(input.file.path, rows.status());
  return rows;
}

}  // namespace

const Format kArrow{"arrow",   {".arrow", ".ipc"}, Matches,   SampleArrow,
                    OpenArrow, IndexArrow,         CountArrow};
const Format kFeather{"feather", {".feather"}, Matches,   SampleArrow,
                      OpenArrow, IndexArrow,   CountArrow};

}  // namespace fast_axolotl
