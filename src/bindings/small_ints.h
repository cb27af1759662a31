// SPDX-License-Identifier: Apache-2.0
//
// Ready-made int objects for the numbers that token ids, labels and masks are made of.
// Sharing one object is what CPython does itself for -5 to 256.

#pragma once

#include <Python.h>

#include <concepts>
#include <cstdint>

namespace fast_axolotl {

constexpr int64_t kSmallIntBegin = -1024;
constexpr int64_t kSmallIntEnd = 262144;

extern PyObject* small_ints[kSmallIntEnd - kSmallIntBegin];

// Makes the block of objects around small_ints[index]; a borrowed reference to that one,
// or null with MemoryError set.
PyObject* MakeSmallInts(uint64_t index);

template <std::integral T>
inline PyObject* NewInt(T number) {
  constexpr uint64_t kSize = kSmallIntEnd - kSmallIntBegin;
  uint64_t index = static_cast<uint64_t>(number) - static_cast<uint64_t>(kSmallIntBegin);
  if constexpr (std::unsigned_integral<T> && sizeof(T) == 8) {
    // The largest uint64 would wrap around to the negative end of the table.
    if (number >= static_cast<uint64_t>(kSmallIntEnd)) index = kSize;
  }
  if (index < kSize) [[likely]] {
    PyObject* value = small_ints[index];
    if (value == nullptr) [[unlikely]] {
      value = MakeSmallInts(index);
      if (value == nullptr) return nullptr;
    }
    return Py_NewRef(value);
  }
  if constexpr (std::unsigned_integral<T>) {
    return PyLong_FromUnsignedLongLong(number);
  } else {
    return PyLong_FromLongLong(number);
  }
}

}  // namespace fast_axolotl
