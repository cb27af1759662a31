// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/format/format.h"
#include "core/index/dataset.h"
#include "core/index/dataset_index.h"
#include "core/output/batch.h"
#include "core/scan/open_streams.h"
#include "core/scan/opened_files.h"
#include "core/scan/stream.h"

namespace fast_axolotl {

struct ScanOptions {
  /// 0: the thread that calls Next does the work.
  int num_threads = 1;
  /// About how much may be decoded and not yet delivered.
  int64_t read_ahead_bytes = int64_t{12} << 20;
  /// Where the time that threads spend on reading and decoding is added up, in ns.
  std::shared_ptr<std::atomic<int64_t>> decode_time = nullptr;
};

/// Rows `[begin, end)` of a fragment, to be read.
struct ScanUnit {
  size_t file = 0;
  Fragment fragment;
  int64_t begin = 0;
  int64_t end = 0;
};

/// Decodes files ahead on threads of its own and delivers their rows in order.
///
/// Fragments are read front to back, several at a time; each yields tasks that any thread
/// may decode. The queue is bounded by bytes: half for the fragment that is delivered
/// from, half for all behind it, so that neither can starve the other; all of it for the
/// last fragment.
class Scan {
 public:
  /// All files of the dataset, front to back.
  Scan(std::shared_ptr<const Dataset> dataset, ReadOptions options, ScanOptions scan);
  /// These rows of these fragments, which are those of `index`.
  Scan(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const DatasetIndex> index,
       std::vector<ScanUnit> units, ReadOptions options, ScanOptions scan);
  /// Stops and joins the threads.
  ~Scan();

  /// What a wait ended with: rows, the end (`rows` is null), or the time (nothing).
  /// An error comes after all rows before it, and again at every later call.
  Result<std::optional<Piece>> Next(std::chrono::milliseconds timeout);

  /// Stops the threads and drops what is queued. Next must not be called any more.
  void Close();

 private:
  using Lock = std::unique_lock<std::mutex>;

  void Work();
  bool WorkOnce(Lock& lock);
  bool FindWork(Lock& lock);
  bool EnoughReady() const;
  bool MayAdvanceFront() const;
  bool FrontComesFirst() const;
  void Decode(Lock& lock, std::shared_ptr<Slot> slot);
  void Advance(Lock& lock, std::shared_ptr<Stream> stream);
  void OpenFile(Lock& lock, std::shared_ptr<Stream> placeholder);
  std::shared_ptr<Stream> FindStream();
  std::shared_ptr<Stream> StartStream();
  bool AllStarted() const;
  void PopFront();
  void DropSlots(Stream* stream);
  static bool MayHoldMore(const Stream& stream);
  Status Miscounted(const Stream& stream, const std::string& found) const;
  Result<std::optional<Piece>> PassOver(const Status& error);
  Result<std::shared_ptr<arrow::RecordBatch>> LeaveKnownOut(
      Stream* stream, std::shared_ptr<arrow::RecordBatch> rows, Status* failure) const;
  Piece Trim(Stream& stream, std::shared_ptr<arrow::RecordBatch> rows);
  int64_t BytesBehindFront() const;

  const std::shared_ptr<const Dataset> dataset_;
  const ReadOptions options_;
  ScanOptions scan_;
  const std::shared_ptr<const DatasetIndex> index_;  // null: all files, front to back
  const std::vector<ScanUnit> units_;
  OpenedFiles opened_;
  StreamOpener opener_;

  std::mutex mutex_;
  std::condition_variable work_;                 // there may be something to do
  std::condition_variable ready_;                // there may be something to deliver
  std::atomic<bool> stop_ = false;               // set under the lock
  size_t next_ = 0;                              // the file or unit to start next
  std::deque<std::shared_ptr<Stream>> streams_;  // in the order of delivery
  std::deque<std::shared_ptr<Slot>> waiting_;    // to be decoded
  int64_t bytes_ = 0;                            // of all slots
  Status failure_;                               // delivered, and what all calls get now
  size_t delivered_file_ = 0;
  int64_t delivered_rows_ = 0;  // of that file, where files are read front to back
  int working_ = 0;             // threads that are not waiting
  std::vector<std::thread> threads_;
};

}  // namespace fast_axolotl
