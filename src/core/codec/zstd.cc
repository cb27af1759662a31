// SPDX-License-Identifier: Apache-2.0

// Zstandard (RFC 8878): one or more frames, skippable frames among them, through libzstd.

#include <zstd.h>

#include <cstring>

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

class ZstdDecoder {
 public:
  ZstdDecoder() {
    ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  }

  Result<int64_t> Step(CompressedInput& input, uint8_t* out, int64_t room) {
    ZSTD_inBuffer in{input.next, static_cast<size_t>(input.available), 0};
    ZSTD_outBuffer produced{out, static_cast<size_t>(room), 0};
    // At a frame's end, no input is the end of the stream and not a call too many.
    if (in.size == 0 && at_frame_end_) return 0;
    const size_t code = ZSTD_decompressStream(context_.get(), &produced, &in);
    input.next += in.pos;
    input.available -= static_cast<int64_t>(in.pos);
    if (ZSTD_isError(code)) return Status::IOError(ZSTD_getErrorName(code));
    at_frame_end_ = code == 0;
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
  bool at_frame_end_ = false;
};

Result<std::shared_ptr<arrow::io::InputStream>> Open(
    std::shared_ptr<arrow::io::InputStream> raw, const std::string& path) {
  auto zstd = std::make_shared<ZstdDecoder>();
  Decoder decoder{[zstd](CompressedInput& input, uint8_t* out, int64_t room) {
                    return zstd->Step(input, out, room);
                  },
                  [zstd] { return zstd->End(); }};
  return MakeDecodedStream(std::move(raw), std::move(decoder), "zstd", path);
}

}  // namespace

const Codec kZstd{"zstd", {".zst", ".zstd"}, Matches, Open};

}  // namespace fast_axolotl
