// SPDX-License-Identifier: Apache-2.0

// Zstandard (RFC 8878): one or more frames, skippable frames among them, through libzstd.

#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
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

// The shortest head of a frame, and the head of a block.
constexpr size_t kHeadBytes = 5;
constexpr size_t kBlockHead = 3;

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
    // At a frame's end, no input is the end of the stream and not a call too many.
    if (input.available == 0 && at_frame_end_) return 0;
    ZSTD_inBuffer in{input.next, Offered(input.available), 0};
    ZSTD_outBuffer produced{out, static_cast<size_t>(room), 0};
    size_t code = ZSTD_decompressStream(context_.get(), &produced, &in);
    if (ZSTD_isError(code) && at_frame_start_) {
      // A frame that is here as a whole is decompressed in one go, and where it is
      // damaged nothing of it comes out. It is taken again, in parts.
      ZSTD_DCtx_reset(context_.get(), ZSTD_reset_session_only);
      in = {input.next, std::min<size_t>(in.size, kHeadBytes), 0};
      produced.pos = 0;
      code = ZSTD_decompressStream(context_.get(), &produced, &in);
    }
    input.next += in.pos;
    input.available -= static_cast<int64_t>(in.pos);
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge) {
      return Status::IOError(
          "the frame looks back farther than 128 MiB; compress the "
          "data with zstd --long=27 or less");
    }
    if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation) {
      return Status::OutOfMemory("zstd finds no memory for its window");
    }
    if (ZSTD_isError(code)) return Status::IOError(ZSTD_getErrorName(code));
    at_frame_start_ = at_frame_end_ = code == 0;
    wanted_ = code;
    full_ = produced.pos == produced.size;
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
  // How much of the input goes into a call. One that fails gives no output, not even that
  // of the blocks before the fault: inside a frame a call gets a block or a block's head,
  // and nothing while output may be waiting.
  size_t Offered(int64_t available) const {
    const auto all = static_cast<size_t>(available);
    if (at_frame_start_) return all;
    if (full_) return 0;
    return std::min(all, wanted_ > kBlockHead ? wanted_ - kBlockHead : wanted_);
  }

  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  const std::unique_ptr<ZSTD_DCtx, Free> context_{ZSTD_createDCtx()};
  std::vector<RestartPoint>* const points_;
  bool at_frame_start_ = true;
  bool at_frame_end_ = false;
  bool full_ = false;    // the last call used all of its room
  size_t wanted_ = 0;    // the rest of this block, and the head of the next one
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
