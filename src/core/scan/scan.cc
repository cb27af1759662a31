// SPDX-License-Identifier: Apache-2.0
#include "core/scan/scan.h"

#include <algorithm>
#include <utility>

#include "arrow/array/array_binary.h"
#include "core/common/memory.h"
#include "core/common/stop.h"

namespace fast_axolotl {
namespace {

// Streams that may be open or waiting for their turn; small files need many of them.
constexpr size_t kMaxStreams = 256;

// Whether there is more of a stream, and no thread is at it.
bool IsIdle(const Stream& stream) {
  return !stream.busy && !stream.exhausted && !stream.dropped;
}

}  // namespace

Scan::Scan(std::shared_ptr<const Dataset> dataset, ReadOptions options, ScanOptions scan)
    : Scan(std::move(dataset), nullptr, {}, std::move(options), scan) {}

Scan::Scan(std::shared_ptr<const Dataset> dataset,
           std::shared_ptr<const DatasetIndex> index, std::vector<ScanUnit> units,
           ReadOptions options, ScanOptions scan)
    : dataset_(std::move(dataset)),
      options_(std::move(options)),
      scan_(scan),
      index_(std::move(index)),
      units_(std::move(units)),
      opened_(dataset_, index_, options_),
      opener_(dataset_, options_, scan_.num_threads, opened_) {}

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

bool Scan::AllStarted() const {
  return next_ == (index_ ? units_.size() : dataset_->files().size());
}

// Drops what of a stream is decoded or under way; nothing more of it is wanted.
void Scan::DropSlots(Stream* stream) {
  bytes_ -= std::exchange(stream->bytes, 0);
  stream->dropped = true;
  for (const auto& slot : stream->slots) slot->dropped = true;
  stream->slots.clear();
  work_.notify_all();
}

// Takes the front stream away.
void Scan::PopFront() {
  DropSlots(streams_.front().get());
  streams_.pop_front();
}

// Whether a stream, whose wanted rows are all read, has to show that there are no others
// behind them: where the index counts too few, they would be missing without a word.
bool Scan::MayHoldMore(const Stream& stream) {
  if (stream.dropped || stream.end < stream.fragment.rows) return false;
  return !stream.exhausted || stream.busy || !stream.slots.empty();
}

Status Scan::Miscounted(const Stream& stream, const std::string& found) const {
  return Status::IOError(dataset_->files()[stream.file].path, ": expected ",
                         stream.fragment.rows, " rows after row ", stream.fragment.row,
                         ", found ", found, kChangedSinceIndexed);
}

// The wanted ones of the next rows of the front stream; none is possible.
Piece Scan::Trim(Stream& stream, std::shared_ptr<arrow::RecordBatch> rows) {
  const int64_t first = stream.row;
  stream.row += rows->num_rows();
  if (!index_) {
    if (stream.file != std::exchange(delivered_file_, stream.file)) delivered_rows_ = 0;
    Piece piece{.rows = std::move(rows),
                .file = stream.file,
                .first_row = delivered_rows_,
                .joined = stream.joined};
    delivered_rows_ += piece.rows->num_rows();
    return piece;
  }
  const int64_t begin = std::clamp(stream.begin, first, stream.row);
  const int64_t end = std::clamp(stream.end, first, stream.row);
  return Piece{.rows = rows->Slice(begin - first, end - begin),
               .file = stream.file,
               .first_row = stream.fragment.first_row() + stream.left_out + begin};
}

// Takes the rows away that the index knows to be bad. Of others `*failure` is told,
// unless they are kept.
Result<std::shared_ptr<arrow::RecordBatch>> Scan::LeaveKnownOut(
    Stream* stream, std::shared_ptr<arrow::RecordBatch> rows, Status* failure) const {
  const std::vector<int64_t>& bad = index_->file(stream->file)->bad;
  const int64_t first = stream->fragment.first_row() + stream->row + stream->left_out;
  std::vector<int64_t> known;
  for (auto at = std::lower_bound(bad.begin(), bad.end(), first);
       at != bad.end() && *at < first + rows->num_rows(); ++at) {
    known.push_back(*at - first);
  }
  stream->left_out += static_cast<int64_t>(known.size());
  if (!known.empty()) {
    ARROW_ASSIGN_OR_RAISE(rows, WithoutRows(*rows, known));
  }
  const int hidden = BadRowsIndex(*rows->schema());
  if (hidden < 0 || options_.keep_bad_rows) return rows;
  const auto reasons = rows->column(hidden);
  ARROW_ASSIGN_OR_RAISE(rows, rows->RemoveColumn(hidden));
  int64_t good = 0;
  while (good < rows->num_rows() && reasons->IsNull(good)) ++good;
  if (good == rows->num_rows()) return rows;
  *failure = Status::IOError(
      dataset_->files()[stream->file].path, ": row ",
      stream->fragment.first_row() + stream->row + stream->left_out + good + 1,
      " cannot be read, and the index does not know of it: ",
      static_cast<const arrow::StringArray&>(*reasons).GetView(good));
  return rows->Slice(0, good);
}

// What the front stream would still give, as lost rows, where an error may be passed
// over; nothing where it may not.
Result<std::optional<Piece>> Scan::PassOver(const Status& error) {
  if (!options_.keep_bad_rows || !IsOfData(error)) return std::nullopt;
  Stream& front = *streams_.front();
  BadRow lost = MakeBadRow(0, error, dataset_->files()[front.file].path);
  if (front.fragment.rows >= 0) {
    lost.rows = front.fragment.rows - front.row;
  } else {
    lost.rows = BadRow::kUnknown;
    lost.reason += kRestIsLost;
  }
  ARROW_ASSIGN_OR_RAISE(auto rows, WithBadRows(nullptr, {std::move(lost)}));
  return Trim(front, std::move(rows));
}

Result<std::optional<Piece>> Scan::Next(std::chrono::milliseconds timeout) {
  // For good: one that is started later would crash as well.
  if (threads_.empty() && !NewThreadsMayAllocate()) scan_.num_threads = 0;
  if (threads_.empty() && !stop_ && scan_.num_threads > 0) {
    const Status started = Guarded([&] {
      for (int i = 0; i < scan_.num_threads; ++i) {
        threads_.emplace_back([this] { Work(); });
      }
      return Status::OK();
    });
    // Fewer threads than wanted will do.
    if (threads_.empty()) {
      return Status::IOError("no thread can be started to read the files: ",
                             started.message());
    }
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  Lock lock(mutex_);
  for (;;) {
    if (!failure_.ok()) return failure_;
    if (streams_.empty() && AllStarted()) return Piece{};
    if (!streams_.empty()) {
      Stream& front = *streams_.front();
      if (index_ && front.row >= front.end && !MayHoldMore(front)) {
        PopFront();
        continue;
      }
      if (!front.slots.empty() && front.slots.front()->done) {
        const std::shared_ptr<Slot> slot = std::move(front.slots.front());
        front.slots.pop_front();
        front.bytes -= slot->bytes;
        bytes_ -= slot->bytes;
        work_.notify_all();
        std::optional<Piece> piece;
        auto rows = std::move(slot->result.rows);
        if (rows && index_ && !index_->file(front.file)->bad.empty()) {
          ARROW_ASSIGN_OR_RAISE(
              rows, LeaveKnownOut(&front, std::move(rows), &slot->result.end));
        }
        if (rows && rows->num_rows() > 0) piece = Trim(front, std::move(rows));
        if (index_ && front.row > front.fragment.rows) {
          failure_ = Miscounted(front, "more");
          stop_ = true;
          DropSlots(&front);
        }
        // A fault behind the rows that are wanted is not ours to find.
        if (!slot->result.end.ok() && (!index_ || front.row < front.end)) {
          front.failure = slot->result.end;
          DropSlots(&front);
        }
        if (piece && piece->rows->num_rows() > 0) return piece;
        continue;
      }
      if (front.slots.empty() && (front.dropped || (front.exhausted && !front.busy))) {
        if (!front.failure.ok()) {
          ARROW_ASSIGN_OR_RAISE(auto lost, PassOver(front.failure));
          if (lost) {
            PopFront();
            if (lost->rows->num_rows() > 0) return lost;
            continue;
          }
        }
        failure_ = front.failure;
        if (failure_.ok() && index_ && front.row != front.fragment.rows) {
          failure_ = Miscounted(front, std::to_string(front.row));
        }
        if (!failure_.ok()) stop_ = true;
        PopFront();
        continue;
      }
    }
    if (scan_.num_threads == 0) {
      WorkOnce(lock);
      if (std::chrono::steady_clock::now() > deadline) return std::nullopt;
    } else if (ready_.wait_until(lock, deadline) == std::cv_status::timeout) {
      return std::nullopt;
    }
  }
}

void Scan::Work() {
  const StopScope scope(&stop_);
  Lock lock(mutex_);
  while (!stop_) {
    const Status worked = Guarded([&] {
      if (!WorkOnce(lock)) work_.wait(lock);
      return Status::OK();
    });
    if (worked.ok()) continue;
    // There is no memory for what is between reading and decoding.
    if (!lock.owns_lock()) lock.lock();
    failure_ = worked;
    stop_ = true;
    work_.notify_all();
    ready_.notify_all();
  }
}

bool Scan::WorkOnce(Lock& lock) {
  const auto begin = std::chrono::steady_clock::now();
  ++working_;
  const bool worked = FindWork(lock);
  --working_;
  if (worked && scan_.decode_time) {
    const auto time = std::chrono::steady_clock::now() - begin;
    *scan_.decode_time +=
        std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  }
  return worked;
}

// Whether the rows that come next are ready, as many as will do for a while.
bool Scan::EnoughReady() const {
  const int64_t enough = scan_.read_ahead_bytes / 16;
  int64_t ready = 0;
  for (const auto& stream : streams_) {
    for (const auto& slot : stream->slots) {
      if (!slot->done) return false;
      ready += slot->bytes;
      if (ready >= enough) return true;
    }
    if (!stream->exhausted) return false;
  }
  return false;
}

bool Scan::FindWork(Lock& lock) {
  // All threads work and rows enough are ready: one rests, so that the thread that asks
  // has a core. Next wakes it with each piece that is taken.
  if (working_ > 1 && working_ == scan_.num_threads && EnoughReady()) return false;
  if (!waiting_.empty() && !FrontComesFirst()) {
    auto slot = std::move(waiting_.front());
    waiting_.pop_front();
    if (!slot->dropped) Decode(lock, std::move(slot));
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

// Whether a thread may go on with the front stream.
bool Scan::MayAdvanceFront() const {
  if (streams_.empty() || !IsIdle(*streams_.front())) return false;
  const Stream& front = *streams_.front();
  const bool alone = streams_.size() == 1 && AllStarted();
  const int64_t most = alone ? scan_.read_ahead_bytes : scan_.read_ahead_bytes / 2;
  // It must get on even if a single task is larger than the whole queue.
  return front.slots.empty() || front.bytes < most;
}

// Whether to go on with the front stream before what it gave is decoded: one thread alone
// can decompress it, and all others wait for that.
bool Scan::FrontComesFirst() const {
  if (static_cast<int>(waiting_.size()) >= scan_.num_threads) return false;
  if (!MayAdvanceFront()) return false;
  const auto& source = streams_.front()->source;
  return source && source->decompresses;
}

std::shared_ptr<Stream> Scan::FindStream() {
  const bool room = BytesBehindFront() < scan_.read_ahead_bytes / 2;
  for (const auto& stream : streams_) {
    const bool front = stream == streams_.front();
    if (!front && !room) break;
    if (front ? MayAdvanceFront() : IsIdle(*stream)) return stream;
  }
  if (AllStarted() || streams_.size() >= kMaxStreams) return nullptr;
  if (!streams_.empty() && !room) return nullptr;
  return StartStream();
}

std::shared_ptr<Stream> Scan::StartStream() {
  auto stream = std::make_shared<Stream>();
  if (index_) {
    const ScanUnit& unit = units_[next_++];
    stream->file = unit.file;
    stream->fragment = unit.fragment;
    stream->begin = unit.begin;
    stream->end = unit.end;
  } else {
    stream->file = next_;
    stream->is_file = true;
    stream->files = opener_.RunFrom(next_);
    next_ += stream->files;
  }
  streams_.push_back(stream);
  return stream;
}

void Scan::Decode(Lock& lock, std::shared_ptr<Slot> slot) {
  lock.unlock();
  DecodeTask task = std::move(slot->task);
  Decoded result;
  int64_t bytes = 0;
  const Status ran = Guarded([&] {
    result = task.decode();
    bytes = BytesOf(result);
    return Status::OK();
  });
  if (!ran.ok()) result = {nullptr, ran};
  task = {};  // frees the undecoded bytes outside the lock
  lock.lock();
  slot->result = std::move(result);
  slot->done = true;
  const auto stream = slot->stream.lock();
  if (stream && !slot->dropped) {
    stream->bytes += bytes - slot->bytes;
    bytes_ += bytes - slot->bytes;
    slot->bytes = bytes;
  }
  // The caller waits for the front alone.
  if (!streams_.empty() && !streams_.front()->slots.empty() &&
      streams_.front()->slots.front() == slot) {
    ready_.notify_all();
  }
}

void Scan::Advance(Lock& lock, std::shared_ptr<Stream> stream) {
  lock.unlock();
  std::optional<DecodeTask> task;
  const Status status = Guarded([&]() -> Status {
    if (!stream->source) {
      ARROW_ASSIGN_OR_RAISE(stream->source, opened_.OpenKept(stream->file));
    }
    if (!stream->reader) {
      ARROW_ASSIGN_OR_RAISE(stream->reader, stream->source->open(stream->fragment));
    }
    ARROW_ASSIGN_OR_RAISE(task, stream->reader());
    return Status::OK();
  });
  if (!task) stream->reader = nullptr;  // closes the file
  lock.lock();
  stream->busy = false;
  if (stream->dropped) {
    stream->exhausted = true;
    return;
  }
  if (!status.ok()) stream->failure = status;
  if (!task) {
    stream->exhausted = true;
    stream->source = nullptr;
  } else {
    auto slot = std::make_shared<Slot>();
    slot->bytes = task->bytes;
    slot->stream = stream;
    slot->task = std::move(*task);
    stream->bytes += slot->bytes;
    bytes_ += slot->bytes;
    stream->slots.push_back(slot);
    waiting_.push_back(std::move(slot));
  }
  work_.notify_all();
  if (stream == streams_.front()) ready_.notify_all();
}

void Scan::OpenFile(Lock& lock, std::shared_ptr<Stream> placeholder) {
  lock.unlock();
  auto opened =
      Guarded([&] { return opener_.Open(placeholder->file, placeholder->files); });
  lock.lock();
  const bool front = placeholder == streams_.front();
  placeholder->busy = false;
  // A file without fragments keeps its place, as an exhausted stream.
  placeholder->exhausted = true;
  if (!opened.ok()) {
    placeholder->failure = opened.status();
  } else if (!opened->empty()) {
    for (const auto& stream : *opened) bytes_ += stream->bytes;
    const auto at = std::find(streams_.begin(), streams_.end(), placeholder);
    streams_.insert(streams_.erase(at), opened->begin(), opened->end());
  }
  work_.notify_all();
  if (front) ready_.notify_all();
}

}  // namespace fast_axolotl
