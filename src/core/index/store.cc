// SPDX-License-Identifier: Apache-2.0
#include "core/index/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>
#include <utility>

#include "core/common/stop.h"

namespace fast_axolotl {
namespace {

namespace fs = std::filesystem;

// A file that stands beside the indexes once any of them leaves rows out.
constexpr char kLeavesOut[] = "leaves-out";

// The limits that are not the defaults: they decide which rows are bad.
std::string ChangedLimits(const Limits& limits) {
  const Limits defaults;
  std::string changed;
  for (const NamedLimit& limit : AllLimits()) {
    const int64_t value = limits.*limit.value;
    if (value == defaults.*limit.value) continue;
    changed += '\n' + std::string(limit.name) + ' ' + std::to_string(value);
  }
  return changed;
}

// What an index belongs to: it is stale as soon as any of this differs. Empty where the
// file has no path of its own, or is not the one that was looked at before: what is read
// of it now is an index of neither.
Result<std::string> FileKey(const Input& input, const ReadOptions& options) {
  struct stat info;
  if (::stat(input.file.path.c_str(), &info) != 0) {
    return ErrnoError(errno, input.file.path, "cannot open");
  }
  if (info.st_size != input.file.size) return "";
  std::error_code failed;
  const fs::path real = fs::weakly_canonical(input.file.path, failed);
  if (failed) return "";
#if defined(__APPLE__)
  const auto& modified = info.st_mtimespec;
#else
  const auto& modified = info.st_mtim;
#endif
  std::string key = real.string();
  for (const int64_t part :
       {int64_t{info.st_size}, int64_t{modified.tv_sec}, int64_t{modified.tv_nsec},
        int64_t{options.csv.delimiter}, int64_t{options.csv.header}}) {
    key += '\n' + std::to_string(part);
  }
  return key + '\n' + std::string(input.format->name) + ChangedLimits(options.limits);
}

// The file's name: a hash of what does not change when the data file does, so that an
// index takes the place of its stale forerunner.
std::string NameOf(const std::string& key, const Input& input,
                   const ReadOptions& options) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a; a clash only costs a rebuild
  const auto add = [&](std::string_view text) {
    for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211u;
  };
  add(std::string_view(key).substr(0, key.find('\n')));
  add(input.format->name);
  const char csv[] = {options.csv.delimiter, options.csv.header ? '1' : '0'};
  add({csv, sizeof csv});
  add(ChangedLimits(options.limits));
  char name[17];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(hash));
  return name;
}

// More than an index of this file may take, packed or not: what is kept for every MiB or
// row of it is less, and many an IPC batch of no rows is allowed for. Whatever else lies
// in the index's place must not fill the memory.
uint64_t MostBytes(const Input& input) {
  return (uint64_t{64} << 20) + static_cast<uint64_t>(input.file.size) * 16;
}

std::optional<std::string> ReadBytes(const fs::path& path, uint64_t most) {
  // Reading a folder is an exception.
  std::error_code failed;
  if (!fs::is_regular_file(path, failed)) return std::nullopt;
  const auto size = fs::file_size(path, failed);
  if (failed || size > most) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string bytes(size, '\0');
  if (!file.read(bytes.data(), static_cast<std::streamsize>(size))) return std::nullopt;
  return bytes;
}

std::shared_ptr<const FileIndex> Read(const fs::path& path, const std::string& key,
                                      uint64_t most) {
  const auto bytes = ReadBytes(path, most);
  if (!bytes) return nullptr;
  auto index = DecodeIndex(*bytes, key, most);
  if (!index.ok()) return nullptr;
  // That a file has no rows at all nothing would deny.
  if (index->fragments.empty() && index->damages.empty() && index->bad.empty()) {
    return nullptr;
  }
  return std::make_shared<const FileIndex>(std::move(*index));
}

// Where the lengths of a column are kept, and the key they are kept under.
struct LengthsPlace {
  fs::path path;
  std::string key;
};

LengthsPlace PlaceOfLengths(const fs::path& folder, const std::string& key,
                            const Input& input, const ReadOptions& options,
                            const std::string& column) {
  char name[24];
  std::snprintf(name, sizeof name, "-%08lx.lengths",
                static_cast<unsigned long>(::crc32_z(
                    0, reinterpret_cast<const Bytef*>(column.data()), column.size())));
  return {folder / (NameOf(key, input, options) + name), key + '\n' + column};
}

// Writes a file whole or not at all; whether it did.
bool Write(const fs::path& path, const std::string& bytes) {
  std::string temporary = path.string() + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return false;
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) break;
    done += static_cast<size_t>(wrote);
  }
  const bool written = ::close(fd) == 0 && done == bytes.size();
  if (written && ::rename(temporary.c_str(), path.c_str()) == 0) return true;
  ::unlink(temporary.c_str());
  return false;
}

// Held while an index is built. Without a lock file the build simply goes on.
class BuildLock {
 public:
  explicit BuildLock(const fs::path& path)
      : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {}
  BuildLock(const BuildLock&) = delete;
  BuildLock& operator=(const BuildLock&) = delete;
  ~BuildLock() {
    if (fd_ >= 0) ::close(fd_);
  }

  // Waits in small steps, so that it can be ended.
  Status Wait() const {
    while (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK && errno != EINTR) break;
      ARROW_RETURN_NOT_OK(CheckStop());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return Status::OK();
  }

 private:
  const int fd_;
};

}  // namespace

std::string IndexStore::DefaultFolder() {
  const auto variable = [](const char* name) -> fs::path {
    const char* value = ::getenv(name);
    return value ? value : "";
  };
  if (auto own = variable("FAST_AXOLOTL_CACHE"); !own.empty()) return own / "index";
  if (auto xdg = variable("XDG_CACHE_HOME"); xdg.is_absolute()) {
    return xdg / "fast_axolotl" / "index";
  }
  if (auto home = variable("HOME"); home.is_absolute()) {
    return home / ".cache" / "fast_axolotl" / "index";
  }
  return "";
}

std::shared_ptr<const FileIndex> IndexStore::Load(const Input& input,
                                                  const ReadOptions& options) const {
  if (input.format == &kParquet) {
    auto index = LoadOrBuild(input, options);
    return index.ok() ? *index : nullptr;
  }
  if (folder_.empty()) return nullptr;
  const auto key = KeyOf(input, options);
  if (!key.ok()) return nullptr;
  const fs::path path = fs::path(folder_) / NameOf(*key, input, options);
  if (auto kept = Read(path, *key, MostBytes(input))) return kept;
  // Where one of no rows is kept, that is soon seen again.
  std::error_code ignored;
  if (input.file.size > Input::kSmallFile || !fs::exists(path, ignored)) return nullptr;
  auto index = input.format->index(input, options);
  if (!index.ok() || !index->fragments.empty()) return nullptr;
  return std::make_shared<const FileIndex>(std::move(*index));
}

Result<std::shared_ptr<const FileIndex>> IndexStore::LoadOrBuild(
    const Input& input, const ReadOptions& options) const {
  const auto build = [&]() -> Result<std::shared_ptr<const FileIndex>> {
    ARROW_ASSIGN_OR_RAISE(FileIndex index, input.format->index(input, options));
    return std::make_shared<const FileIndex>(std::move(index));
  };
  if (folder_.empty()) return build();
  ARROW_ASSIGN_OR_RAISE(const std::string key, KeyOf(input, options));
  if (key.empty()) return build();
  const fs::path path = fs::path(folder_) / NameOf(key, input, options);
  if (auto kept = Read(path, key, MostBytes(input))) return kept;
  // A Parquet footer is an index already, but for bad rows.
  if (input.format == &kParquet) return build();
  std::error_code ignored;
  fs::create_directories(folder_, ignored);
  const BuildLock lock(path.string() + ".lock");
  ARROW_RETURN_NOT_OK(lock.Wait());
  // Another process may have built it meanwhile.
  if (auto kept = Read(path, key, MostBytes(input))) return kept;
  ARROW_ASSIGN_OR_RAISE(auto index, build());
  // Others are to hear of what is missing.
  if (!index->damages.empty()) return index;
  ARROW_RETURN_NOT_OK(CheckStop());
  // Not if the file has changed meanwhile.
  const auto after = KeyOf(input, options);
  if (after.ok() && *after == key) Write(path, EncodeIndex(*index, key));
  return index;
}

Status IndexStore::Keep(const Input& input, const ReadOptions& options,
                        const std::string& key, const FileIndex& index) const {
  const std::string& path = input.file.path;
  if (folder_.empty()) return Status::IOError("there is no folder to keep indexes in");
  ARROW_ASSIGN_OR_RAISE(const std::string now, KeyOf(input, options));
  if (key.empty() || now != key) {
    return Status::IOError(path, ": the file has changed while it was read");
  }
  std::error_code ignored;
  fs::create_directories(folder_, ignored);
  const fs::path folder(folder_);
  if ((index.leaves_out() && !Write(folder / kLeavesOut, "")) ||
      !Write(folder / NameOf(key, input, options), EncodeIndex(index, key))) {
    return ErrnoError(errno, folder_, "cannot keep the index");
  }
  return Status::OK();
}

bool IndexStore::LeavesOut() const {
  std::error_code ignored;
  return !folder_.empty() && fs::exists(fs::path(folder_) / kLeavesOut, ignored);
}

std::optional<std::vector<uint32_t>> IndexStore::LoadLengths(const Input& input,
                                                             const ReadOptions& options,
                                                             const std::string& column,
                                                             int64_t rows) const {
  const auto key = KeyOf(input, options);
  if (folder_.empty() || !key.ok() || key->empty()) return std::nullopt;
  const auto place = PlaceOfLengths(folder_, *key, input, options, column);
  const auto bytes = ReadBytes(place.path, MostBytes(input));
  if (!bytes) return std::nullopt;
  auto lengths = DecodeLengths(*bytes, place.key, MostBytes(input));
  if (!lengths.ok() || static_cast<int64_t>(lengths->size()) != rows) return std::nullopt;
  return std::move(*lengths);
}

Result<std::string> IndexStore::KeyOf(const Input& input,
                                      const ReadOptions& options) const {
  return FileKey(input, options);
}

Status IndexStore::KeepLengths(const Input& input, const ReadOptions& options,
                               const std::string& column, const std::string& key,
                               const std::vector<uint32_t>& lengths) const {
  if (folder_.empty()) {
    return Status::IOError(
        "there is no folder to keep lengths in; set "
        "FAST_AXOLOTL_CACHE to one");
  }
  ARROW_ASSIGN_OR_RAISE(const std::string now, KeyOf(input, options));
  if (key.empty() || now != key) {
    return Status::IOError(input.file.path, ": the file has changed while it was read");
  }
  std::error_code ignored;
  fs::create_directories(folder_, ignored);
  const auto place = PlaceOfLengths(folder_, key, input, options, column);
  if (!Write(place.path, EncodeLengths(lengths, place.key))) {
    return Status::IOError("cannot write ", place.path.string(),
                           "; FAST_AXOLOTL_CACHE names another folder");
  }
  return Status::OK();
}

}  // namespace fast_axolotl
