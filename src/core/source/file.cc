// SPDX-License-Identifier: Apache-2.0
#include "core/source/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/memory_pool.h"
#include "core/common/memory.h"

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

class PreadFile : public arrow::io::RandomAccessFile {
 public:
  PreadFile(Descriptor fd, File file, std::shared_ptr<ByteCounter> counter)
      : fd_(std::move(fd)), file_(std::move(file)), counter_(std::move(counter)) {
    set_mode(arrow::io::FileMode::READ);
  }
  ~PreadFile() override = default;

  Status Close() override {
    fd_.Close();
    return Status::OK();
  }
  bool closed() const override { return fd_.get() < 0; }
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
    int64_t done = 0;
    while (done < nbytes) {
      const ssize_t got = ::pread(fd_.get(), static_cast<char*>(out) + done,
                                  static_cast<size_t>(nbytes - done), position + done);
      if (got < 0) {
        if (errno == EINTR) continue;
        return ErrnoError(errno, file_.path, "cannot read");
      }
      if (got == 0) {
        return Status::IOError(
            file_.path, ": the file shrank while it was read: ", file_.size,
            " bytes were there, now it ends at byte ", position + done);
      }
      done += got;
    }
    if (counter_) counter_->fetch_add(done, std::memory_order_relaxed);
    return done;
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
  Descriptor fd_;
  const File file_;
  const std::shared_ptr<ByteCounter> counter_;
  int64_t position_ = 0;
};

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
  return File{path, info.st_size};
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> OpenFile(
    const File& file, std::shared_ptr<ByteCounter> counter) {
  int fd = -1;
  do {
    fd = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return ErrnoError(errno, file.path, "cannot open");
  return std::make_shared<PreadFile>(Descriptor(fd), file, std::move(counter));
}

Result<std::shared_ptr<arrow::io::RandomAccessFile>> Spool(arrow::io::InputStream& stream,
                                                           const std::string& path) {
  const char* folder = std::getenv("TMPDIR");
  std::string name =
      std::string(folder && *folder ? folder : "/tmp") + "/fast_axolotl-XXXXXX";
  Descriptor fd(::mkostemp(name.data(), O_CLOEXEC));
  if (fd.get() < 0) return ErrnoError(errno, name, "cannot make the temporary file");
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
        return ErrnoError(errno, name, "cannot write to the temporary file");
      }
      done += wrote;
    }
    size += got;
  }
  return std::make_shared<PreadFile>(std::move(fd), File{path, size}, nullptr);
}

}  // namespace fast_axolotl
