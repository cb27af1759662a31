// SPDX-License-Identifier: Apache-2.0
#include "core/format/text_format.h"

#include <deque>
#include <memory>
#include <utility>

#include "core/codec/decoded_stream.h"
#include "core/format/file_blocks.h"
#include "core/format/input.h"
#include "core/format/schema.h"

namespace fast_axolotl {
namespace {

// The tasks of a whole file.
FragmentReader TasksOfFile(std::shared_ptr<FileBlocks> blocks) {
  return [blocks = std::move(blocks)]() -> Result<std::optional<DecodeTask>> {
    auto block = blocks->Next();
    if (!block.ok()) {
      ARROW_ASSIGN_OR_RAISE(const int64_t next, blocks->GoOn(block.status()));
      if (next < 0) return block.status();
      return LostPart(MakeDamage(0, block.status(), blocks->path(), WhatFollows(next)));
    }
    if (!*block) return std::nullopt;
    const int64_t bytes = (*block)->buffer->size();
    ARROW_ASSIGN_OR_RAISE(auto task, blocks->pass().task(std::move(**block)));
    return DecodeTask{std::move(task), bytes};
  };
}

// The tasks of the blocks that `reader` comes to.
FragmentReader TasksOf(std::shared_ptr<BlockReader> reader,
                       decltype(TextPass::task) make_task) {
  return [reader = std::move(reader),
          make_task = std::move(make_task)]() -> Result<std::optional<DecodeTask>> {
    ARROW_ASSIGN_OR_RAISE(std::optional<Block> block, reader->Next());
    if (!block) return std::nullopt;
    const int64_t bytes = block->buffer->size();
    ARROW_ASSIGN_OR_RAISE(auto task, make_task(std::move(*block)));
    return DecodeTask{std::move(task), bytes};
  };
}

Result<FragmentReader> OpenFragment(const Input& input, const ReadOptions& options,
                                    const FileIndex* index, const TextFile& file,
                                    const Fragment& fragment) {
  if (!index) {
    ARROW_ASSIGN_OR_RAISE(auto blocks,
                          FileBlocks::Open(input, options, file(nullptr), nullptr));
    return TasksOfFile(std::move(blocks));
  }
  const int64_t end = index->IsLast(fragment) ? kFileEnd : fragment.end;
  ARROW_ASSIGN_OR_RAISE(
      auto stream, input.OpenRange(options.counter, index->points, fragment.begin, end));
  TextPass pass = file(&fragment);
  const BlockStart start{fragment.begin, fragment.line, fragment.first_row(),
                         pass.count_lines};
  return TasksOf(
      std::make_shared<BlockReader>(std::move(stream), input.file.path,
                                    std::move(pass.splitter), start, options.limits),
      std::move(pass.task));
}

// What a sample has decoded, and what it was decoded from.
struct Begun {
  std::shared_ptr<ByteCounter> counter = std::make_shared<ByteCounter>(0);
  std::shared_ptr<BlockReader> reader;
  std::deque<DecodeTask> decoded;
};

Result<FragmentReader> GoOn(const Input& input, const ReadOptions& options,
                            TextFormat format, const std::shared_ptr<Begun>& begun) {
  ARROW_ASSIGN_OR_RAISE(const TextFile file, format(input, options, nullptr));
  return [begun, counter = options.counter,
          rest = TasksOf(begun->reader,
                         file(nullptr).task)]() -> Result<std::optional<DecodeTask>> {
    std::optional<DecodeTask> next;
    if (begun->decoded.empty()) {
      ARROW_ASSIGN_OR_RAISE(next, rest());
    } else {
      next = std::move(begun->decoded.front());
      begun->decoded.pop_front();
    }
    if (counter) *counter += begun->counter->exchange(0);
    return next;
  };
}

}  // namespace

decltype(TextPass::task) TasksWith(const Input& input, const ReadOptions& options,
                                   Decoded (*decode)(const Block&, const TextSource&)) {
  return [source =
              std::make_shared<const TextSource>(TextSource{input.file.path, options}),
          decode](Block block) -> Result<std::function<Decoded()>> {
    return [source, decode, block = std::move(block)] { return decode(block, *source); };
  };
}

Result<Sample> SampleText(const Input& input, const ReadOptions& options,
                          TextFormat format, int64_t bytes) {
  const auto begun = std::make_shared<Begun>();
  ARROW_ASSIGN_OR_RAISE(auto stream, input.OpenStream(begun->counter));
  ARROW_ASSIGN_OR_RAISE(const TextFile file, format(input, options, nullptr));
  TextPass pass = file(nullptr);
  begun->reader = std::make_shared<BlockReader>(
      stream, input.file.path, std::move(pass.splitter),
      BlockStart{.count_lines = pass.count_lines,
                 .bytes = input.codec ? 0 : input.file.size},
      options.limits);
  Sample sample;
  sample.schema = arrow::schema(arrow::FieldVector{});
  int64_t end = 0;
  // Adds a block; an error at a fault, false at the end of the file.
  const auto add_block = [&]() -> Result<bool> {
    ARROW_ASSIGN_OR_RAISE(std::optional<Block> block, begun->reader->Next());
    if (!block) return false;
    end = block->offset + block->size;
    sample.bytes = input.codec ? CompressedPosition(*stream) : end;
    const int64_t held = block->buffer->size();
    ARROW_ASSIGN_OR_RAISE(auto task, pass.task(std::move(*block)));
    Decoded decoded = task();
    if (decoded.rows) {
      sample.rows += decoded.rows->num_rows();
      auto columns = decoded.rows->schema();
      if (const int hidden = BadRowsIndex(*columns); hidden >= 0) {
        ARROW_ASSIGN_OR_RAISE(columns, columns->RemoveField(hidden));
      }
      sample.schema = WidenSchema(*sample.schema, *columns,
                                  input.format == &kCsv ? Mixed::kString : Mixed::kJson);
      ARROW_RETURN_NOT_OK(
          CheckColumns(sample.schema->num_fields(), options.limits, input.file.path));
    }
    ARROW_RETURN_NOT_OK(decoded.end);
    begun->decoded.push_back({[decoded = std::move(decoded)] { return decoded; }, held});
    return true;
  };
  Result<bool> more = true;
  while (more.ok() && *more && (end < bytes || begun->reader->all_read())) {
    more = add_block();
  }
  if (!more.ok()) {
    // What is wrong with the data comes up again in its place. What the system has said
    // need not, and no columns are taken for all of them.
    if (sample.rows == 0 && more.status().detail()) return more.status();
    return sample;
  }
  sample.complete = !*more;
  if (sample.complete) sample.bytes = input.file.size;
  // A pass over damaged parts goes on behind them, from its own start.
  if (options.keep_bad_rows && input.codec) return sample;
  sample.begun = [input, format, begun](const ReadOptions& later) {
    return GoOn(input, later, format, begun);
  };
  return sample;
}

Result<OpenedFile> OpenText(const Input& input, const ReadOptions& options,
                            std::shared_ptr<const FileIndex> index, TextFormat format) {
  ARROW_ASSIGN_OR_RAISE(const TextFile file, format(input, options, index.get()));
  OpenedFile reader;
  reader.decompresses = input.codec != nullptr;
  if (index) {
    reader.fragments = index->fragments;
  } else {
    reader.fragments = {Fragment{0, input.file.size, -1, 0, 0}};
  }
  reader.open = [input, options, index, file](const Fragment& fragment) {
    return OpenFragment(input, options, index.get(), file, fragment);
  };
  return reader;
}

}  // namespace fast_axolotl
