// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "core/common/error.h"

namespace fast_axolotl {

/// A stream over text that gives at most `most` bytes a read, and fails once `fails_at`
/// bytes are read.
class TrickleStream : public arrow::io::InputStream {
 public:
  static constexpr size_t kNever = std::numeric_limits<size_t>::max();

  TrickleStream(std::string text, int64_t most, size_t fails_at = kNever)
      : text_(std::move(text)), most_(most), fails_at_(fails_at) {}

  Status Close() override {
    closed_ = true;
    return Status::OK();
  }
  bool closed() const override { return closed_; }
  Result<int64_t> Tell() const override { return static_cast<int64_t>(at_); }

  Result<int64_t> Read(int64_t nbytes, void* out) override {
    if (at_ >= fails_at_) return Status::IOError("the disk is gone");
    const size_t limit = std::min(text_.size(), fails_at_);
    const size_t size = std::min<size_t>(std::min(nbytes, most_), limit - at_);
    std::memcpy(out, text_.data() + at_, size);
    at_ += size;
    return static_cast<int64_t>(size);
  }
  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    std::string part(static_cast<size_t>(std::min(nbytes, most_)), '\0');
    ARROW_ASSIGN_OR_RAISE(const int64_t size, Read(nbytes, part.data()));
    part.resize(static_cast<size_t>(size));
    return arrow::Buffer::FromString(std::move(part));
  }

 private:
  const std::string text_;
  const int64_t most_;
  const size_t fails_at_;
  size_t at_ = 0;
  bool closed_ = false;
};

/// Text in memory of its own, of exactly its size and the padding that the parsers may
/// read: a sanitizer sees every byte beyond.
class PaddedText {
 public:
  explicit PaddedText(std::string_view text, size_t padding = 64)
      : size_(text.size()), bytes_(new char[text.size() + padding]()) {
    std::memcpy(bytes_.get(), text.data(), text.size());
  }
  char* begin() { return bytes_.get(); }
  char* end() { return bytes_.get() + size_; }
  size_t size() const { return size_; }
  std::string_view text() const { return {bytes_.get(), size_}; }

 private:
  const size_t size_;
  const std::unique_ptr<char[]> bytes_;
};

}  // namespace fast_axolotl
