// SPDX-License-Identifier: Apache-2.0

// Whether the first two CPUs that may be used have a core each, for themselves:
//
//   g++ -O2 benchmarks/shared_core.cc -o shared_core && ./shared_core
//
// A chain of multiplications, each of which waits for the one before, leaves most of a
// core idle; independent additions fill it. So where two threads share a core, be the
// other one ours or a stranger's on the same machine, additions take up to twice as long
// and multiplications take no longer. Medians and least times of both are printed, for
// the first CPU alone and for both at once.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

void Multiply() {
  uint64_t x = 1;
  for (int i = 0; i < 60'000'000; ++i) {
    x = x * 6364136223846793005U + 1442695040888963407U;
    asm volatile("" : "+r"(x));
  }
}

void Add() {
  uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8;
  for (int i = 0; i < 100'000'000; ++i) {
    a += 1, b += 3, c += 5, d += 7, e += 1, f += 3, g += 5, h += 7;
    asm volatile(""
                 : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f), "+r"(g),
                   "+r"(h));
  }
}

// The mean seconds of `work` where so many of the CPUs do it at once.
double Seconds(void (*work)(), const std::vector<int>& cpus, int count) {
  int ends[2];
  if (::pipe(ends) != 0) return 0;
  for (int i = 0; i < count; ++i) {
    if (::fork() != 0) continue;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(cpus[i], &only);
    ::sched_setaffinity(0, sizeof only, &only);
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const double seconds = took.count();
    ::_exit(::write(ends[1], &seconds, sizeof seconds) == sizeof seconds ? 0 : 1);
  }
  ::close(ends[1]);  // so that reading ends with the last child
  double sum = 0;
  double seconds = 0;
  while (::read(ends[0], &seconds, sizeof seconds) == sizeof seconds) sum += seconds;
  while (::wait(nullptr) > 0) {
  }
  ::close(ends[0]);
  return sum / count;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double Least(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

}  // namespace

int main() {
  constexpr int kRounds = 25;
  const struct {
    const char* name;
    void (*work)();
  } kinds[] = {{"dependent multiplications", Multiply}, {"independent additions", Add}};
  cpu_set_t allowed;
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 1;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
  }
  if (cpus.size() < 2) {
    std::puts("there is one CPU only");
    return 1;
  }
  std::vector<double> alone[2];
  std::vector<double> both[2];
  for (int round = 0; round < kRounds; ++round) {
    for (int k = 0; k < 2; ++k) {
      alone[k].push_back(Seconds(kinds[k].work, cpus, 1));
      both[k].push_back(Seconds(kinds[k].work, cpus, 2));
    }
  }
  for (int k = 0; k < 2; ++k) {
    std::printf("%-26s alone %.3f s (least %.3f), both %.3f s (least %.3f)\n",
                kinds[k].name, Median(alone[k]), Least(alone[k]), Median(both[k]),
                Least(both[k]));
  }
}
