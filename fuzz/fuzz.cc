// SPDX-License-Identifier: Apache-2.0
#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "../tests/cpp/streams.h"
#include "arrow/scalar.h"
#include "core/common/text.h"
#include "core/format/bad_rows.h"
#include "core/format/schema.h"
#include "core/format/to_json.h"

namespace fast_axolotl::fuzz {

void Fail(const char* file, int line, const char* what, const std::string& seen) {
  std::fprintf(stderr, "%s:%d: broken promise: %s\n%s\n", file, line, what, seen.c_str());
  std::abort();
}

uint8_t Choices::Byte() {
  if (rest_.empty()) return 0;
  const auto byte = static_cast<uint8_t>(rest_[0]);
  rest_.remove_prefix(1);
  return byte;
}

int64_t Choices::Int64() {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= uint64_t{Byte()} << (8 * i);
  return static_cast<int64_t>(value);
}

int64_t Choices::Step() {
  const int64_t byte = Byte();
  return byte < 200 ? byte + 1 : (byte - 199) * 1000;
}

int64_t Steps::Next(int64_t most) {
  // Numerical Recipes' quick generator; the upper half is random enough for sizes.
  state_ = state_ * 6364136223846793005u + 1442695040888963407u;
  return 1 + static_cast<int64_t>((state_ >> 33) % static_cast<uint64_t>(most));
}

std::string Said(const Status& status) {
  const std::string text = status.ToString();
  return text.substr(0, text.find(", found"));
}

std::string Pass::Shown() const {
  std::string text = std::to_string(rows.size()) + " rows";
  for (const std::string& row : rows) text += "\n  " + Quoted(row, 300);
  return text + "\n  " + end.ToString();
}

bool Pass::operator==(const Pass& other) const {
  return rows == other.rows && Said(end) == Said(other.end);
}

namespace {

// A folder of this process, gone at its end.
class Folder {
 public:
  Folder() {
    const auto in = std::filesystem::is_directory("/dev/shm")
                        ? std::filesystem::path("/dev/shm")
                        : std::filesystem::temp_directory_path();
    std::string name = in / "fuzz-detect-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

std::string WriteFile(const char* name, std::string_view bytes) {
  static const Folder folder;
  const std::string path = folder.path() / name;
  const int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0 ||
      ::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    std::abort();
  }
  ::close(fd);
  return path;
}

Input MemoryInput(const Format& format, std::string path, std::string_view content,
                  const Codec* codec) {
  Input input;
  input.file.path = std::move(path);
  input.file.size = static_cast<int64_t>(content.size());
  input.format = &format;
  input.codec = codec;
  input.content = arrow::Buffer::FromString(std::string(content));
  return input;
}

namespace {

std::string RowText(const arrow::RecordBatch& batch, int64_t row) {
  std::string text;
  const int hidden = BadRowsIndex(*batch.schema());
  for (int i = 0; i < batch.num_columns(); ++i) {
    // Of good rows it says nothing, and is only there beside bad ones.
    if (i == hidden && batch.column(i)->IsNull(row)) continue;
    text += batch.column_name(i) + '=';
    if (!AppendJson(*batch.column(i), row, &text).ok()) {
      const auto scalar = batch.column(i)->GetScalar(row);
      text += scalar.ok() ? (*scalar)->ToString() : scalar.status().ToString();
    }
    text += '\n';
  }
  return text;
}

constexpr size_t kMostRows = 20'000;

// Reads a fragment as scan/ does, as far as its rows go where they are known; whether the
// pass goes on behind it.
bool ReadFragment(const Input& input, const OpenedFile& opened, const Fragment& fragment,
                  Pass* pass) {
  auto reader = opened.open(fragment);
  pass->end = reader.status();
  int64_t rows = 0;
  while (pass->end.ok() && rows != fragment.rows) {
    auto task = (*reader)();
    pass->end = task.status();
    if (!task.ok()) break;
    if (!*task) {
      if (fragment.rows >= 0) {
        pass->end = Status::IOError(input.file.path, ": expected more rows");
      }
      break;
    }
    const Decoded decoded = (*task)->decode();
    pass->end = decoded.end;
    if (!decoded.rows) continue;
    const Status valid = decoded.rows->ValidateFull();
    FUZZ_CHECK(valid.ok(), input.file.path + ": " + valid.ToString());
    for (int64_t row = 0; row < decoded.rows->num_rows(); ++row) {
      if (rows == fragment.rows) break;
      // A few bytes may stand for any number of rows.
      if (pass->rows.size() == kMostRows) return false;
      pass->rows.push_back(RowText(*decoded.rows, row));
      ++rows;
    }
  }
  if (rows == fragment.rows) pass->end = Status::OK();
  return pass->end.ok();
}

}  // namespace

Pass ReadRows(const Input& input, const ReadOptions& options,
              std::shared_ptr<const FileIndex> index) {
  Pass pass;
  const auto opened = input.format->open(input, options, std::move(index));
  pass.end = opened.status();
  if (opened.ok()) {
    for (const Fragment& fragment : opened->fragments) {
      if (!ReadFragment(input, *opened, fragment, &pass)) break;
    }
  }
  FUZZ_CHECK(pass.end.ok() || pass.end.message().find(input.file.path) == 0,
             pass.end.ToString());
  return pass;
}

ReadOptions StableOptions(const ReadOptions& options, const arrow::Schema& sampled,
                          bool json) {
  arrow::FieldVector fields;
  for (const auto& field : sampled.fields()) {
    if (IsPresenceField(*field)) continue;
    if (json) {
      fields.push_back(JsonField(field->name()));
    } else if (field->type()->id() == arrow::Type::NA) {
      fields.push_back(arrow::field(field->name(), arrow::utf8()));
    } else {
      fields.push_back(StableField(*field));
    }
  }
  ReadOptions stable = options;
  stable.sampled = stable.stable = arrow::schema(std::move(fields));
  return stable;
}

Status CutInSteps(std::string_view text, const RowSplitter& splitter, Steps steps,
                  int64_t most, const Visit& visit) {
  size_t begin = 0;
  size_t end = 0;
  size_t searched = 0;
  for (;;) {
    const bool at_end = end == text.size();
    if (!at_end) end = std::min(text.size(), end + steps.Next(most));
    PaddedText part(text.substr(begin, end - begin), Block::kPadding);
    // The end is known only to a read that finds nothing.
    ARROW_ASSIGN_OR_RAISE(const Cut cut,
                          splitter({part.begin(), part.size()}, searched, at_end));
    FUZZ_CHECK(cut.end <= part.size(), std::to_string(cut.end));
    if (cut.end > 0) {
      visit(begin, cut);
      begin += cut.end;
      searched = 0;
      continue;
    }
    if (at_end) return Status::OK();
    searched = part.size();
  }
}

void CheckCuts(const Input& input, const ReadOptions& options, MakeFraming splitter,
               int64_t (*count_lines)(std::string_view), Steps steps) {
  const Pass whole = ReadRows(input, options);
  const auto index = input.format->index(input, options);
  if (!index.ok()) {
    FUZZ_CHECK(!whole.end.ok(), index.status().ToString() + "\n" + whole.Shown());
    return;
  }
  const Pass indexed =
      ReadRows(input, options, std::make_shared<const FileIndex>(*index));
  if (!index->damages.empty()) {
    // What is behind the damage is known to nobody.
    FUZZ_CHECK(!whole.end.ok() && indexed.rows == whole.rows,
               indexed.Shown() + "\nand in one go\n" + whole.Shown());
    return;
  }
  FUZZ_CHECK(indexed == whole, indexed.Shown() + "\nand in one go\n" + whole.Shown());
  if (index->fragments.empty() || index->framing == Framing::kObject) return;

  const auto first = static_cast<size_t>(index->fragments.front().begin);
  const auto last = static_cast<size_t>(index->fragments.back().end);
  const std::string_view text = std::string_view(*input.content).substr(0, last);
  auto cuts = std::make_shared<FileIndex>();
  cuts->framing = index->framing;
  int64_t rows = 0;
  const Status end =
      CutInSteps(text.substr(first), splitter(index->framing), steps, 40,
                 [&](size_t begin, const Cut& cut) {
                   const size_t at = first + begin;
                   const int64_t lines = index->fragments.front().line +
                                         count_lines(text.substr(first, begin));
                   const auto framed = static_cast<int64_t>(cut.row_ends.size());
                   // Of lines it is not known which are rows.
                   cuts->fragments.push_back(
                       {static_cast<int64_t>(at), static_cast<int64_t>(at + cut.end),
                        index->framing == Framing::kLines ? -1 : framed, rows, lines});
                   rows += framed;
                 });
  FUZZ_CHECK(end.ok(), end.ToString() + "\n" + whole.Shown());
  const Pass pieces = ReadRows(input, options, std::move(cuts));
  FUZZ_CHECK(pieces == whole, pieces.Shown() + "\nand in one go\n" + whole.Shown());
}

Streamed ReadStream(arrow::io::InputStream& stream, Steps steps, int64_t most,
                    size_t limit) {
  Streamed streamed;
  std::string part(static_cast<size_t>(most), '\0');
  while (streamed.text.size() < limit) {
    const int64_t want = steps.Next(most);
    const auto got = stream.Read(want, part.data());
    streamed.end = got.status();
    streamed.whole = got.ok() && *got == 0;
    if (!got.ok() || *got == 0) break;
    FUZZ_CHECK(*got <= want, std::to_string(*got));
    streamed.text.append(part.data(), static_cast<size_t>(*got));
  }
  return streamed;
}

namespace {

constexpr size_t kMostDecoded = 1 << 20;

// Both are the same, or the same as far as both go where one of them has failed or was
// ended.
void CheckSame(const Streamed& a, const Streamed& b, const char* what) {
  const size_t both = std::min({a.text.size(), b.text.size(), kMostDecoded});
  const std::string seen = std::string(what) + ": " + std::to_string(a.text.size()) +
                           " bytes, " + a.end.ToString() + "; " +
                           std::to_string(b.text.size()) + " bytes, " + b.end.ToString();
  FUZZ_CHECK(std::memcmp(a.text.data(), b.text.data(), both) == 0, seen);
  if (a.whole && b.whole) FUZZ_CHECK(a.text.size() == b.text.size(), seen);
}

}  // namespace

Streamed CheckCodec(const Codec& codec, std::string_view data, Steps steps) {
  const std::string path = "/file";
  const auto raw = [&](int64_t most) {
    return std::make_shared<TrickleStream>(std::string(data), most);
  };
  const auto opened = codec.open(raw(1 << 30), path);
  FUZZ_CHECK(opened.ok(), opened.status().ToString());
  const Streamed whole = ReadStream(**opened, Steps(0), 1 << 18, kMostDecoded);
  FUZZ_CHECK(whole.end.ok() || whole.end.message().find(path) == 0, whole.end.ToString());

  const auto trickled = codec.open(raw(steps.Next(50)), path);
  const Streamed slow =
      ReadStream(**trickled, steps, whole.text.size() < 5000 ? 20 : 70'000, kMostDecoded);
  CheckSame(slow, whole, "in steps");
  // It fails at the same place of the data as well, whatever the reads.
  if (whole.text.size() < kMostDecoded && slow.text.size() < kMostDecoded) {
    // Of matches at a wrong distance, and of those before them, ISA-L does not tell how
    // far they go.
    const std::string& said = whole.end.message();
    const size_t unknown = said.find("deflate distance") != std::string::npos ||
                                   said.find("deflate symbol") != std::string::npos
                               ? 1024
                               : 0;
    const size_t less = std::min(slow.text.size(), whole.text.size());
    const size_t more = std::max(slow.text.size(), whole.text.size());
    FUZZ_CHECK(slow.whole == whole.whole && more - less <= unknown,
               std::to_string(slow.text.size()) + " bytes, " + slow.end.ToString() +
                   "\n" + std::to_string(whole.text.size()) + " bytes, " +
                   whole.end.ToString());
  }

  std::vector<RestartPoint> points;
  const auto recorded = codec.open_recording(raw(steps.Next(5000)), path, &points);
  const Streamed noted = ReadStream(**recorded, steps, 70'000, kMostDecoded);
  CheckSame(noted, whole, "recording");
  // What is indexed can be read.
  if (noted.whole) FUZZ_CHECK(whole.whole, whole.end.ToString());
  for (const RestartPoint& point : points) {
    const auto from = static_cast<size_t>(point.in - (point.bits > 0 ? 1 : 0));
    const auto rest = codec.open_at(
        std::make_shared<TrickleStream>(std::string(data.substr(from)), 1 << 30), path,
        point);
    const Streamed tail = ReadStream(**rest, steps, 70'000, kMostDecoded);
    if (static_cast<size_t>(point.out) > whole.text.size()) continue;
    CheckSame(tail,
              {whole.text.substr(static_cast<size_t>(point.out)), whole.end, whole.whole},
              "from a restart point");
  }
  return whole;
}

}  // namespace fast_axolotl::fuzz
