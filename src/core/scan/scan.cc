// SPDX-License-Identifier: Apache-2.0
#include "core/scan/scan.h"

#include <algorithm>
#include <utility>

namespace fast_axolotl {
namespace {

// Streams that may be open or waiting for their turn; small files need many of them.
constexpr size_t kMaxStreams = 256;

}  // namespace

struct Scan::Slot {
  DecodeTask task;
  Decoded result;
  int64_t bytes = 0;
  bool done = false;
};

// A fragment on its way, or a file whose fragments are not known yet.
struct Scan::Stream {
  size_t file = 0;
  bool is_file = false;
  bool busy = false;  // a thread is in `reader`
  bool exhausted = false;
  Fragment fragment;
  FragmentReader reader;  // null before the first call
  std::deque<std::shared_ptr<Slot>> slots;
  int64_t bytes = 0;  // of its slots
  Status failure;     // comes after the slots
};

Scan::Scan(std::shared_ptr<const Dataset> dataset, ReadOptions options, ScanOptions scan)
    : dataset_(std::move(dataset)), options_(std::move(options)), scan_(scan) {}

Scan::~Scan() { Close(); }

void Scan::Close() {
  {
    Lock lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  streams_.clear();
  waiting_.clear();
}

Result<std::optional<Piece>> Scan::Next(std::chrono::milliseconds timeout) {
  if (threads_.empty() && !stop_) {
    for (int i = 0; i < std::max(scan_.num_threads, 1); ++i) {
      threads_.emplace_back([this] { Work(); });
    }
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  Lock lock(mutex_);
  for (;;) {
    if (!failure_.ok()) return failure_;
    if (streams_.empty() && next_file_ == dataset_->files().size()) {
      return Piece{};
    }
    if (!streams_.empty()) {
      Stream& front = *streams_.front();
      if (!front.slots.empty() && front.slots.front()->done) {
        const std::shared_ptr<Slot> slot = std::move(front.slots.front());
        front.slots.pop_front();
        front.bytes -= slot->bytes;
        bytes_ -= slot->bytes;
        // What comes after a fault is not delivered, so it need not be decoded.
        failure_ = slot->result.end;
        if (!failure_.ok()) stop_ = true;
        if (front.file != std::exchange(delivered_file_, front.file)) delivered_rows_ = 0;
        work_.notify_all();
        auto rows = std::move(slot->result.rows);
        if (!rows || rows->num_rows() == 0) continue;
        Piece piece{std::move(rows), front.file, delivered_rows_};
        delivered_rows_ += piece.rows->num_rows();
        return piece;
      }
      if (front.slots.empty() && front.exhausted && !front.busy) {
        failure_ = front.failure;
        if (!failure_.ok()) stop_ = true;
        streams_.pop_front();
        work_.notify_all();
        continue;
      }
    }
    if (ready_.wait_until(lock, deadline) == std::cv_status::timeout) return std::nullopt;
  }
}

void Scan::Work() {
  Lock lock(mutex_);
  while (!stop_) {
    if (!WorkOnce(lock)) work_.wait(lock);
  }
}

bool Scan::WorkOnce(Lock& lock) {
  if (!waiting_.empty()) {
    auto slot = std::move(waiting_.front());
    waiting_.pop_front();
    Decode(lock, std::move(slot));
    return true;
  }
  auto stream = FindStream();
  if (!stream) return false;
  stream->busy = true;
  if (stream->is_file) {
    OpenFile(lock, std::move(stream));
  } else {
    Advance(lock, std::move(stream));
  }
  return true;
}

int64_t Scan::BytesBehindFront() const {
  return streams_.empty() ? 0 : bytes_ - streams_.front()->bytes;
}

std::shared_ptr<Scan::Stream> Scan::FindStream() {
  const int64_t half = scan_.read_ahead_bytes / 2;
  const bool room = BytesBehindFront() < half;
  for (const auto& stream : streams_) {
    if (stream->busy || stream->exhausted) continue;
    const bool front = stream == streams_.front();
    // The front must get on even if a single task is larger than the whole queue.
    if (front ? stream->bytes < half || stream->slots.empty() : room) return stream;
  }
  if (next_file_ == dataset_->files().size() || streams_.size() >= kMaxStreams) {
    return nullptr;
  }
  if (!streams_.empty() && !room) return nullptr;
  auto file = std::make_shared<Stream>();
  file->file = next_file_++;
  file->is_file = true;
  streams_.push_back(file);
  return file;
}

void Scan::Decode(Lock& lock, std::shared_ptr<Slot> slot) {
  lock.unlock();
  DecodeTask task = std::move(slot->task);
  Decoded result;
  const Status ran = Guarded([&] {
    result = task.decode();
    return Status::OK();
  });
  if (!ran.ok()) result = {nullptr, ran};
  task = {};  // frees the undecoded bytes outside the lock
  lock.lock();
  slot->result = std::move(result);
  slot->done = true;
  ready_.notify_all();
}

void Scan::Advance(Lock& lock, std::shared_ptr<Stream> stream) {
  lock.unlock();
  std::optional<DecodeTask> task;
  const Status status = Guarded([&]() -> Status {
    if (!stream->reader) {
      ARROW_ASSIGN_OR_RAISE(stream->reader, stream->fragment.open());
    }
    ARROW_ASSIGN_OR_RAISE(task, stream->reader());
    return Status::OK();
  });
  if (!task) stream->reader = nullptr;  // closes the file
  lock.lock();
  stream->busy = false;
  if (!status.ok()) stream->failure = status;
  if (!task) {
    stream->exhausted = true;
    stream->fragment = {};
  } else {
    auto slot = std::make_shared<Slot>();
    slot->bytes = task->bytes;
    slot->task = std::move(*task);
    stream->bytes += slot->bytes;
    bytes_ += slot->bytes;
    stream->slots.push_back(slot);
    waiting_.push_back(std::move(slot));
  }
  work_.notify_all();
  ready_.notify_all();
}

void Scan::OpenFile(Lock& lock, std::shared_ptr<Stream> placeholder) {
  lock.unlock();
  auto fragments = Guarded([&]() -> Result<std::vector<Fragment>> {
    ARROW_ASSIGN_OR_RAISE(const Input input, dataset_->input(placeholder->file));
    return input.format->fragments(input, options_);
  });
  lock.lock();
  placeholder->busy = false;
  placeholder->exhausted = true;
  if (fragments.ok()) {
    const auto at = std::find(streams_.begin(), streams_.end(), placeholder);
    std::vector<std::shared_ptr<Stream>> opened;
    for (Fragment& fragment : *fragments) {
      auto stream = std::make_shared<Stream>();
      stream->file = placeholder->file;
      stream->fragment = std::move(fragment);
      opened.push_back(std::move(stream));
    }
    // A file without fragments still has its place, as an exhausted stream.
    if (!opened.empty() && at != streams_.end()) {
      streams_.insert(streams_.erase(at), opened.begin(), opened.end());
    }
  } else {
    placeholder->failure = fragments.status();
  }
  work_.notify_all();
  ready_.notify_all();
}

}  // namespace fast_axolotl
