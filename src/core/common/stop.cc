// SPDX-License-Identifier: Apache-2.0
#include "core/common/stop.h"

#include <utility>

namespace fast_axolotl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPollEvery{20};

thread_local StopScope* innermost = nullptr;

}  // namespace

StopScope::StopScope(std::function<Status()> poll)
    : poll_(std::move(poll)), next_(Clock::now() + kPollEvery) {
  Enter();
}

void StopScope::Enter() { outer_ = std::exchange(innermost, this); }

StopScope::~StopScope() { innermost = outer_; }

Status StopScope::Check() {
  if (!ended_.ok()) return ended_;
  if (stop_ != nullptr && stop_->load(std::memory_order_relaxed)) {
    ended_ = Status::Cancelled("the work was stopped");
  } else if (poll_ && Clock::now() >= next_) {
    ended_ = poll_();
    next_ = Clock::now() + kPollEvery;
  }
  return ended_;
}

Status CheckStop() { return innermost == nullptr ? Status::OK() : innermost->Check(); }

}  // namespace fast_axolotl
