// SPDX-License-Identifier: Apache-2.0

// The index file; DESIGN.md has its layout. A new version gets a new magic.

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/index/store.h"

namespace fast_axolotl {
namespace {

constexpr std::string_view kIndexMagic = "FAXIDX03";
constexpr std::string_view kLengthsMagic = "FAXLEN01";
// Of one file; the sums over all files are far from the end of 64 bits.
constexpr int64_t kMaxRows = int64_t{1} << 48;

class Writer {
 public:
  template <typename T>
  void Put(T value) {
    static_assert(std::is_integral_v<T>);
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out_.append(bytes, sizeof value);
  }
  void PutText(std::string_view text) {
    Put<uint64_t>(text.size());
    out_ += text;
  }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  bool Get(T* value) {
    if (rest_.size() < sizeof *value) return false;
    std::memcpy(value, rest_.data(), sizeof *value);
    rest_.remove_prefix(sizeof *value);
    return true;
  }
  bool GetText(std::string* text) {
    uint64_t size;
    if (!Get(&size) || size > rest_.size()) return false;
    text->assign(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return true;
  }
  // A count of things that take at least `width` bytes each.
  bool GetCount(uint64_t width, uint64_t* count) {
    return Get(count) && *count <= rest_.size() / width;
  }
  bool done() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

uint32_t Checksum(std::string_view bytes) {
  return static_cast<uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

void PutFragments(Writer& writer, const std::vector<Fragment>& fragments) {
  writer.Put<uint64_t>(fragments.size());
  for (const Fragment& fragment : fragments) {
    writer.Put(fragment.begin);
    writer.Put(fragment.end);
    writer.Put(fragment.rows);
    writer.Put(fragment.row);
    writer.Put(fragment.line);
    writer.Put(fragment.bad);
  }
}

bool GetFragments(Reader& reader, std::vector<Fragment>* fragments) {
  uint64_t count;
  if (!reader.GetCount(6 * sizeof(int64_t), &count)) return false;
  int64_t bad = 0;
  int64_t row = 0;
  int64_t end = 0;
  for (uint64_t i = 0; i < count; ++i) {
    Fragment fragment;
    if (!reader.Get(&fragment.begin) || !reader.Get(&fragment.end) ||
        !reader.Get(&fragment.rows) || !reader.Get(&fragment.row) ||
        !reader.Get(&fragment.line) || !reader.Get(&fragment.bad)) {
      return false;
    }
    if (fragment.begin < end || fragment.end < fragment.begin || fragment.rows < 0 ||
        fragment.rows > kMaxRows - row || fragment.row != row || fragment.line < 0 ||
        fragment.bad < bad) {
      return false;
    }
    bad = fragment.bad;
    row += fragment.rows;
    end = fragment.end;
    fragments->push_back(fragment);
  }
  return true;
}

// Whether no bytes lie between fragments, where none were given up as damaged.
bool AreWhole(const std::vector<Fragment>& fragments) {
  const auto gap = [](const Fragment& fragment, const Fragment& next) {
    return fragment.end != next.begin;
  };
  return std::adjacent_find(fragments.begin(), fragments.end(), gap) == fragments.end();
}

// Parts cover just the rows of the fragments, if there are any.
bool SameRows(const FileIndex& index) {
  const auto end = [](const std::vector<Fragment>& fragments) {
    return fragments.empty() ? 0 : fragments.back().row + fragments.back().rows;
  };
  return index.parts.empty() || end(index.parts) == end(index.fragments);
}

bool ReadPoints(Reader& reader, FileIndex* index) {
  uint64_t count;
  if (!reader.GetCount(4 * sizeof(int64_t), &count)) return false;
  int64_t out = 0;
  for (uint64_t i = 0; i < count; ++i) {
    RestartPoint point;
    int32_t bits;
    if (!reader.Get(&point.in) || !reader.Get(&bits) || !reader.Get(&point.out) ||
        !reader.Get(&point.crc) || !reader.Get(&point.member) ||
        !reader.GetText(&point.window)) {
      return false;
    }
    point.bits = bits;
    if (point.in < (bits > 0 ? 1 : 0) || bits < 0 || bits > 7 || point.out < out ||
        point.window.size() > 32768) {
      return false;
    }
    out = point.out;
    index->points.push_back(std::move(point));
  }
  return true;
}

bool ReadBadRows(Reader& reader, FileIndex* index) {
  uint8_t validated;
  uint64_t damages;
  if (!reader.Get(&validated) || !reader.GetCount(sizeof(int64_t), &damages)) {
    return false;
  }
  index->validated = validated != 0;
  for (uint64_t i = 0; i < damages; ++i) {
    Damage damage;
    if (!reader.Get(&damage.row) || !reader.GetText(&damage.reason)) return false;
    if (damage.row <= (index->damages.empty() ? -1 : index->damages.back().row)) {
      return false;
    }
    index->damages.push_back(std::move(damage));
  }
  uint64_t count;
  if (!reader.GetCount(sizeof(int64_t), &count)) return false;
  for (uint64_t i = 0; i < count; ++i) {
    int64_t row = 0;
    if (!reader.Get(&row)) return false;
    if (row <= (index->bad.empty() ? -1 : index->bad.back())) return false;
    index->bad.push_back(row);
  }
  const auto known = [&](const Fragment& fragment) {
    return fragment.bad <= static_cast<int64_t>(damages + count);
  };
  return std::all_of(index->fragments.begin(), index->fragments.end(), known) &&
         std::all_of(index->parts.begin(), index->parts.end(), known);
}

Status Damaged() { return Status::IOError("the index is damaged"); }

// A body with its magic and checksum.
std::string Seal(std::string_view magic, const std::string& body) {
  std::string packed(ZSTD_compressBound(body.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), body.data(), body.size(), 1));
  Writer head;
  head.Put(Checksum(packed));
  head.Put<uint64_t>(body.size());
  return std::string(magic) + head.Take() + packed;
}

Result<std::string> Unseal(std::string_view magic, const std::string& bytes,
                           uint64_t most) {
  std::string_view rest = bytes;
  if (!rest.starts_with(magic)) return Damaged();
  rest.remove_prefix(magic.size());
  Reader head(rest);
  uint32_t checksum;
  uint64_t size;
  if (!head.Get(&checksum) || !head.Get(&size) || size > most) return Damaged();
  rest.remove_prefix(sizeof checksum + sizeof size);
  // Before `size` is believed: it is what the frame says of itself, too.
  if (Checksum(rest) != checksum ||
      ZSTD_getFrameContentSize(rest.data(), rest.size()) != size) {
    return Damaged();
  }
  std::string body(size, '\0');
  if (ZSTD_decompress(body.data(), size, rest.data(), rest.size()) != size) {
    return Damaged();
  }
  return body;
}

}  // namespace

std::string EncodeIndex(const FileIndex& index, const std::string& key) {
  Writer writer;
  writer.PutText(key);
  writer.Put(static_cast<uint8_t>(index.framing));
  writer.Put(static_cast<uint8_t>(index.from_start));
  PutFragments(writer, index.fragments);
  PutFragments(writer, index.parts);
  writer.Put<uint64_t>(index.points.size());
  for (const RestartPoint& point : index.points) {
    writer.Put(point.in);
    writer.Put(static_cast<int32_t>(point.bits));
    writer.Put(point.out);
    writer.Put(point.crc);
    writer.Put(point.member);
    writer.PutText(point.window);
  }
  writer.Put(static_cast<uint8_t>(index.validated));
  writer.Put<uint64_t>(index.damages.size());
  for (const Damage& damage : index.damages) {
    writer.Put(damage.row);
    writer.PutText(damage.reason);
  }
  writer.Put<uint64_t>(index.bad.size());
  for (const int64_t row : index.bad) writer.Put(row);
  return Seal(kIndexMagic, writer.Take());
}

Result<FileIndex> DecodeIndex(const std::string& bytes, const std::string& key,
                              uint64_t most) {
  ARROW_ASSIGN_OR_RAISE(const std::string body, Unseal(kIndexMagic, bytes, most));
  Reader reader(body);
  std::string found;
  uint8_t framing;
  uint8_t from_start;
  FileIndex index;
  if (!reader.GetText(&found) || found != key) {
    return Status::IOError("the index is for another file, or another state of it");
  }
  if (!reader.Get(&framing) || framing > static_cast<uint8_t>(Framing::kObject) ||
      !reader.Get(&from_start) || !GetFragments(reader, &index.fragments) ||
      !GetFragments(reader, &index.parts) || !SameRows(index) ||
      !ReadPoints(reader, &index) || !ReadBadRows(reader, &index) || !reader.done()) {
    return Damaged();
  }
  if (index.damages.empty() && !(AreWhole(index.fragments) && AreWhole(index.parts))) {
    return Damaged();
  }
  index.framing = static_cast<Framing>(framing);
  index.from_start = from_start != 0;
  return index;
}

std::string EncodeLengths(const std::vector<uint32_t>& lengths, const std::string& key) {
  Writer writer;
  writer.PutText(key);
  writer.Put<uint64_t>(lengths.size());
  for (const uint32_t length : lengths) writer.Put(length);
  return Seal(kLengthsMagic, writer.Take());
}

Result<std::vector<uint32_t>> DecodeLengths(const std::string& bytes,
                                            const std::string& key, uint64_t most) {
  ARROW_ASSIGN_OR_RAISE(const std::string body, Unseal(kLengthsMagic, bytes, most));
  Reader reader(body);
  std::string found;
  uint64_t count;
  if (!reader.GetText(&found) || found != key) {
    return Status::IOError("the lengths are of another file, or another state of it");
  }
  if (!reader.GetCount(sizeof(uint32_t), &count)) return Damaged();
  std::vector<uint32_t> lengths(count);
  for (uint32_t& length : lengths) reader.Get(&length);
  if (!reader.done()) return Damaged();
  return lengths;
}

}  // namespace fast_axolotl
