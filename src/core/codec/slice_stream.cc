// SPDX-License-Identifier: Apache-2.0
#include "core/codec/slice_stream.h"

#include <algorithm>
#include <utility>

#include "arrow/buffer.h"
#include "core/common/memory.h"

namespace fast_axolotl {
namespace {

class Slice : public arrow::io::InputStream {
 public:
  Slice(std::shared_ptr<arrow::io::InputStream> stream, int64_t size)
      : stream_(std::move(stream)), left_(size) {
    set_mode(arrow::io::FileMode::READ);
  }

  Status Close() override { return stream_->Close(); }
  bool closed() const override { return stream_->closed(); }
  Result<int64_t> Tell() const override { return position_; }

  Result<int64_t> Read(int64_t nbytes, void* out) override {
    ARROW_ASSIGN_OR_RAISE(const int64_t got, stream_->Read(std::min(nbytes, left_), out));
    left_ -= got;
    position_ += got;
    return got;
  }
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    ARROW_ASSIGN_OR_RAISE(auto buffer, stream_->Read(std::min(nbytes, left_)));
    left_ -= buffer->size();
    position_ += buffer->size();
    return buffer;
  }

 private:
  const std::shared_ptr<arrow::io::InputStream> stream_;
  int64_t left_;
  int64_t position_ = 0;
};

}  // namespace

Result<std::shared_ptr<arrow::io::InputStream>> SliceStream(
    std::shared_ptr<arrow::io::InputStream> stream, int64_t skip, int64_t size) {
  constexpr int64_t kBlock = int64_t{256} << 10;
  ARROW_ASSIGN_OR_RAISE(auto block,
                        arrow::AllocateBuffer(std::min(skip, kBlock), BufferPool()));
  while (skip > 0) {
    ARROW_ASSIGN_OR_RAISE(const int64_t got,
                          stream->Read(std::min(skip, kBlock), block->mutable_data()));
    if (got == 0) break;
    skip -= got;
  }
  return std::make_shared<Slice>(std::move(stream), size);
}

}  // namespace fast_axolotl
