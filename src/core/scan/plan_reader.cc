// SPDX-License-Identifier: Apache-2.0
#include "core/scan/plan_reader.h"

#include <numeric>
#include <utility>

namespace fast_axolotl {
namespace {

// A share goes through the lanes in strides.
int64_t LanesOf(const Plan& plan, const Share& share) {
  return plan.lanes() / std::gcd(plan.lanes(), share.world * share.workers);
}

}  // namespace

PlanReader::PlanReader(PlannedSource source, const Share& share, int64_t given,
                       ScanOptions scan)
    : plan_(source.plan),
      share_(share),
      lanes_(source, LanesOf(*source.plan, share), scan),
      given_(given) {}

Result<std::optional<Batch>> PlanReader::Next(std::chrono::milliseconds timeout) {
  const std::optional<int64_t> j = share_.Batch(given_);
  if (!j) return Batch{};
  ARROW_ASSIGN_OR_RAISE(auto batch,
                        lanes_.Next(*j % plan_->lanes(), *j / plan_->lanes(), timeout));
  if (batch) ++given_;
  return batch;
}

}  // namespace fast_axolotl
