// SPDX-License-Identifier: Apache-2.0

// gzip (RFC 1952): one or more members, each with its CRC-32 and length, through ISA-L.
// Zero bytes behind a member are padding, as Python's gzip takes them.
//
// A restart point is a border of two deflate blocks, with the 32 KiB before it that
// matches may refer to. Only zlib stops at those borders, so it does the recording;
// ISA-L, which is several times as fast, does the reading.

#include <isa-l/igzip_lib.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

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

// Points are this far apart: each costs up to 32 KiB in the index.
constexpr int64_t kPointDistance = int64_t{16} << 20;

class GzipDecoder {
 public:
  GzipDecoder() { Restart(); }

  // Goes on inside a member. The checksum at its end is that of the whole member.
  explicit GzipDecoder(const RestartPoint& point) : bits_(point.bits) {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP_NO_HDR_VER;
    state_.crc = point.crc;
    state_.total_out = point.member;
    window_.assign(point.window.begin(), point.window.end());
    isal_inflate_set_dict(&state_, window_.data(), static_cast<uint32_t>(window_.size()));
  }

  Result<int64_t> Step(CompressedInput& input, uint8_t* out, int64_t room) {
    // First of all: a member with a wrong checksum is at its end, too.
    if (fault_ != 0) return Rest(out, room);
    if (state_.block_state == ISAL_BLOCK_FINISH) {
      const uint8_t* const member_end = input.next;
      while (input.available > 0 && *input.next == 0) {
        ++input.next;
        --input.available;
      }
      if (input.available == 0 || input.next > member_end) return 0;
      Restart();
    }
    if (bits_ > 0 && input.available > 0) {
      // The first block begins in the middle of a byte, whose upper bits are its own.
      state_.read_in = *input.next >> (8 - bits_);
      state_.read_in_length = bits_;
      bits_ = 0;
      ++input.next;
      --input.available;
    }
    constexpr int64_t kMost = std::numeric_limits<uint32_t>::max();
    const uint32_t offered = static_cast<uint32_t>(std::min(room, kMost));
    state_.next_in = const_cast<uint8_t*>(input.next);
    state_.avail_in = static_cast<uint32_t>(input.available);
    state_.next_out = out;
    state_.avail_out = offered;
    int code = ISAL_DECOMP_OK;
    if (in_header_) {
      code = isal_read_gzip_header(&state_, &header_);
      in_header_ = code != ISAL_DECOMP_OK;
      // A field that is not known would be taken for data, which RFC 1952, 2.3.1.2
      // forbids.
      constexpr uint32_t kReserved = 0xE0;
      if (!in_header_ && (header_.flags & kReserved)) code = ISAL_INVALID_WRAPPER;
    }
    if (!in_header_ && code == ISAL_DECOMP_OK) code = isal_inflate(&state_);
    input.available = state_.avail_in;
    input.next = state_.next_in;
    const int64_t wrote = offered - state_.avail_out;
    if (code < 0) {
      fault_ = code;
      // Output that came with the fault precedes it and goes out first.
      const int64_t right = wrote - TakeBack(wrote);
      return right > 0 ? right : Rest(out, room);
    }
    return wrote;
  }

  Status End() const {
    if (state_.block_state == ISAL_BLOCK_FINISH && fault_ == 0) return Status::OK();
    return Status::IOError("truncated: the data ends inside a member");
  }

 private:
  void Restart() {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP_NO_HDR_VER;
    isal_gzip_header_init(&header_);
    in_header_ = true;
  }

  // A match whose distance is wrong is counted as output all the same, whatever its bytes
  // are. How many they are is not told: as many as a match may have at most are taken
  // back, of what had no room yet, and then of the `wrote` bytes.
  int64_t TakeBack(int64_t wrote) {
    if (fault_ != ISAL_INVALID_LOOKBACK && fault_ != ISAL_INVALID_SYMBOL) return 0;
    constexpr int32_t kLongestMatch = 258;
    const int32_t waiting = state_.tmp_out_valid - state_.tmp_out_processed;
    const int32_t unseen = std::min(waiting, kLongestMatch);
    state_.tmp_out_valid -= unseen;
    return std::min<int64_t>(wrote, kLongestMatch - unseen);
  }

  // What was decoded before the fault and had no room is in ISA-L's own buffer, which it
  // will not empty any more.
  Result<int64_t> Rest(uint8_t* out, int64_t room) {
    const int64_t size =
        std::min<int64_t>(room, state_.tmp_out_valid - state_.tmp_out_processed);
    if (size <= 0) return Status::IOError(Reason(fault_));
    std::memcpy(out, state_.tmp_out_buffer + state_.tmp_out_processed,
                static_cast<size_t>(size));
    state_.tmp_out_processed += static_cast<int32_t>(size);
    return size;
  }

  inflate_state state_;
  // Where isal_inflate reads the header itself, it forgets between two calls which of
  // the optional fields are still to come.
  isal_gzip_header header_;
  bool in_header_ = false;
  std::vector<uint8_t> window_;
  int bits_ = 0;
  int fault_ = 0;
};

// Inflates with zlib, which can stop at every block border, and notes some of them.
class RecordingDecoder {
 public:
  explicit RecordingDecoder(std::vector<RestartPoint>* points) : points_(points) {
    // 15 bits of window, and 16 for a gzip header.
    started_ = inflateInit2(&stream_, 15 + 16) == Z_OK;
    points_->push_back({});
  }
  RecordingDecoder(const RecordingDecoder&) = delete;
  RecordingDecoder& operator=(const RecordingDecoder&) = delete;
  ~RecordingDecoder() {
    if (started_) inflateEnd(&stream_);
  }

  Result<int64_t> Step(CompressedInput& input, uint8_t* out, int64_t room) {
    if (!started_) return Status::OutOfMemory("zlib cannot be started");
    if (!fault_.empty()) return Status::IOError(fault_);
    if (finished_) {
      const uint8_t* const member_end = input.next;
      while (input.available > 0 && *input.next == 0) {
        Take(input, 1);
      }
      if (input.available == 0 || input.next > member_end) return 0;
      inflateReset(&stream_);
      finished_ = false;
      crc_ = 0;
      member_ = 0;
    }
    constexpr int64_t kMost = std::numeric_limits<uInt>::max();
    stream_.next_in = const_cast<Bytef*>(input.next);
    stream_.avail_in = static_cast<uInt>(input.available);
    stream_.next_out = out;
    stream_.avail_out = static_cast<uInt>(std::min(room, kMost));
    const uInt offered = stream_.avail_out;
    const int code = inflate(&stream_, Z_BLOCK);
    Take(input, input.available - stream_.avail_in);
    const int64_t wrote = offered - stream_.avail_out;
    out_ += wrote;
    member_ += static_cast<uint32_t>(wrote);
    crc_ = static_cast<uint32_t>(::crc32(crc_, out, static_cast<uInt>(wrote)));
    if (code == Z_STREAM_END) {
      finished_ = true;
    } else if (code == Z_MEM_ERROR) {
      return Status::OutOfMemory("zlib finds no memory for its window");
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      fault_ = stream_.msg ? stream_.msg : "cannot be decompressed";
      // Output that came with the fault precedes it and goes out first.
      if (wrote == 0) return Status::IOError(fault_);
    }
    // zlib's manual: 128 says that a block has just ended, 64 that it was the last one;
    // the low bits are those of the last byte that are not used yet.
    const bool border =
        fault_.empty() && (stream_.data_type & 128) && !(stream_.data_type & 64);
    // A point without any of its member before it would stand for the member's start.
    if (border && member_ > 0 && out_ - points_->back().out >= kPointDistance) Note();
    return wrote;
  }

  Status End() const {
    if (finished_) return Status::OK();
    return Status::IOError("truncated: the data ends inside a member");
  }

 private:
  void Take(CompressedInput& input, int64_t bytes) {
    input.next += bytes;
    input.available -= bytes;
    in_ += bytes;
  }

  void Note() {
    RestartPoint point{in_, stream_.data_type & 7, out_, crc_, member_, {}};
    uInt size = 0;
    inflateGetDictionary(&stream_, nullptr, &size);
    point.window.resize(size);
    inflateGetDictionary(&stream_, reinterpret_cast<Bytef*>(point.window.data()), &size);
    points_->push_back(std::move(point));
  }

  std::vector<RestartPoint>* const points_;
  z_stream stream_{};
  bool started_ = false;
  bool finished_ = false;
  std::string fault_;
  int64_t in_ = 0;
  int64_t out_ = 0;
  uint32_t crc_ = 0;
  uint32_t member_ = 0;
};

template <typename Gzip>
Result<std::shared_ptr<arrow::io::InputStream>> StreamOf(
    std::shared_ptr<arrow::io::InputStream> raw, const std::string& path,
    std::shared_ptr<Gzip> gzip) {
  Decoder decoder{[gzip](CompressedInput& input, uint8_t* out, int64_t room) {
                    return gzip->Step(input, out, room);
                  },
                  [gzip] { return gzip->End(); }};
  return MakeDecodedStream(std::move(raw), std::move(decoder), "gzip", path);
}

Result<std::shared_ptr<arrow::io::InputStream>> Open(
    std::shared_ptr<arrow::io::InputStream> raw, const std::string& path) {
  return StreamOf(std::move(raw), path, std::make_shared<GzipDecoder>());
}

Result<std::shared_ptr<arrow::io::InputStream>> OpenRecording(
    std::shared_ptr<arrow::io::InputStream> raw, const std::string& path,
    std::vector<RestartPoint>* points) {
  return StreamOf(std::move(raw), path, std::make_shared<RecordingDecoder>(points));
}

Result<std::shared_ptr<arrow::io::InputStream>> OpenAt(
    std::shared_ptr<arrow::io::InputStream> raw, const std::string& path,
    const RestartPoint& point) {
  if (point.member == 0 && point.window.empty()) return Open(std::move(raw), path);
  return StreamOf(std::move(raw), path, std::make_shared<GzipDecoder>(point));
}

}  // namespace

const Codec kGzip{"gzip", {".gz", ".gzip"}, "\x1f\x8b\x08", Matches,
                  Open,   OpenRecording,    OpenAt};

}  // namespace fast_axolotl
