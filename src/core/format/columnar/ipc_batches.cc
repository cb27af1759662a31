// SPDX-License-Identifier: Apache-2.0
#include "core/format/columnar/ipc_batches.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "arrow/array/data.h"
#include "arrow/buffer.h"
#include "arrow/ipc/message.h"
#include "core/format/columnar/budget.h"
#include "core/format/columnar/columnar.h"

namespace fast_axolotl {

using arrow::ipc::RecordBatchFileReader;
using arrow::ipc::RecordBatchStreamReader;

namespace {

constexpr std::string_view kFileMagic{"ARROW1\0\0", 8};
constexpr std::string_view kFooterMagic{"ARROW1"};
constexpr std::string_view kContinuation{"\xFF\xFF\xFF\xFF", 4};

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

}  // namespace

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

namespace {

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

// How many rows are lost with a batch is not to be taken from a header that lies.
Status CheckLengths(const arrow::RecordBatch& batch) {
  for (const auto& column : batch.column_data()) {
    if (column->length != batch.num_rows()) {
      return Status::IOError("the header says ", batch.num_rows(),
                             " rows, and a column has ", column->length);
    }
  }
  return Status::OK();
}

}  // namespace

bool IsIpc(std::string_view head) {
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

std::shared_ptr<arrow::Schema> IpcBatches::schema() const {
  return file ? file->schema() : stream->schema();
}

Result<std::shared_ptr<arrow::RecordBatch>> IpcBatches::Next() {
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

int64_t IpcBatches::Length() {
  if (stream) return *stream_length;
  if (!headers) headers = std::make_shared<BatchHeaders>(counted);
  return headers->LengthAt(next);
}

bool IpcBatches::CanGoOn() const {
  return stream ? *stream_length >= 0 : next + 1 < file->num_record_batches();
}

Result<std::shared_ptr<arrow::RecordBatch>> IpcBatches::Read() {
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

Status IpcBatches::Drain() {
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(auto rest, bytes->Read(int64_t{1} << 16));
    if (rest->size() == 0) return Status::OK();
  }
}

Result<IpcBatches> OpenIpc(const Input& input, std::shared_ptr<ByteCounter> counter,
                           const arrow::ipc::IpcReadOptions& options) {
  ARROW_ASSIGN_OR_RAISE(const bool is_file, IsIpcFile(input));
  IpcBatches batches;
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

}  // namespace fast_axolotl
