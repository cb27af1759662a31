// SPDX-License-Identifier: Apache-2.0

// Stands in for libFuzzer where the compiler has none: runs the inputs it is given, and
// random changes of them, without knowing what code they reach. Understands the few of
// libFuzzer's flags that are used here: -runs, -max_total_time, -seed, -max_len,
// -timeout and -artifact_prefix; other flags are ignored.

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)());

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;

struct Flags {
  long runs = -1;
  long seconds = 0;
  unsigned long seed = 1;
  size_t max_len = 4096;
  unsigned timeout = 1200;
  std::string artifacts = "./";
  std::vector<std::string> paths;
};

// What runs now, for the handlers that keep it.
Bytes current;
std::string artifacts;

void Keep(const char* kind) {
  const uint64_t hash = std::hash<std::string_view>{}(
      std::string_view(reinterpret_cast<const char*>(current.data()), current.size()));
  char name[40];
  std::snprintf(name, sizeof name, "%s-%016llx", kind,
                static_cast<unsigned long long>(hash));
  std::ofstream(artifacts + name, std::ios::binary)
      .write(reinterpret_cast<const char*>(current.data()),
             static_cast<std::streamsize>(current.size()));
  std::fprintf(stderr, "The input is in %s%s\n", artifacts.c_str(), name);
}

void OnDeath() { Keep("crash"); }

void OnSignal(int signal) {
  Keep(signal == SIGALRM ? "timeout" : "crash");
  ::_exit(77);
}

Bytes ReadBytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Run(const Bytes& input, unsigned timeout) {
  current = input;
  ::alarm(timeout);
  // In a block of exactly its size, where the sanitizer sees its end.
  const Bytes exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  ::alarm(0);
}

// One to eight changes of some input, some of them with parts of another.
Bytes Mutate(const std::vector<Bytes>& corpus, size_t max_len, std::mt19937_64& random) {
  const auto below = [&](size_t n) { return n ? random() % n : 0; };
  Bytes input = corpus[below(corpus.size())];
  for (uint64_t changes = 1 + below(8); changes > 0; --changes) {
    const size_t at = below(input.size());
    const size_t size = std::min<size_t>(1 + below(16), input.size() - at);
    const auto place = input.begin() + static_cast<ptrdiff_t>(at);
    switch (below(7)) {
      case 0:
        if (!input.empty()) input[at] ^= static_cast<uint8_t>(1 << below(8));
        break;
      case 1:
        if (!input.empty()) input[at] = static_cast<uint8_t>(random());
        break;
      case 2:
        input.insert(place, static_cast<uint8_t>(random()));
        break;
      case 3:
        input.erase(place, place + static_cast<ptrdiff_t>(size));
        break;
      case 4: {
        const Bytes part(place, place + static_cast<ptrdiff_t>(size));
        input.insert(input.begin() + static_cast<ptrdiff_t>(below(input.size() + 1)),
                     part.begin(), part.end());
        break;
      }
      case 5: {
        constexpr uint8_t kOdd[] = {0, 1, 0x7F, 0x80, 0xFF, '"', '\\', '\n', '\r', ','};
        for (size_t i = 0; i < size; ++i) input[at + i] = kOdd[below(sizeof kOdd)];
        break;
      }
      default: {
        const Bytes& other = corpus[below(corpus.size())];
        const size_t from = below(other.size());
        input.insert(
            place, other.begin() + static_cast<ptrdiff_t>(from),
            other.begin() + static_cast<ptrdiff_t>(from + below(other.size() - from)));
      }
    }
  }
  if (input.size() > max_len) input.resize(max_len);
  return input;
}

Flags ParseFlags(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equal = argument.find('=');
    if (argument[0] != '-') {
      flags.paths.push_back(argument);
      continue;
    }
    const std::string name = argument.substr(1, equal - 1);
    const std::string value =
        equal == std::string::npos ? "" : argument.substr(equal + 1);
    if (name == "runs") flags.runs = std::stol(value);
    if (name == "max_total_time") flags.seconds = std::stol(value);
    if (name == "seed") flags.seed = std::stoul(value);
    if (name == "max_len") flags.max_len = std::stoul(value);
    if (name == "timeout") flags.timeout = static_cast<unsigned>(std::stoul(value));
    if (name == "artifact_prefix") flags.artifacts = value;
  }
  return flags;
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags = ParseFlags(argc, argv);
  artifacts = flags.artifacts;
  __sanitizer_set_death_callback(OnDeath);
  ::signal(SIGABRT, OnSignal);
  ::signal(SIGALRM, OnSignal);

  const auto begin = std::chrono::steady_clock::now();
  std::vector<Bytes> corpus;
  bool folders = false;
  for (const fs::path path : flags.paths) {
    folders |= fs::is_directory(path);
    if (!fs::is_directory(path)) {
      corpus.push_back(ReadBytes(path));
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) corpus.push_back(ReadBytes(entry));
    }
  }
  corpus.emplace_back();
  long runs = 0;
  for (const Bytes& input : corpus) {
    Run(input, flags.timeout);
    ++runs;
  }
  std::mt19937_64 random(flags.seed);
  const auto seconds = [&] {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::steady_clock::now() - begin)
        .count();
  };
  while (folders && (flags.runs < 0 || runs < flags.runs) &&
         (flags.seconds == 0 || seconds() < flags.seconds)) {
    Run(Mutate(corpus, flags.max_len, random), flags.timeout);
    ++runs;
  }
  std::printf("Done %ld runs in %ld second(s)\n", runs, static_cast<long>(seconds()));
  return 0;
}
