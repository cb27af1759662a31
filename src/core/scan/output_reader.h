// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "core/index/dataset.h"
#include "core/output/output.h"

namespace fast_axolotl {

/// Where batches come from; see BatchReader::Next.
using NextBatch = std::function<Result<std::optional<Batch>>(std::chrono::milliseconds)>;

/// Makes the outputs of batches on a thread of its own, ahead of the caller; on the
/// caller's where new threads may not allocate.
class OutputReader {
 public:
  OutputReader(std::shared_ptr<const Dataset> dataset, NextBatch next,
               OutputOptions options, int64_t read_ahead_bytes);
  ~OutputReader();

  /// As BatchReader::Next. A batch with a row that the output cannot hold comes with the
  /// rows before that one, and then the error; a gathered batch, not at all.
  Result<std::optional<OutputBatch>> Next(std::chrono::milliseconds timeout);

 private:
  void Work();
  bool WorkOnce(std::chrono::milliseconds timeout);
  bool MakeNext(std::chrono::milliseconds timeout);
  Result<OutputBatch> Make(Batch batch, Status* failure);
  bool Push(OutputBatch output, Status end);

  struct Slot {
    OutputBatch output;
    int64_t bytes = 0;
  };

  const std::shared_ptr<const Dataset> dataset_;
  NextBatch next_;  // of the thread alone, where there is one
  const OutputOptions options_;
  const int64_t read_ahead_bytes_;

  std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable ready_;
  std::deque<Slot> slots_;
  int64_t bytes_ = 0;
  std::atomic<bool> stop_ = false;  // set under the lock
  bool ended_ = false;
  Status end_;  // what comes behind the slots
  std::thread thread_;
};

}  // namespace fast_axolotl
