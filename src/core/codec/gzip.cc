// SPDX-License-Identifier: Apache-2.0

// gzip (RFC 1952): one or more members, each with its CRC-32 and length, through ISA-L.
// Zero bytes after the last member are padding, as gzip itself takes them.

#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <limits>

#include "core/codec/codec.h"
#include "core/codec/decoded_stream.h"

namespace fast_axolotl {
namespace {

bool Matches(std::string_view head) {
  return head.size() >= 2 && head[0] == '\x1f' && head[1] == '\x8b';
}

std::string_view Reason(int code) {
  switch (code) {
    case ISAL_INVALID_BLOCK:
      return "invalid deflate block";
    case ISAL_INVALID_SYMBOL:
      return "invalid deflate symbol";
    case ISAL_INVALID_LOOKBACK:
      return "invalid deflate distance";
    case ISAL_INVALID_WRAPPER:
      return "invalid gzip header";
    case ISAL_UNSUPPORTED_METHOD:
      return "unknown compression method";
    case ISAL_INCORRECT_CHECKSUM:
      return "checksum or length mismatch";
    default:
      return "cannot be decompressed";
  }
}

class GzipDecoder {
 public:
  GzipDecoder() { Restart(); }

  Result<int64_t> Step(CompressedInput& input, uint8_t* out, int64_t room) {
    // First of all: a member with a wrong checksum is at its end, too.
    if (fault_ != 0) return Status::IOError(Reason(fault_));
    if (state_.block_state == ISAL_BLOCK_FINISH) {
      while (input.available > 0 && *input.next == 0) {
        ++input.next;
        --input.available;
        padded_ = true;
      }
      if (input.available == 0) return 0;
      if (padded_) return Status::IOError("garbage after the last member");
      Restart();
    }
    constexpr int64_t kMost = std::numeric_limits<uint32_t>::max();
    const uint32_t offered = static_cast<uint32_t>(std::min(room, kMost));
    state_.next_in = const_cast<uint8_t*>(input.next);
    state_.avail_in = static_cast<uint32_t>(input.available);
    state_.next_out = out;
    state_.avail_out = offered;
    const int code = isal_inflate(&state_);
    input.available = state_.avail_in;
    input.next = state_.next_in;
    const int64_t wrote = offered - state_.avail_out;
    if (code < 0) {
      fault_ = code;
      // Output that came with the fault precedes it and goes out first.
      if (wrote == 0) return Status::IOError(Reason(fault_));
    }
    return wrote;
  }

  Status End() const {
    if (state_.block_state == ISAL_BLOCK_FINISH) return Status::OK();
    return Status::IOError("truncated: the data ends inside a member");
  }

 private:
  void Restart() {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP;
  }

  inflate_state state_;
  bool padded_ = false;
  int fault_ = 0;
};

Result<std::shared_ptr<arrow::io::InputStream>> Open(
    std::shared_ptr<arrow::io::InputStream> raw, const std::string& path) {
  auto gzip = std::make_shared<GzipDecoder>();
  Decoder decoder{[gzip](CompressedInput& input, uint8_t* out, int64_t room) {
                    return gzip->Step(input, out, room);
                  },
                  [gzip] { return gzip->End(); }};
  return MakeDecodedStream(std::move(raw), std::move(decoder), "gzip", path);
}

}  // namespace

const Codec kGzip{"gzip", {".gz", ".gzip"}, Matches, Open};

}  // namespace fast_axolotl
