// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>

namespace fast_axolotl {

/// The numbers behind every shuffle, version 1. They are part of what a saved state means
/// and never change under this version; tests/plan_reference.py is the same in Python.
///
/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
/// 2014), keyed by hashing its inputs through the generator's own finalizer.
class Random {
 public:
  /// A generator of its own for each sequence of keys.
  explicit Random(std::initializer_list<uint64_t> keys) {
    for (const uint64_t key : keys) {
      state_ ^= key;
      state_ = Next();
    }
  }

  uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  /// A number from 0 to `bound - 1`, each as likely as any other (Lemire: "Fast random
  /// integer generation in an interval", 2019).
  uint64_t Below(uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    Wide product = static_cast<Wide>(Next()) * bound;
    if (static_cast<uint64_t>(product) < bound) {
      const uint64_t least = -bound % bound;
      while (static_cast<uint64_t>(product) < least) {
        product = static_cast<Wide>(Next()) * bound;
      }
    }
    return static_cast<uint64_t>(product >> 64);
  }

  /// Puts `values` into random order (Fisher and Yates, from the end).
  template <typename T>
  void Shuffle(std::span<T> values) {
    for (size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1], values[Below(i)]);
    }
  }

 private:
  uint64_t state_ = 0;
};

}  // namespace fast_axolotl
