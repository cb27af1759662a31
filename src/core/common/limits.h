// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace fast_axolotl {

/// What a file may ask for before it is refused. A damaged or hostile file can ask for
/// any amount of memory, time or disk; no file that is meant to be read comes near these.
struct Limits {
  /// The longest row of a text format; the largest batch that one row of a columnar
  /// format may make.
  int64_t row_bytes = int64_t{1} << 30;
  /// Levels of nesting in a JSON row, its object being the first.
  int64_t json_depth = 1024;
  /// Decompressed bytes for each compressed byte, once there are kFreeExpansion of them.
  int64_t expansion = 1000;
  /// Decompressed bytes of a file inside a codec.
  int64_t decoded_bytes = int64_t{1} << 40;
  /// Columns of a file, and of all files together.
  int64_t columns = 10'000;
  /// A footer, a schema or another description of data that is read in one piece.
  int64_t metadata_bytes = int64_t{32} << 20;

  /// What is decompressed before the ratio counts: short runs of one byte are harmless.
  static constexpr int64_t kFreeExpansion = int64_t{64} << 20;

  /// How much `compressed` bytes may become.
  int64_t Expanded(int64_t compressed) const;
};

/// A limit by name, and the values that it can have: from 1 to `most`.
struct NamedLimit {
  std::string_view name;
  int64_t Limits::* value;
  int64_t most;
};

/// Every limit there is.
std::span<const NamedLimit> AllLimits();

/// The end of an error's message that says how to raise the limit `name`, if that can be.
std::string RaiseLimit(const Limits& limits, std::string_view name);

}  // namespace fast_axolotl
