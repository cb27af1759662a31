// SPDX-License-Identifier: Apache-2.0

// Zstandard (RFC 8878): one or more frames, skippable frames among them, through libzstd.

#include <zstd.h>
#include <zstd_errors.h>

#include <cstring>
#include <vector>

#include "core/codec/codec.h"
#include "core/codec/decoded_stream.h"

namespace fast_axolotl {
namespace {

// Frames made with `zstd --long` up to this window (128 MiB) are read.
constexpr int kMaxWindowLog = 27;

bool Matches(std::string_view head) {
  if (head.size() < 4) return false;
  uint32_t magic;  // little-endian in the file, on every machine we build for
  std::memcpy(&magic, head.data(), sizeof magic);
  return magic == ZSTD_MAGICNUMBER ||
         (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

// Frames are noted as restart points this far apart.
constexpr int64_t kPointDistance = int64_t{1} << 20;

class ZstdDecoder {
 public:
  // Notes frames in `points`, unless it is null.
  explicit ZstdDecoder(std::vector<RestartPoint>* points) : points_(points) {
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
    if (points_) points_->push_back({});
  }

  Result<int64_t> Step(CompressedInput& input, uint8_t* out, int64_t room) {
    ZSTD_inBuffer in{input.next, static_cast<size_t>(input.available), 0};
    ZSTD_outBuffer produced{out, static_cast<size_t>(room), 0};
    // At a frame's end, no input is the end of the stream and not a call too many.
    if (in.size == 0 && at_frame_end_) return 0;
    const size_t code = ZSTD_decompressStream(context_.get(), &produced, &in);
    input.next += in.pos;
    input.available -= static_cast<int64_t>(in.pos);
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge) {
      return Status::IOError(
          "the frame looks back farther than 128 MiB; compress the "
          "data with zstd --long=27 or less");
    }
    if (ZSTD_isError(code)) return Status::IOError(ZSTD_getErrorName(code));
    at_frame_end_ = code == 0;
    // A frame's end is a point once something comes behind it.
    if (points_ && produced.pos > 0 &&
        border_.out - points_->back().out >= kPointDistance) {
      points_->push_back(border_);
    }
    in_ += static_cast<int64_t>(in.pos);
    out_ += static_cast<int64_t>(produced.pos);
    if (at_frame_end_) border_ = {in_, 0, out_, 0, 0, {}};
    return static_cast<int64_t>(produced.pos);
  }

  Status End() const {
    if (at_frame_end_) return Status::OK();
    return Status::IOError("truncated: the data ends inside a frame");
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  const std::unique_ptr<ZSTD_DCtx, Free> context_{ZSTD_createDCtx()};
  std::vector<RestartPoint>* const points_;
  bool at_frame_end_ = false;
  RestartPoint border_;  // the end of the last frame
  int64_t in_ = 0;
  int64_t out_ = 0;
};

Result<std::shared_ptr<arrow::io::InputStream>> OpenRecording(
    std::shared_ptr<arrow::io::InputStream> raw, const std::string& path,
    std::vector<RestartPoint>* points) {
  auto zstd = std::make_shared<ZstdDecoder>(points);
  Decoder decoder{[zstd](CompressedInput& input, uint8_t* out, int64_t room) {
                    return zstd->Step(input, out, room);
                  },
                  [zstd] { return zstd->End(); }};
  return MakeDecodedStream(std::move(raw), std::move(decoder), "zstd", path);
}

Result<std::shared_ptr<arrow::io::InputStream>> Open(
    std::shared_ptr<arrow::io::InputStream> raw, const std::string& path) {
  return OpenRecording(std::move(raw), path, nullptr);
}

// A frame refers to nothing outside itself.
Result<std::shared_ptr<arrow::io::InputStream>> OpenAt(
    std::shared_ptr<arrow::io::InputStream> raw, const std::string& path,
    const RestartPoint&) {
  return Open(std::move(raw), path);
}

}  // namespace

const Codec kZstd{
    "zstd", {".zst", ".zstd"}, "\x28\xb5\x2f\xfd", Matches, Open, OpenRecording, OpenAt};

}  // namespace fast_axolotl
