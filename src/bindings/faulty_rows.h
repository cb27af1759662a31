// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/common/error.h"
#include "core/index/dataset.h"
#include "core/output/misfits.h"

namespace fast_axolotl {

// What becomes of the rows of a pass that cannot be given. Where bad rows are kept apart,
// it is noted what is known of those that were left out. Elsewhere a row without a Python
// value ends the pass, behind the rows before it.
class FaultyRows {
 public:
  // `whole`: batches come whole or not at all.
  FaultyRows(std::shared_ptr<const Dataset> dataset, bool whole)
      : dataset_(std::move(dataset)), whole_(whole) {}

  // Takes the rows that have no Python value out of a batch: `misfit`, of which the
  // exception is set, and, unless that is to end the pass, all others that do not `fit`.
  // Throws what is set if it is no exception of a value, or if no rows come before it.
  void TakeOut(const Misfit& misfit, const Fits& fits, Batch* batch);

  // Throws the exception that ends the pass, if the rows before it were given.
  void RaiseStored() const;
  bool has_stored() const { return stored_.is_valid(); }

  // Notes rows that were left out, and what is known of them, as objects of JSON.
  void Note(int64_t rows, std::vector<std::string> bad);
  int64_t skipped() const { return skipped_; }
  // What was noted since the last call.
  std::vector<std::string> TakeNoted();
  // Whether so much was noted that it is to be taken, though there is no batch yet.
  bool has_many_noted() const { return noted_.size() >= 1000; }
  // Empty if nothing is.
  std::string LastNoted() const { return noted_.empty() ? "" : noted_.back(); }

 private:
  const std::shared_ptr<const Dataset> dataset_;
  const bool whole_;
  int64_t skipped_ = 0;
  std::vector<std::string> noted_;
  nanobind::object stored_;
};

// Clears the exception that is set, and gives it as an Invalid status; throws it if it is
// none of a value without a Python one.
Status TakeException(const Misfit& misfit);

}  // namespace fast_axolotl
