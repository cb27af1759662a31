// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "core/format/format.h"
#include "core/format/input.h"

// What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput, which
// aborts where the code under test has broken a promise.

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace fast_axolotl::fuzz {

[[noreturn]] void Fail(const char* file, int line, const char* what,
                       const std::string& seen);

/// Aborts, so that the input is kept, unless the condition holds.
#define FUZZ_CHECK(condition, seen)                                       \
  do {                                                                    \
    if (!(condition)) {                                                   \
      ::fast_axolotl::fuzz::Fail(__FILE__, __LINE__, #condition, (seen)); \
    }                                                                     \
  } while (false)

/// Choices taken from the front of an input: how the rest is read is part of the input,
/// so the fuzzer changes that as well.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  /// The next byte, 0 behind the end.
  uint8_t Byte();
  /// The next eight bytes, little-endian.
  int64_t Int64();
  /// A number from 1 on, mostly a small one.
  int64_t Step();
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// A number generator for sizes of reads: those of one input are always the same.
class Steps {
 public:
  explicit Steps(uint64_t seed) : state_(seed * 2 + 1) {}
  /// From 1 to `most`.
  int64_t Next(int64_t most);

 private:
  uint64_t state_;
};

/// A text and how its rows are read, which the first two bytes of an input say.
struct TextInput {
  explicit TextInput(Choices choices)
      : kind(choices.Byte()), second(choices.Byte()), text(choices.rest()) {}

  uint8_t kind;  // for the target to read
  uint8_t second;
  std::string_view text;

  /// Whether reading goes on behind a row that cannot be read.
  bool goes_on() const { return second >= 128; }
  Steps steps() const { return Steps(second); }
};

/// An error without what was found in the wrong place, of which messages show as much as
/// was read.
std::string Said(const Status& status);

/// The rows of a pass, each as text, and how it ended.
struct Pass {
  std::vector<std::string> rows;
  Status end;

  std::string Shown() const;
  bool operator==(const Pass& other) const;
};

/// A file that is in memory. `path` is what errors name, and where a format looks for the
/// name's suffix.
Input MemoryInput(const Format& format, std::string path, std::string_view content,
                  const Codec* codec = nullptr);

/// Writes a file of that name in a folder that is gone at the end; its path.
std::string WriteFile(const char* name, std::string_view bytes);

/// All rows of a file. Aborts if a batch is not valid, or an error does not name the
/// file.
Pass ReadRows(const Input& input, const ReadOptions& options,
              std::shared_ptr<const FileIndex> index = nullptr);

/// Options under which each block has the same columns of the same types: those of a
/// sample, JSON values as they stand in the text.
ReadOptions StableOptions(const ReadOptions& options, const arrow::Schema& sampled,
                          bool json);

/// Reads a text in one go, by its index, and by an index cut at whatever places the
/// splitter allows. Aborts unless all of them give the same rows and the same error.
/// `splitter`: of the text from its first row on, framed as the index says.
using MakeFraming = RowSplitter (*)(Framing framing);
void CheckCuts(const Input& input, const ReadOptions& options, MakeFraming splitter,
               int64_t (*count_lines)(std::string_view), Steps steps);

/// Cuts a text as BlockReader does, as it grows in `steps`; calls `visit` for each cut
/// with where it begins. Returns how it ended.
using Visit = std::function<void(size_t begin, const Cut& cut)>;
Status CutInSteps(std::string_view text, const RowSplitter& splitter, Steps steps,
                  int64_t most, const Visit& visit);

/// All that a stream gives in reads of up to `most` bytes, at most about `limit` of it.
struct Streamed {
  std::string text;
  Status end;
  bool whole = false;  // the end was reached
};
Streamed ReadStream(arrow::io::InputStream& stream, Steps steps, int64_t most,
                    size_t limit);

/// Reads codec data in one go, in steps, and with restart points noted down. Aborts
/// unless all of them agree; returns what it is, decompressed.
Streamed CheckCodec(const Codec& codec, std::string_view data, Steps steps);

}  // namespace fast_axolotl::fuzz
