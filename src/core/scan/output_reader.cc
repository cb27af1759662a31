// SPDX-License-Identifier: Apache-2.0
#include "core/scan/output_reader.h"

#include <arrow/util/byte_size.h>

#include <string>
#include <utility>

#include "core/common/memory.h"
#include "core/common/stop.h"
#include "core/common/text.h"

namespace fast_axolotl {
namespace {

// A thread that has to be joined looks up this often.
constexpr std::chrono::milliseconds kPatience{50};

Result<int64_t> BytesOf(const OutputBatch& output) {
  if (output.unit) {
    // Tokens, and labels as many.
    return 2 * output.unit->layout.tokens * output.unit->tokens.type->byte_width();
  }
  if (output.record_batch) return arrow::util::ReferencedBufferSize(*output.record_batch);
  int64_t bytes = 0;
  for (const OutputColumn& column : output.columns) {
    if (column.tensor) {
      bytes += column.tensor->data()->size();
    } else {
      ARROW_ASSIGN_OR_RAISE(const int64_t size,
                            arrow::util::ReferencedBufferSize(*column.array));
      bytes += size;
    }
  }
  return bytes;
}

}  // namespace

OutputReader::OutputReader(std::shared_ptr<const Dataset> dataset, NextBatch next,
                           OutputOptions options, int64_t read_ahead_bytes)
    : dataset_(std::move(dataset)),
      next_(std::move(next)),
      options_(std::move(options)),
      read_ahead_bytes_(read_ahead_bytes) {}

OutputReader::~OutputReader() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  room_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// The output of a batch, or of its rows before one that does not fit: `*failure`, which
// comes next.
Result<OutputBatch> OutputReader::Make(Batch batch, Status* failure) {
  for (;;) {
    Misfit misfit;
    auto output = MakeFittingOutput(*dataset_, options_, &batch, &misfit);
    if (output.ok()) return output;
    batch.cut = true;
    *failure = MisfitAt(*dataset_, batch, misfit, output.status());
    // A shuffled batch has its rows from anywhere: it comes whole or not at all.
    if (!output.status().IsInvalid() || misfit.row == 0 || batch.gathered()) {
      return *failure;
    }
    batch.Shorten(misfit.row);
  }
}

// False if nobody wants any more.
bool OutputReader::Push(OutputBatch output, Status end) {
  // What cannot tell its size is taken for as much as there may be.
  const int64_t bytes = BytesOf(output).ValueOr(read_ahead_bytes_);
  std::unique_lock lock(mutex_);
  room_.wait(lock, [&] {
    return stop_ || slots_.size() < 2 || bytes_ + bytes <= read_ahead_bytes_;
  });
  if (output.rows > 0 || output.skipped > 0) {
    const Status pushed = Guarded([&] {
      slots_.push_back({std::move(output), bytes});
      return Status::OK();
    });
    if (pushed.ok()) bytes_ += bytes;
    if (end.ok()) end = pushed;
  } else {
    ended_ = true;
  }
  if (!end.ok()) {
    end_ = std::move(end);
    ended_ = true;
  }
  ready_.notify_all();
  return !stop_ && !ended_;
}

void OutputReader::Work() {
  const StopScope scope(&stop_);
  while (WorkOnce(kPatience)) {
  }
}

// Makes the next output, unless the time ends first. False if nobody wants any more.
bool OutputReader::WorkOnce(std::chrono::milliseconds timeout) {
  bool more = false;
  Status worked = Guarded([&] {
    more = MakeNext(timeout);
    return Status::OK();
  });
  if (worked.ok()) return more;
  const std::lock_guard lock(mutex_);
  end_ = std::move(worked);
  ended_ = true;
  ready_.notify_all();
  return false;
}

bool OutputReader::MakeNext(std::chrono::milliseconds timeout) {
  {
    std::lock_guard lock(mutex_);
    if (stop_) return false;
  }
  auto batch = next_(timeout);
  if (batch.ok() && !*batch) return true;
  Status failure;
  OutputBatch output;
  if (!batch.ok()) {
    failure = batch.status();
  } else if (!(*batch)->is_end()) {
    auto made = Make(std::move(**batch), &failure);
    if (made.ok()) output = std::move(*made);
  }
  return Push(std::move(output), std::move(failure));
}

Result<std::optional<OutputBatch>> OutputReader::Next(std::chrono::milliseconds timeout) {
  if (!thread_.joinable() && !NewThreadsMayAllocate()) {
    if (slots_.empty() && !ended_) WorkOnce(timeout);
    timeout = {};
  } else if (!thread_.joinable()) {
    const Status started = Guarded([&] {
      thread_ = std::thread([this] { Work(); });
      return Status::OK();
    });
    if (!started.ok()) {
      return Status::IOError("no thread can be started to make the batches: ",
                             started.message());
    }
  }
  std::unique_lock lock(mutex_);
  if (!ready_.wait_for(lock, timeout, [&] { return ended_ || !slots_.empty(); })) {
    return std::nullopt;
  }
  if (slots_.empty()) {
    ARROW_RETURN_NOT_OK(end_);
    return OutputBatch{};
  }
  Slot slot = std::move(slots_.front());
  slots_.pop_front();
  bytes_ -= slot.bytes;
  room_.notify_one();
  return std::move(slot.output);
}

}  // namespace fast_axolotl
