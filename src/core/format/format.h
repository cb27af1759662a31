// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arrow/record_batch.h"
#include "core/codec/codec.h"
#include "core/common/error.h"
#include "core/format/bad_rows.h"
#include "core/format/block_reader.h"
#include "core/format/options.h"

namespace fast_axolotl {

struct Input;

/// Rows that were decoded, and how it ended: when `end` is an error, `rows` holds the
/// good rows before the fault (or is null).
struct Decoded {
  std::shared_ptr<arrow::RecordBatch> rows;
  Status end;
  /// While it is being decoded: the bad rows, which `rows` lacks, in ascending order.
  std::vector<BadRow> bad = {};
};

/// One piece of decoding: it touches no state but its own, so any thread may run it, at
/// any time, once. `bytes` is about what it keeps in memory, undecoded or
/// decoded.
struct DecodeTask {
  std::function<Decoded()> decode;
  int64_t bytes = 0;
};

/// Gives the place of damage behind which reading goes on.
DecodeTask LostPart(const Damage& damage);

/// Reads a fragment from its start: each call returns the next task, in the order of the
/// rows, or nothing at the end. Calls must not overlap.
using FragmentReader = std::function<Result<std::optional<DecodeTask>>()>;

/// One independently decodable piece of a file: `[begin, end)` in the format's own unit,
/// which is row groups, IPC batches, or bytes of the (decompressed) text.
struct Fragment {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t rows = -1;  // -1: not known
  int64_t row = 0;    // rows before it in the file, where that is known
  int64_t line = 0;   // newlines before it, in text
  /// Of the file's bad rows and damages, which `rows` and `row` leave out: those before
  /// it.
  int64_t bad = 0;

  /// The rows before it in the file, bad ones too.
  int64_t first_row() const { return row + bad; }
};

/// Ends the message where a file has not the rows that its index says.
inline constexpr std::string_view kChangedSinceIndexed =
    "; the file has changed since it was indexed";

/// Where the rows of a file are, exactly: its fragments in their order, and for a
/// compressed text the places from which it can be decompressed.
struct FileIndex {
  std::vector<Fragment> fragments;
  std::vector<RestartPoint> points;
  Framing framing = Framing::kLines;
  /// Where a fragment is reached only by decompressing all of it: its parts that can be
  /// decoded by themselves, in order, for all fragments.
  std::vector<Fragment> parts;
  /// The whole file is reached only from its start, by whoever needs any of it.
  bool from_start = false;
  /// Rows that were found to be bad and are left out, by their numbers in the file, from
  /// 0, in ascending order.
  std::vector<int64_t> bad = {};
  /// Why parts of the file are not in here, in ascending order; empty where all are.
  std::vector<Damage> damages = {};
  /// All rows were read, and `bad` are those that cannot be.
  bool validated = false;

  /// Whether something was found to be unreadable beforehand, and is left out.
  bool leaves_out() const { return !bad.empty() || (validated && !damages.empty()); }

  /// The rows of all fragments.
  int64_t rows() const {
    return fragments.empty() ? 0 : fragments.back().row + fragments.back().rows;
  }

  /// Whether all of the file that is behind `fragment` belongs to it. It is read to the
  /// file's end, so that rows come up which the index does not know of.
  bool IsLast(const Fragment& fragment) const {
    return damages.empty() && !fragments.empty() && fragment.end == fragments.back().end;
  }

  /// The smallest run of parts of `fragment` that holds its rows `[begin, end)`; the
  /// fragment itself where it has no parts.
  Fragment Narrow(const Fragment& fragment, int64_t begin, int64_t end) const;
};

/// A file whose fragments can be read, in any order and side by side.
struct OpenedFile {
  /// Whether it keeps a temporary file, decompressed, open.
  bool temporary = false;
  /// Whether a fragment is decompressed as it is read, which takes as long as decoding
  /// it.
  bool decompresses = false;
  std::vector<Fragment> fragments;
  std::function<Result<FragmentReader>(const Fragment&)> open;
};

/// A pass over a whole file that was begun to sample it. It gives the rows that were
/// decoded then, and goes on behind them with the options it is given.
using BegunPass = std::function<Result<FragmentReader>(const ReadOptions&)>;

/// What the start of a file shows.
struct Sample {
  std::shared_ptr<arrow::Schema> schema;
  int64_t rows = 0;
  int64_t bytes = 0;      // of the stored file, about, that hold those rows
  bool complete = false;  // the sample is the whole file, so `rows` is exact
  /// Set where the pass can go on: for passes that take all columns as they come, once.
  BegunPass begun;
};

/// How rows are laid down in a file. All functions return errors that name the file.
struct Format {
  std::string_view name;
  std::vector<std::string_view> suffixes;
  /// Whether a file that starts with `head` is of this format; null for text, whose bytes
  /// do not tell.
  bool (*matches)(std::string_view head);
  /// The columns of the file, from a footer or its first 4 MiB.
  Result<Sample> (*sample)(const Input&, const ReadOptions&);
  /// Makes the file ready for reading. Its fragments are those of `index`; without one,
  /// those that are known without counting, with or without their rows.
  Result<OpenedFile> (*open)(const Input&, const ReadOptions&,
                             std::shared_ptr<const FileIndex> index);
  /// Finds every fragment and its rows: from a footer, or by one pass over the file.
  Result<FileIndex> (*index)(const Input&, const ReadOptions&);
  /// The file's number of rows where a footer tells it, -1 where this file has none. Null
  /// for formats that never tell.
  Result<int64_t> (*count)(const Input&, const ReadOptions&);
};

/// Every format there is. A new one is a source file and a line in this table.
std::span<const Format* const> Formats();

/// The format called `name`, or null.
const Format* FindFormat(std::string_view name);

// The formats of the table.
extern const Format kParquet;
extern const Format kArrow;
extern const Format kFeather;
extern const Format kJson;
extern const Format kJsonl;
extern const Format kCsv;
extern const Format kText;

}  // namespace fast_axolotl
