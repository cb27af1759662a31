// SPDX-License-Identifier: Apache-2.0
#include "bindings/gil.h"

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace fast_axolotl {
namespace {

// Threads that let go of the GIL and do not have it back.
std::atomic<int> released = 0;
std::atomic<std::thread::id> exiting;

// A fork copies the number, and none of the threads.
const int forks = ::pthread_atfork(nullptr, nullptr, [] { released = 0; });

}  // namespace

ReleasedGil::ReleasedGil() {
  if (IsLeftAtExit()) return;
  ++released;
  state_ = PyEval_SaveThread();
}

ReleasedGil::~ReleasedGil() {
  if (state_ == nullptr) return;
  PyEval_RestoreThread(state_);
  --released;
}

void BeginExit() {
  exiting = std::this_thread::get_id();
  // Calls look up every 50 ms, and reading one block may take longer on a slow disk.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  PyThreadState* const state = PyEval_SaveThread();
  while (released > 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  PyEval_RestoreThread(state);
}

bool IsLeftAtExit() {
  const std::thread::id id = exiting;
  return id != std::thread::id() && id != std::this_thread::get_id();
}

}  // namespace fast_axolotl
