// SPDX-License-Identifier: Apache-2.0
#include "core/codec/decoded_stream.h"

#include <algorithm>
#include <utility>

#include "arrow/buffer.h"
#include "core/common/memory.h"
#include "core/common/stop.h"

namespace fast_axolotl {
namespace {

constexpr int64_t kReadSize = int64_t{256} << 10;
// Decoded bytes, between two looks at the limits and at what may end the work.
constexpr int64_t kMostAtOnce = int64_t{4} << 20;

class DecodedStream : public arrow::io::InputStream {
 public:
  DecodedStream(std::shared_ptr<arrow::io::InputStream> raw, Decoder decoder,
                std::string codec, std::string path)
      : raw_(std::move(raw)),
        decoder_(std::move(decoder)),
        codec_(std::move(codec)),
        path_(std::move(path)),
        begin_(raw_->Tell().ValueOr(0)) {
    set_mode(arrow::io::FileMode::READ);
  }

  Status Close() override { return raw_->Close(); }
  bool closed() const override { return raw_->closed(); }
  Result<int64_t> Tell() const override { return position_; }
  int64_t compressed_position() const { return taken_ - input_.available; }
  int64_t whole_parts() const { return whole_parts_; }
  bool limit_exceeded() const { return limit_exceeded_; }
  void Limit(const Limits& limits, int64_t before) {
    limits_ = limits;
    before_ = before;
    limited_ = true;
  }

  Result<int64_t> Read(int64_t nbytes, void* out) override {
    int64_t done = 0;
    while (done < nbytes && !ended_) {
      auto wrote =
          Step(static_cast<uint8_t*>(out) + done, std::min(nbytes - done, kMostAtOnce));
      if (!wrote.ok()) {
        failure_ = wrote.status();
        ended_ = true;
        break;
      }
      done += *wrote;
      if (Status allowed = CheckLimits(position_ + done); !allowed.ok()) {
        failure_ = std::move(allowed);
        ended_ = limit_exceeded_ = true;
      }
    }
    // What was decoded before the fault goes out first.
    if (done == 0 && !failure_.ok()) return failure_;
    position_ += done;
    return done;
  }

  Result<std::shared_ptr<arrow::Buffer>> Read(int64_t nbytes) override {
    // What is asked for may be what damaged data say: memory grows with what is there.
    int64_t size = std::min(nbytes, kMostAtOnce);
    ARROW_ASSIGN_OR_RAISE(auto buffer,
                          arrow::AllocateResizableBuffer(size, BufferPool()));
    int64_t done = 0;
    for (;;) {
      ARROW_ASSIGN_OR_RAISE(const int64_t got,
                            Read(size - done, buffer->mutable_data() + done));
      done += got;
      if (done < size || size == nbytes) break;
      size = std::min(nbytes, size * 2);
      ARROW_RETURN_NOT_OK(buffer->Resize(size, /*shrink_to_fit=*/false));
    }
    ARROW_RETURN_NOT_OK(buffer->Resize(done, /*shrink_to_fit=*/true));
    return std::shared_ptr<arrow::Buffer>(std::move(buffer));
  }

 private:
  Result<int64_t> Step(uint8_t* out, int64_t room) {
    ARROW_RETURN_NOT_OK(CheckStop());
    if (input_.available == 0) {
      ARROW_ASSIGN_OR_RAISE(block_, raw_->Read(kReadSize));
      taken_ += block_->size();
      input_ = {block_->data(), block_->size()};
    }
    if (input_.available == 0) {
      // The decoder may hold output back although it has taken all input.
      Result<int64_t> rest = decoder_.step(input_, out, room);
      if (rest.ok() && *rest == 0) {
        ended_ = true;
        return At(decoder_.end());
      }
      return rest.ok() ? rest : At(rest.status());
    }
    Result<int64_t> wrote = decoder_.step(input_, out, room);
    if (!wrote.ok()) return At(wrote.status());
    if (decoder_.end().ok()) whole_parts_ = compressed_position();
    return wrote;
  }

  Status CheckLimits(int64_t decoded) const {
    if (!limited_) return Status::OK();
    if (decoded > limits_.Expanded(compressed_position())) {
      return At(Status::IOError("it decompresses to more than ", limits_.expansion,
                                " times its size, ", decoded, " bytes so far",
                                RaiseLimit(limits_, "expansion")))
          .status();
    }
    if (before_ + decoded > limits_.decoded_bytes) {
      return At(Status::IOError("it decompresses to more than the limit of ",
                                limits_.decoded_bytes, " bytes",
                                RaiseLimit(limits_, "decoded_bytes")))
          .status();
    }
    return Status::OK();
  }

  Result<int64_t> At(const Status& status) const {
    if (status.ok()) return 0;
    const int64_t at = begin_ + compressed_position();
    return AtPlace(path_, codec_ + " data at compressed byte " + std::to_string(at),
                   status);
  }

  const std::shared_ptr<arrow::io::InputStream> raw_;
  const Decoder decoder_;
  const std::string codec_;
  const std::string path_;
  const int64_t begin_;  // compressed bytes of the file before the stream
  std::shared_ptr<arrow::Buffer> block_;
  CompressedInput input_;
  int64_t taken_ = 0;        // compressed bytes read from raw_
  int64_t whole_parts_ = 0;  // compressed bytes up to the end of the last whole part
  int64_t position_ = 0;     // decompressed bytes handed out
  bool limited_ = false;
  bool limit_exceeded_ = false;
  Limits limits_;
  int64_t before_ = 0;  // decompressed bytes of the file before this stream
  bool ended_ = false;
  Status failure_;
};

}  // namespace

std::shared_ptr<arrow::io::InputStream> MakeDecodedStream(
    std::shared_ptr<arrow::io::InputStream> raw, Decoder decoder, std::string codec,
    std::string path) {
  return std::make_shared<DecodedStream>(std::move(raw), std::move(decoder),
                                         std::move(codec), std::move(path));
}

void LimitDecoded(arrow::io::InputStream& stream, const Limits& limits, int64_t before) {
  if (auto* decoded = dynamic_cast<DecodedStream*>(&stream)) {
    decoded->Limit(limits, before);
  }
}

bool LimitExceeded(const arrow::io::InputStream& stream) {
  const auto* decoded = dynamic_cast<const DecodedStream*>(&stream);
  return decoded && decoded->limit_exceeded();
}

int64_t CompressedPosition(const arrow::io::InputStream& stream) {
  const auto* decoded = dynamic_cast<const DecodedStream*>(&stream);
  return decoded ? decoded->compressed_position() : -1;
}

int64_t WholeParts(const arrow::io::InputStream& stream) {
  const auto* decoded = dynamic_cast<const DecodedStream*>(&stream);
  return decoded ? decoded->whole_parts() : 0;
}

}  // namespace fast_axolotl
