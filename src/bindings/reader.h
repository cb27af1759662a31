// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <nanobind/nanobind.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>

#include "bindings/faulty_rows.h"
#include "bindings/output.h"
#include "core/index/dataset.h"
#include "core/output/output.h"
#include "core/scan/output_reader.h"
#include "core/scan/plan_reader.h"

namespace fast_axolotl {

// What stands for a batch where so many bad rows came that they are to be told before.
nanobind::handle NoBatchYet();

// Batches as Python objects, one reader for one pass over a dataset.
class Reader {
 public:
  // Makes the source of batches, of which the options tell how to read.
  using OpenSource = std::function<NextBatch(ReadOptions, const ScanOptions&)>;

  // `in_step`: other ranks give as many batches.
  Reader(std::shared_ptr<Dataset> dataset, Output output, bool in_step, ScanOptions scan,
         const OpenSource& open);
  // Any batch of a plan, of which `lanes` lanes will be read.
  Reader(std::shared_ptr<Dataset> dataset, Output output, PlannedSource planned,
         int64_t lanes, ScanOptions scan);
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { Close(); }

  // The next batch, the same again until it is let go; or NoBatchYet.
  nanobind::object Next();

  // The batch of that number in that lane, of a reader of any batch of a plan.
  nanobind::object BatchAt(int64_t lane, int64_t number);

  // Whoever asked for a batch has it, and no signal's exception came in the way.
  void LetGo() { held_ = {}; }
  nanobind::object held() const { return held_.is_valid() ? held_ : nanobind::none(); }

  // Stops and joins the threads.
  void Close();

  int64_t rows_read() const { return rows_read_; }
  int64_t rows_skipped() const { return faulty_.skipped(); }
  int64_t batches_left_out() const { return batches_left_out_; }
  nanobind::list TakeBadRows();
  bool cut() const { return cut_; }
  double decode_seconds() const {
    return static_cast<double>(decode_time_->load(std::memory_order_relaxed)) / 1e9;
  }
  int64_t bytes_read() const { return bytes_read_->load(std::memory_order_relaxed); }

 private:
  class Turn;

  // What owns threads.
  struct Source {
    NextBatch next;
    std::unique_ptr<OutputReader> outputs;  // of `next`; null for Python's lists
  };

  ReadOptions Options() const;
  std::shared_ptr<arrow::Schema> Schema() const;
  OutputOptions OutputOptionsOf() const;

  void Stop();
  nanobind::object Give();
  nanobind::object GiveLists();
  nanobind::object Lists(Batch* batch);
  nanobind::object GiveOutput();
  nanobind::object Hand(OutputBatch* batch);
  OutputBatch Make(Batch rows);
  Piece GatherOrThrow(const Piece& piece) const;
  std::optional<Batch> NextRows();
  template <typename T>
  std::optional<T> Taken(std::optional<T>* kept) const;
  template <typename AnyBatch>
  void Count(AnyBatch* batch);
  template <typename Call>
  auto Wait(const Call& next)
      -> std::decay_t<decltype(*next(std::chrono::milliseconds{}))>;

  const std::shared_ptr<const Dataset> dataset_;
  const Output output_;
  const std::shared_ptr<ByteCounter> bytes_read_ = std::make_shared<ByteCounter>(0);
  const std::shared_ptr<std::atomic<int64_t>> decode_time_ =
      std::make_shared<std::atomic<int64_t>>(0);
  const std::shared_ptr<LateColumns> late_ = std::make_shared<LateColumns>();
  const pid_t process_ = ::getpid();
  const bool any_lane_ = false;
  const bool in_step_;
  // A batch that was asked for by its number comes whole or not at all.
  FaultyRows faulty_{dataset_, any_lane_};
  std::unique_ptr<Source> source_;  // null once its threads are stopped
  std::atomic<bool> busy_ = false;
  std::atomic<std::thread::id> reading_;  // the thread that is in a call
  std::atomic<bool> closed_ = false;
  int64_t lane_ = 0;  // what the next call of `next` is to give
  int64_t number_ = 0;
  int64_t rows_read_ = 0;
  int64_t batches_left_out_ = 0;
  bool cut_ = false;       // the batch given last: see Batch
  nanobind::object held_;  // the batch given last, until it is let go
  Status failure_;         // what ended the pass; comes again when more is asked for
  // Batches that an exception came in the way of, rows and outputs.
  std::optional<Batch> unmade_;
  std::optional<OutputBatch> unhanded_;
};

}  // namespace fast_axolotl
