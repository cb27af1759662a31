// SPDX-License-Identifier: Apache-2.0
#include "core/common/for_each.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/common/memory.h"
#include "core/common/stop.h"

namespace fast_axolotl {

Status ForEach(size_t count, int num_threads, const std::function<Status(size_t)>& body) {
  std::mutex mutex;
  std::condition_variable done;
  std::atomic<size_t> next = 0;
  std::atomic<bool> stop = false;
  size_t failed = count;  // the lowest one, as far as known
  Status failure;
  int running = 0;

  const auto work = [&] {
    const StopScope scope(&stop);
    while (!stop) {
      const size_t i = next++;
      if (i >= count) break;
      Status status = Guarded([&] { return body(i); });
      if (status.ok()) continue;
      const std::lock_guard lock(mutex);
      if (stop || i >= failed) continue;
      failed = i;
      failure = std::move(status);
      // Those before it may still fail first.
      next = std::max(next.load(), count);
    }
    const std::lock_guard lock(mutex);
    --running;
    done.notify_all();
  };

  std::vector<std::thread> threads;
  const auto wanted =
      NewThreadsMayAllocate()
          ? std::min<size_t>(static_cast<size_t>(std::max(num_threads, 1)), count)
          : size_t{0};
  running = static_cast<int>(wanted);
  const Status started = Guarded([&] {
    while (threads.size() < wanted) threads.emplace_back(work);
    return Status::OK();
  });
  if (!started.ok()) {
    // Fewer threads than wanted will do.
    const std::lock_guard lock(mutex);
    running -= static_cast<int>(wanted - threads.size());
  }
  if (threads.empty()) {
    for (size_t i = 0; i < count; ++i) {
      ARROW_RETURN_NOT_OK(CheckStop());
      ARROW_RETURN_NOT_OK(Guarded([&] { return body(i); }));
    }
  }
  Status ended;
  {
    std::unique_lock lock(mutex);
    while (running > 0) {
      done.wait_for(lock, std::chrono::milliseconds(50));
      lock.unlock();
      if (ended.ok()) ended = CheckStop();
      if (!ended.ok()) stop = true;
      lock.lock();
    }
  }
  for (std::thread& thread : threads) thread.join();
  ARROW_RETURN_NOT_OK(ended);
  return failure;
}

}  // namespace fast_axolotl
