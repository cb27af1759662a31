// SPDX-License-Identifier: Apache-2.0
#include "core/format/input.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/memory.h"
#include "core/codec/decoded_stream.h"
#include "core/codec/slice_stream.h"
#include "core/common/stop.h"
#include "core/common/text.h"
#include "core/format/json/splitter.h"

namespace fast_axolotl {
namespace {

// Enough for every magic number, and for the first words of a JSON file.
constexpr int64_t kHeadBytes = 512;
// How often who waits for another reader looks up.
constexpr std::chrono::milliseconds kPatience{20};

std::string_view BaseName(std::string_view path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string AllowedFormats() {
  std::string names;
  for (const Format* format : Formats()) {
    if (!names.empty()) names += ", ";
    names += format->name;
  }
  return names;
}

Result<std::string> ReadHead(arrow::io::InputStream& stream) {
  std::string head(kHeadBytes, '\0');
  int64_t size = 0;
  while (size < kHeadBytes) {
    ARROW_ASSIGN_OR_RAISE(const int64_t got,
                          stream.Read(kHeadBytes - size, head.data() + size));
    if (got == 0) break;
    size += got;
  }
  head.resize(static_cast<size_t>(size));
  return head;
}

// Whether a file begins with printable magic bytes and is of that format. Text may begin
// so too (a CSV column "PARENT"), unless the name expects the format. But behind these
// bytes every such file has a number in binary, of which some byte is in no text.
bool IsFramed(std::string_view head, std::string_view magic, const Format* expected,
              const Format* format) {
  if (!head.starts_with(magic)) return false;
  if (expected == format || expected == nullptr) return true;
  const std::string_view behind = head.substr(magic.size(), 4);
  return std::any_of(behind.begin(), behind.end(), [](char c) {
    const bool space = c >= '\t' && c <= '\r';
    return static_cast<unsigned char>(c) < ' ' && !space;
  });
}

// Formats that are recognised only to be refused, with the way out.
Status RefuseForeign(const Input& input, std::string_view head, const Format* expected) {
  const std::string& path = input.file.path;
  const auto starts = [&](std::string_view magic) { return head.starts_with(magic); };
  if (IsFramed(head, "FEA1", expected, &kFeather)) {
    return Status::Invalid(
        path,
        ": Feather V1 is not supported; convert the file once with "
        "`pyarrow.feather.write_feather(pyarrow.feather.read_table(old), new)`");
  }
  if (IsFramed(head, "PARE", expected, &kParquet)) {
    return Status::Invalid(path,
                           ": Parquet files with an encrypted footer are not "
                           "supported; decrypt the file first");
  }
  // JSON and CSV begin with ASCII, so a zero byte there is part of a wider unit, of which
  // none is longer than four bytes.
  const bool ascii = expected == &kJson || expected == &kJsonl || expected == &kCsv;
  if (ascii && !head.empty() &&
      head.substr(0, 4).find_first_not_of('\0') == std::string_view::npos) {
    return Status::Invalid(path,
                           ": the file begins with zero bytes, which are no text; they "
                           "are what an interrupted copy or a full disk may leave");
  }
  if (starts("\xFF\xFE") || starts("\xFE\xFF") ||
      starts(std::string_view("\0\0\xFE\xFF", 4)) ||
      (ascii && head.substr(0, 2).find('\0') != std::string_view::npos)) {
    return Status::Invalid(path,
                           ": the text is UTF-16 or UTF-32, only UTF-8 is "
                           "supported; convert it, for example with `iconv -t UTF-8`");
  }
  const bool bzip2 =
      starts("BZh") && head.size() > 4 && head.substr(4).starts_with("1AY&SY");
  if (bzip2 ||
      starts("\xFD"
             "7zXZ") ||
      starts("PK\x03\x04") || starts("7z\xBC\xAF")) {
    return Status::Invalid(path,
                           ": bzip2, xz, zip and 7z files are not supported; "
                           "decompress the file, or compress it with gzip or zstd");
  }
  return Status::OK();
}

}  // namespace

NamedFormat FormatOfName(std::string_view name) {
  name = BaseName(name);
  NamedFormat found;
  found.codec = CodecOfName(&name);
  for (const Format* format : Formats()) {
    for (std::string_view suffix : format->suffixes) {
      if (EndsWithIgnoreCase(name, suffix)) found.format = format;
    }
  }
  return found;
}

Result<Input> DetectInput(const File& file, const Format* format) {
  const NamedFormat named = FormatOfName(file.path);
  Input input;
  input.file = file;
  if (file.size <= Input::kSmallFile) {
    ARROW_ASSIGN_OR_RAISE(input.content, ReadWhole(file));
  }
  ARROW_ASSIGN_OR_RAISE(const auto raw, input.OpenStream(nullptr));
  ARROW_ASSIGN_OR_RAISE(std::string head, ReadHead(*raw));
  input.codec = CodecOfBytes(head);
  if (input.codec) {
    ARROW_ASSIGN_OR_RAISE(auto stream, input.OpenStream(nullptr));
    auto decoded = ReadHead(*stream);
    // A fault right at the start comes up again when the file is read, in its place.
    head = decoded.ok() ? *decoded : std::string();
    // But one that was stopped there is not to be taken for one.
    ARROW_RETURN_NOT_OK(CheckStop());
  } else if (named.codec) {
    return Status::IOError(file.path, ": the name says ", named.codec->name,
                           ", but the file does not start with that format's magic "
                           "number");
  }
  const Format* expected = format ? format : named.format;
  ARROW_RETURN_NOT_OK(RefuseForeign(input, head, expected));

  for (const Format* candidate : Formats()) {
    if (!candidate->matches || !candidate->matches(head)) continue;
    if (candidate == &kParquet && !IsFramed(head, "PAR1", expected, &kParquet)) {
      continue;
    }
    // Where several formats share their bytes, the expected one among them is it.
    if (expected && expected->matches && expected->matches(head)) candidate = expected;
    if (format && candidate != format) {
      return Status::Invalid(file.path, ": format=\"", format->name,
                             "\" was asked for, but the file's first bytes are those of ",
                             candidate->name);
    }
    input.format = candidate;
    return input;
  }
  if (!expected) {
    return Status::Invalid("the format of '", file.path,
                           "' cannot be told from its name or first bytes; pass format= "
                           "as one of ",
                           AllowedFormats());
  }
  input.format = expected;
  // An array under a `.jsonl` name: again the bytes decide.
  std::string_view text = head;
  if (text.starts_with(kByteOrderMark)) {
    text.remove_prefix(kByteOrderMark.size());
  }
  if (!format && expected == &kJsonl && json::BeginsArrayOfObjects(text)) {
    input.format = &kJson;
  }
  return input;
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> Input::Open(
    std::shared_ptr<ByteCounter> counter) const {
  if (!content) return OpenFile(file, std::move(counter));
  if (counter && !shared_->counted.exchange(true)) {
    counter->fetch_add(file.size, std::memory_order_relaxed);
  }
  return std::make_shared<arrow::io::BufferReader>(content);
}

Result<std::shared_ptr<arrow::io::InputStream>> Input::OpenStream(
    std::shared_ptr<ByteCounter> counter) const {
  ARROW_ASSIGN_OR_RAISE(auto raw, Open(std::move(counter)));
  if (!codec) return raw;
  ARROW_ASSIGN_OR_RAISE(auto decoded, codec->open(std::move(raw), file.path));
  LimitDecoded(*decoded, limits, 0);
  return decoded;
}

Result<std::shared_ptr<arrow::io::InputStream>> Input::OpenPart(
    std::shared_ptr<ByteCounter> counter, int64_t in,
    std::vector<RestartPoint>* points) const {
  ARROW_ASSIGN_OR_RAISE(auto raw, Open(std::move(counter)));
  ARROW_RETURN_NOT_OK(raw->Seek(in));
  return points ? codec->open_recording(std::move(raw), file.path, points)
                : codec->open(std::move(raw), file.path);
}

Result<int64_t> Input::FindPart(int64_t from) const {
  constexpr int64_t kStep = int64_t{1} << 20;
  constexpr int64_t kTried = int64_t{64} << 10;
  const std::string_view magic = codec->part_magic;
  const auto starts_part = [&](int64_t at) {
    auto stream = OpenPart(nullptr, at, nullptr);
    int64_t read = 0;
    // What is behind the part is damage of its own.
    while (stream.ok() && read < kTried && (read == 0 || WholeParts(**stream) == 0)) {
      const auto bytes = (*stream)->Read(kTried - read);
      if (!bytes.ok()) return false;
      if ((*bytes)->size() == 0) break;
      read += (*bytes)->size();
    }
    return read > 0;
  };
  ARROW_ASSIGN_OR_RAISE(auto raw, Open(nullptr));
  while (from < file.size) {
    // The magic bytes may lie across two steps.
    const auto overlap = static_cast<int64_t>(magic.size()) - 1;
    ARROW_ASSIGN_OR_RAISE(const auto bytes, raw->ReadAt(from, kStep + overlap));
    const std::string_view text(*bytes);
    for (size_t at = text.find(magic); at != std::string_view::npos;
         at = text.find(magic, at + 1)) {
      const int64_t found = from + static_cast<int64_t>(at);
      if (starts_part(found)) return found;
    }
    from += kStep;
  }
  return -1;
}

Result<std::shared_ptr<arrow::io::InputStream>> Input::OpenRange(
    std::shared_ptr<ByteCounter> counter, const std::vector<RestartPoint>& points,
    int64_t begin, int64_t end) const {
  ARROW_ASSIGN_OR_RAISE(auto raw, Open(std::move(counter)));
  if (!codec) return arrow::io::RandomAccessFile::GetStream(raw, begin, end - begin);
  const auto after = std::upper_bound(
      points.begin(), points.end(), begin,
      [](int64_t at, const RestartPoint& point) { return at < point.out; });
  const RestartPoint start = after == points.begin() ? RestartPoint{} : *(after - 1);
  ARROW_RETURN_NOT_OK(AtFile(file.path, raw->Seek(start.in - (start.bits > 0 ? 1 : 0))));
  ARROW_ASSIGN_OR_RAISE(auto decoded, codec->open_at(std::move(raw), file.path, start));
  LimitDecoded(*decoded, limits, start.out);
  return SliceStream(std::move(decoded), begin - start.out, end - begin);
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> Input::OpenRandomAccess(
    std::shared_ptr<ByteCounter> counter) const {
  if (!codec) return Open(std::move(counter));
  std::unique_lock lock(shared_->mutex, std::defer_lock);
  // Another reader may be at it for long.
  while (!lock.try_lock_for(kPatience)) ARROW_RETURN_NOT_OK(CheckStop());
  if (!shared_->file) {
    ARROW_ASSIGN_OR_RAISE(auto stream, OpenStream(counter));
    ARROW_ASSIGN_OR_RAISE(shared_->file, Spool(*stream, file.path));
    shared_->counted_by = counter;
  }
  // To each reader, once, the file was read that it would have had to read.
  if (counter && shared_->counted_by.lock() != counter) {
    counter->fetch_add(file.size, std::memory_order_relaxed);
    shared_->counted_by = counter;
  }
  return shared_->file;
}

}  // namespace fast_axolotl
