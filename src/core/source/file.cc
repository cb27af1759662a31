// SPDX-License-Identifier: Apache-2.0
#include "core/source/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_set>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/memory_pool.h"
#include "core/common/for_each.h"
#include "core/common/memory.h"
#include "core/common/stop.h"

namespace fast_axolotl {
namespace {

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { Close(); }
  int get() const { return fd_; }
  void Close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

int64_t ModifiedAt(const struct stat& info) {
#if defined(__APPLE__)
  const auto& time = info.st_mtimespec;
#else
  const auto& time = info.st_mtim;
#endif
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// Whether the open file is still the one that the dataset was made of. Its inode does not
// count: file systems in user space may number a file anew while it is the same.
Result<struct stat> StatUnchanged(int fd, const File& file) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoError(errno, file.path, "cannot read");
  if (!file.modified ||
      (info.st_size == file.size && ModifiedAt(info) == file.modified)) {
    return info;
  }
  std::string change = ": the file was written to after it was looked at";
  if (info.st_size != file.size) {
    change = std::string(": the file ") + (info.st_size < file.size ? "shrank" : "grew") +
             " after it was looked at: it had " + std::to_string(file.size) +
             " bytes, now it has " + std::to_string(info.st_size);
  }
  return Status(
      arrow::StatusCode::IOError,
      file.path + change + "; make the dataset anew once its files stay as " + "they are",
      std::make_shared<ChangedDetail>());
}

// What is read by one call of the system.
constexpr int64_t kReadPart = int64_t{8} << 20;

// Reads bytes that the file has, and makes sure that they are those of the dataset's
// file.
Status ReadUnchanged(int fd, const File& file, int64_t position, int64_t nbytes,
                     void* out) {
  int64_t done = 0;
  while (done < nbytes) {
    // Between parts, and so before each read: a slow disk takes long over a large one.
    ARROW_RETURN_NOT_OK(CheckStop());
    const ssize_t got =
        ::pread(fd, static_cast<char*>(out) + done,
                static_cast<size_t>(std::min(nbytes - done, kReadPart)), position + done);
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno, file.path, "cannot read");
    }
    if (got == 0) {
      ARROW_RETURN_NOT_OK(StatUnchanged(fd, file).status());
      return Status::IOError(file.path, ": the file of ", file.size,
                             " bytes could be read only up to byte ", position + done);
    }
    done += got;
  }
  return StatUnchanged(fd, file).status();
}

class PreadFile;

// The files that are open and can be opened again. Of these only so many have a
// descriptor: passes over many lanes, data sets or temporary files would run into the
// process's limit, and into whoever else needs some.
class OpenFiles {
 public:
  // Never destroyed: files may be closed by threads that outlive statics.
  static OpenFiles& Get() {
    static auto* const files = new OpenFiles;
    return *files;
  }

  void Add(PreadFile* file) {
    const std::lock_guard lock(mutex_);
    files_.insert(file);
  }
  void Remove(PreadFile* file) {
    const std::lock_guard lock(mutex_);
    files_.erase(file);
  }
  // Makes room for one more, if need be.
  void MakeRoom();
  // Closes the one that was not read for the longest time; false if all are being read.
  bool CloseOne() {
    const std::lock_guard lock(mutex_);
    return CloseOldest();
  }

 private:
  // A fork copies the lock in whatever state it is, and the child has no use for the
  // parent's files.
  OpenFiles() {
    ::pthread_atfork([] { Get().mutex_.lock(); }, [] { Get().mutex_.unlock(); },
                     [] {
                       Get().files_.clear();
                       Get().mutex_.unlock();
                     });
  }

  bool CloseOldest();

  std::mutex mutex_;
  std::unordered_set<PreadFile*> files_;
};

// Opens for reading, closing files that can be opened again where there are too many.
int OpenDescriptor(const std::string& path) {
  OpenFiles::Get().MakeRoom();
  for (;;) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0) return fd;
    const int code = errno;
    if (code == EINTR) continue;
    if (code == EMFILE && OpenFiles::Get().CloseOne()) continue;
    errno = code;
    return -1;
  }
}

class PreadFile : public arrow::io::RandomAccessFile {
 public:
  // `info` is what fstat() told of it; none of a temporary file, which has no name and so
  // stays open.
  PreadFile(Descriptor fd, File file, std::shared_ptr<ByteCounter> counter,
            const std::optional<struct stat>& info)
      : fd_(std::make_shared<Descriptor>(std::move(fd))),
        temporary_(!info),
        file_(std::move(file)),
        counter_(std::move(counter)) {
    set_mode(arrow::io::FileMode::READ);
    if (temporary_) return;
    device_ = info->st_dev;
    inode_ = info->st_ino;
    OpenFiles::Get().Add(this);
  }
  ~PreadFile() override {
    if (!temporary_) OpenFiles::Get().Remove(this);
  }

  Status Close() override {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    fd_ = nullptr;
    return Status::OK();
  }
  bool closed() const override { return closed_; }

  uint64_t last_read() const { return last_read_; }
  // Whether there is a descriptor to close that nobody reads from.
  bool idle() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    return lock && fd_ && fd_.use_count() == 1;
  }
  bool CloseIdle() {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock || !fd_ || fd_.use_count() > 1) return false;
    fd_ = nullptr;
    return true;
  }

  Result<int64_t> Tell() const override { return position_; }
  Status Seek(int64_t position) override {
    if (position < 0) return Status::IOError(file_.path, ": seek before the start");
    position_ = position;
    return Status::OK();
  }
  Result<int64_t> GetSize() override { return file_.size; }

  Result<int64_t> ReadAt(int64_t position, int64_t nbytes, void* out) override {
    if (position < 0 || nbytes < 0) {
      return Status::IOError(file_.path, ": a read of ", nbytes, " bytes at byte offset ",
                             position, " was asked for, outside the file");
    }
    nbytes = std::min(nbytes, std::max<int64_t>(file_.size - position, 0));
    ARROW_ASSIGN_OR_RAISE(const auto fd, Acquire());
    ARROW_RETURN_NOT_OK(ReadUnchanged(fd->get(), file_, position, nbytes, out));
    if (counter_) counter_->fetch_add(nbytes, std::memory_order_relaxed);
    return nbytes;
  }

  Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position,
                                                int64_t nbytes) override {
    // A damaged footer may ask for more than there is; do not allocate for it.
    nbytes = std::min(nbytes, std::max<int64_t>(file_.size - position, 0));
    ARROW_ASSIGN_OR_RAISE(auto buffer,
                          arrow::AllocateResizableBuffer(nbytes, BufferPool()));
    ARROW_ASSIGN_OR_RAISE(int64_t done, ReadAt(position, nbytes, buffer->mutable_data()));
    ARROW_RETURN_NOT_OK(buffer->Resize(done, /*shrink_to_fit=*/false));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

  Result<int64_t> Read(int64_t nbytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(int64_t done, ReadAt(position_, nbytes, out));
    position_ += done;
    return done;
  }
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, nbytes));
    position_ += buffer->size();
    return buffer;
  }

 private:
  // The descriptor, for as long as the caller holds it.
  Result<std::shared_ptr<Descriptor>> Acquire() {
    static std::atomic<uint64_t> reads = 0;
    last_read_ = ++reads;
    {
      const std::lock_guard lock(mutex_);
      if (fd_) return fd_;
      if (closed_) return Status::IOError(file_.path, ": a read from a closed file");
    }
    // Without the lock: making room looks at all files, this one as well.
    Descriptor fd(OpenDescriptor(file_.path));
    if (fd.get() < 0) return ErrnoError(errno, file_.path, "cannot open");
    struct stat info;
    if (::fstat(fd.get(), &info) != 0 || info.st_dev != device_ ||
        info.st_ino != inode_) {
      return Status::IOError(file_.path, ": the file was replaced while it was read");
    }
    const std::lock_guard lock(mutex_);
    if (!fd_) fd_ = std::make_shared<Descriptor>(std::move(fd));
    return fd_;
  }

  std::mutex mutex_;                // guards the descriptor
  std::shared_ptr<Descriptor> fd_;  // null while there is none
  std::atomic<bool> closed_ = false;
  std::atomic<uint64_t> last_read_ = 0;
  const bool temporary_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  const File file_;
  const std::shared_ptr<ByteCounter> counter_;
  int64_t position_ = 0;
};

void OpenFiles::MakeRoom() {
  // Half of what the process may have; the other half is for everybody else.
  constexpr rlim_t kLeast = 8;
  constexpr rlim_t kMost = 4096;
  const std::lock_guard lock(mutex_);
  if (files_.size() < kLeast) return;
  struct rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t most = std::clamp(limit.rlim_cur / 2, kLeast, kMost);
  // Not all that are counted have a descriptor; then there is none to close.
  if (files_.size() >= most) CloseOldest();
}

bool OpenFiles::CloseOldest() {
  PreadFile* oldest = nullptr;
  for (PreadFile* file : files_) {
    if (oldest && oldest->last_read() <= file->last_read()) continue;
    if (file->idle()) oldest = file;
  }
  return oldest && oldest->CloseIdle();
}

}  // namespace

Result<File> StatFile(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return ErrnoError(errno, path, "cannot open");
  if (S_ISDIR(info.st_mode)) return ErrnoError(EISDIR, path, "cannot open");
  if (!S_ISREG(info.st_mode)) {
    return Status::IOError("'", path,
                           "' is not a regular file: pipes and devices can be ",
                           "read only once; write the data to a file first");
  }
  return File{path, info.st_size, ModifiedAt(info)};
}

Result<std::vector<File>> StatFiles(const std::vector<std::string>& paths) {
  // To look at so many cached files takes as long as to start a thread; in a network's
  // file system one does.
  constexpr size_t kPerThread = 256;
  constexpr size_t kMostThreads = 8;
  std::vector<File> files(paths.size());
  const auto look = [&](size_t i) -> Status {
    ARROW_ASSIGN_OR_RAISE(files[i], StatFile(paths[i]));
    return Status::OK();
  };
  const size_t threads = std::min(paths.size() / kPerThread, kMostThreads);
  if (threads > 1) {
    ARROW_RETURN_NOT_OK(ForEach(paths.size(), static_cast<int>(threads), look));
    return files;
  }
  for (size_t i = 0; i < paths.size(); ++i) {
    ARROW_RETURN_NOT_OK(CheckStop());
    ARROW_RETURN_NOT_OK(look(i));
  }
  return files;
}

Result<std::shared_ptr<arrow::Buffer>> ReadWhole(const File& file) {
  const Descriptor fd(OpenDescriptor(file.path));
  if (fd.get() < 0) return ErrnoError(errno, file.path, "cannot open");
  ARROW_ASSIGN_OR_RAISE(auto buffer,
                        arrow::AllocateResizableBuffer(file.size, BufferPool()));
  ARROW_RETURN_NOT_OK(
      ReadUnchanged(fd.get(), file, 0, file.size, buffer->mutable_data()));
  return std::shared_ptr<arrow::Buffer>(std::move(buffer));
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenFile(
    const File& file, std::shared_ptr<ByteCounter> counter) {
  Descriptor fd(OpenDescriptor(file.path));
  if (fd.get() < 0) return ErrnoError(errno, file.path, "cannot open");
  ARROW_ASSIGN_OR_RAISE(const struct stat info, StatUnchanged(fd.get(), file));
  return std::make_shared<PreadFile>(std::move(fd), file, std::move(counter), info);
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> Spool(arrow::io::InputStream& stream,
                                                           const std::string& path) {
  const char* folder = std::getenv("TMPDIR");
  const std::string pattern =
      std::string(folder && *folder ? folder : "/tmp") + "/fast_axolotl-XXXXXX";
  const std::string note = ", in the temporary file that '" + path +
                           "' is decompressed to; TMPDIR names another folder";
  std::string name = pattern;
  int made = ::mkostemp(name.data(), O_CLOEXEC);
  while (made < 0 && errno == EMFILE && OpenFiles::Get().CloseOne()) {
    name = pattern;
    made = ::mkostemp(name.data(), O_CLOEXEC);
  }
  Descriptor fd(made);
  if (fd.get() < 0) return ErrnoError(errno, name, "cannot make", note);
  ::unlink(name.c_str());

  constexpr int64_t kBlock = int64_t{1} << 20;
  ARROW_ASSIGN_OR_RAISE(auto block, arrow::AllocateBuffer(kBlock, BufferPool()));
  int64_t size = 0;
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(const int64_t got, stream.Read(kBlock, block->mutable_data()));
    if (got == 0) break;
    for (int64_t done = 0; done < got;) {
      const ssize_t wrote =
          ::write(fd.get(), block->data() + done, static_cast<size_t>(got - done));
      if (wrote < 0) {
        if (errno == EINTR) continue;
        return ErrnoError(errno, name, "cannot write", note);
      }
      done += wrote;
    }
    size += got;
  }
  return std::make_shared<PreadFile>(std::move(fd), File{path, size, {}}, nullptr,
                                     /*info=*/std::nullopt);
}

}  // namespace fast_axolotl
