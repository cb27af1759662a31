// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

#include "core/common/error.h"

namespace fast_axolotl {

/// As long as it lives, what may end the work of this thread: a flag that another thread
/// sets, or a function that is called on this one. Every loop that may take long calls
/// CheckStop, so no function has to be handed what may end it. Scopes may be nested; the
/// innermost counts.
class StopScope {
 public:
  /// Ends the work once `*stop` is set. It must outlive the scope.
  explicit StopScope(const std::atomic<bool>* stop) : stop_(stop) { Enter(); }
  /// Ends the work with the error that `poll` returns. It is called some tens of times a
  /// second, and no more after an error.
  explicit StopScope(std::function<Status()> poll);
  StopScope(const StopScope&) = delete;
  StopScope& operator=(const StopScope&) = delete;
  ~StopScope();

 private:
  friend Status CheckStop();
  void Enter();
  Status Check();

  const std::atomic<bool>* const stop_ = nullptr;
  const std::function<Status()> poll_;
  std::chrono::steady_clock::time_point next_;  // when to call `poll_` again
  Status ended_;
  StopScope* outer_ = nullptr;
};

/// Cancelled, or what a function returned, once the work of this thread is to end; OK
/// before, and on threads without a scope. It costs next to nothing.
Status CheckStop();

}  // namespace fast_axolotl
