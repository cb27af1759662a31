// SPDX-License-Identifier: Apache-2.0
#include "core/scan/open_streams.h"

#include <algorithm>
#include <utility>

#include "core/common/stop.h"
#include "core/format/input.h"
#include "core/scan/small_files.h"

namespace fast_axolotl {
namespace {

// How much of a small file is read in one go, in decoded bytes: handing its parts from
// thread to thread would take longer.
constexpr int64_t kLargeStream = int64_t{1} << 20;

void AddDecoded(Stream* stream, Decoded decoded) {
  auto slot = std::make_shared<Slot>();
  slot->result = std::move(decoded);
  slot->bytes = BytesOf(slot->result);
  slot->done = true;
  stream->bytes += slot->bytes;
  stream->slots.push_back(std::move(slot));
}

// Reads a fragment of a small file, as far as it does not grow large behind a codec,
// while nobody else knows the stream.
void ReadSmall(Stream* stream) {
  stream->failure = Guarded([&]() -> Status {
    ARROW_ASSIGN_OR_RAISE(stream->reader, stream->source->open(stream->fragment));
    while (stream->bytes < kLargeStream) {
      ARROW_ASSIGN_OR_RAISE(std::optional<DecodeTask> task, stream->reader());
      if (!task) {
        stream->exhausted = true;
        break;
      }
      AddDecoded(stream, task->decode());
    }
    return Status::OK();
  });
  if (!stream->failure.ok()) stream->exhausted = true;
  if (!stream->exhausted) return;
  stream->reader = nullptr;  // closes the file
  stream->source = nullptr;
}

}  // namespace

StreamOpener::StreamOpener(std::shared_ptr<const Dataset> dataset, ReadOptions options,
                           int num_threads, const OpenedFiles& opened)
    : dataset_(std::move(dataset)),
      options_(std::move(options)),
      num_threads_(static_cast<size_t>(std::max(num_threads, 1))),
      opened_(opened) {}

size_t StreamOpener::RunFrom(size_t file) const {
  constexpr size_t kMostFiles = 32;
  // The first was begun for the sample. Where joining fails, files are read twice.
  if (file == 0 || failed_runs_ > 2 + runs_ / 8) return 1;
  const size_t share = (dataset_->files().size() - file) / (4 * num_threads_);
  return CountJoinable(*dataset_, file, std::min(share, kMostFiles));
}

Result<std::vector<std::shared_ptr<Stream>>> StreamOpener::Open(size_t first,
                                                                size_t count) {
  if (count > 1) return OpenRun(first, count);
  return OpenFragments(first);
}

// A stream for each fragment of a file; that of a small file already has its rows.
Result<std::vector<std::shared_ptr<Stream>>> StreamOpener::OpenFragments(
    size_t file) const {
  ARROW_ASSIGN_OR_RAISE(auto source, opened_.Open(file));
  std::vector<std::shared_ptr<Stream>> streams;
  for (const Fragment& fragment : source->fragments) {
    auto stream = std::make_shared<Stream>();
    stream->file = file;
    stream->fragment = fragment;
    stream->source = source;
    streams.push_back(std::move(stream));
  }
  if (streams.size() == 1 && dataset_->files()[file].size <= Input::kSmallFile) {
    ReadSmall(streams[0].get());
  }
  return streams;
}

// One stream with the rows of several files, or one for each of them.
std::vector<std::shared_ptr<Stream>> StreamOpener::OpenRun(size_t first, size_t count) {
  std::vector<std::shared_ptr<Stream>> streams;
  ++runs_;
  if (auto joined = JoinFiles(*dataset_, first, count, options_)) {
    auto stream = std::make_shared<Stream>();
    stream->file = first;
    stream->exhausted = true;
    if (joined->rows) {
      AddDecoded(stream.get(), {std::move(joined->rows), Status::OK()});
      stream->joined =
          std::make_shared<const std::vector<FileStart>>(std::move(joined->starts));
    }
    streams.push_back(std::move(stream));
    return streams;
  }
  ++failed_runs_;
  for (size_t file = first; file < first + count; ++file) {
    auto stream = std::make_shared<Stream>();
    stream->file = file;
    stream->is_file = true;
    streams.push_back(std::move(stream));
  }
  return streams;
}

}  // namespace fast_axolotl
