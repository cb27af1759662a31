// SPDX-License-Identifier: Apache-2.0
#include "core/format/text_format.h"

#include <deque>
#include <memory>
#include <utility>

#include "core/codec/decoded_stream.h"
#include "core/common/text.h"
#include "core/format/input.h"
#include "core/format/schema.h"

namespace fast_axolotl {
namespace {

constexpr int64_t kSampleBytes = int64_t{4} << 20;
constexpr int64_t kFragmentBytes = int64_t{1} << 20;

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
  std::shared_ptr<arrow::io::InputStream> stream;
  TextPass pass;
  if (index) {
    ARROW_ASSIGN_OR_RAISE(stream, input.OpenRange(options.counter, index->points,
                                                  fragment.begin, fragment.end));
    pass = file(&fragment);
  } else {
    ARROW_ASSIGN_OR_RAISE(stream, input.OpenStream(options.counter));
    pass = file(nullptr);
  }
  const BlockStart start{fragment.begin, fragment.line, fragment.first_row(),
                         pass.count_lines};
  return TasksOf(std::make_shared<BlockReader>(std::move(stream), input.file.path,
                                               std::move(pass.splitter), start),
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

// Cuts a file into pieces of one MiB while its rows go by.
class Cutter {
 public:
  explicit Cutter(int64_t (*count_lines)(std::string_view)) : count_lines_(count_lines) {}

  void Add(const Block& block, const std::vector<uint32_t>& begins) {
    uint32_t counted = 0;
    for (const uint32_t begin : begins) {
      const int64_t at = block.offset + begin;
      if (pieces_.empty() ||
          at / kFragmentBytes != pieces_.back().begin / kFragmentBytes) {
        line_ += count_lines_(block.text().substr(counted, begin - counted));
        counted = begin;
        if (!pieces_.empty()) pieces_.back().end = at;
        pieces_.push_back({at, at, 0, row_, line_});
      }
      ++pieces_.back().rows;
      ++row_;
    }
    line_ = block.line + count_lines_(block.text());
    end_ = block.offset + block.size;
  }

  std::vector<Fragment> Finish() {
    if (!pieces_.empty()) pieces_.back().end = end_;
    return std::move(pieces_);
  }

 private:
  int64_t (*const count_lines_)(std::string_view);
  std::vector<Fragment> pieces_;
  int64_t row_ = 0;
  int64_t line_ = 0;
  int64_t end_ = 0;
};

// Joins the parts that are reached from the same restart point.
std::vector<Fragment> JoinParts(const std::vector<Fragment>& parts,
                                const std::vector<RestartPoint>& points) {
  std::vector<Fragment> joined;
  size_t next = 0;
  for (const Fragment& part : parts) {
    bool restart = joined.empty();
    while (next < points.size() && points[next].out <= part.begin) {
      restart = true;
      ++next;
    }
    if (restart) {
      joined.push_back(part);
    } else {
      joined.back().end = part.end;
      joined.back().rows += part.rows;
    }
  }
  return joined;
}

}  // namespace

Result<Sample> SampleText(const Input& input, const ReadOptions& options,
                          TextFormat format) {
  const auto begun = std::make_shared<Begun>();
  ARROW_ASSIGN_OR_RAISE(auto stream, input.OpenStream(begun->counter));
  ARROW_ASSIGN_OR_RAISE(const TextFile file, format(input, options, nullptr));
  TextPass pass = file(nullptr);
  begun->reader =
      std::make_shared<BlockReader>(stream, input.file.path, std::move(pass.splitter),
                                    BlockStart{.count_lines = pass.count_lines});
  Sample sample;
  sample.schema = arrow::schema(arrow::FieldVector{});
  int64_t end = 0;
  // Adds a block; an error at a fault, false at the end of the file.
  const auto add_block = [&]() -> Result<bool> {
    ARROW_ASSIGN_OR_RAISE(std::optional<Block> block, begun->reader->Next());
    if (!block) return false;
    end = block->offset + block->size;
    sample.bytes = input.codec ? CompressedPosition(*stream) : end;
    const int64_t bytes = block->buffer->size();
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
    }
    ARROW_RETURN_NOT_OK(decoded.end);
    begun->decoded.push_back({[decoded = std::move(decoded)] { return decoded; }, bytes});
    return true;
  };
  Result<bool> more = true;
  while (more.ok() && *more && end < kSampleBytes) more = add_block();
  if (!more.ok()) return sample;
  sample.complete = !*more;
  if (sample.complete) sample.bytes = input.file.size;
  sample.begun = [input, format, begun](const ReadOptions& later) {
    return GoOn(input, later, format, begun);
  };
  return sample;
}

Result<OpenedFile> OpenText(const Input& input, const ReadOptions& options,
                            std::shared_ptr<const FileIndex> index, TextFormat format) {
  ARROW_ASSIGN_OR_RAISE(const TextFile file, format(input, options, index.get()));
  OpenedFile reader;
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

Result<FileIndex> IndexText(const Input& input, const ReadOptions& options,
                            TextFormat format) {
  FileIndex index;
  ARROW_ASSIGN_OR_RAISE(auto stream,
                        options.restart_points
                            ? input.OpenRecording(options.counter, &index.points)
                            : input.OpenStream(options.counter));
  ARROW_ASSIGN_OR_RAISE(const TextFile file, format(input, options, nullptr));
  TextPass pass = file(nullptr);
  BlockReader reader(std::move(stream), input.file.path, std::move(pass.splitter),
                     {.count_lines = pass.count_lines});
  Cutter cutter(pass.count_lines);
  std::vector<uint32_t> begins;
  // Adds a block; false at the end of the file.
  const auto add_block = [&]() -> Result<bool> {
    ARROW_ASSIGN_OR_RAISE(const std::optional<Block> block, reader.Next());
    if (!block) return false;
    index.framing = block->framing;
    begins.clear();
    ARROW_RETURN_NOT_OK(pass.row_begins(*block, &begins));
    cutter.Add(*block, begins);
    return true;
  };
  for (bool more = true; more;) {
    ARROW_RETURN_NOT_OK(options.Tick());
    const auto added = add_block();
    if (!added.ok()) {
      if (!options.keep_bad_rows || !IsOfData(added.status())) return added.status();
      index.damage = added.status().message();
    }
    more = added.ok() && *added;
  }
  index.fragments = cutter.Finish();
  if (input.codec) {
    index.parts = std::move(index.fragments);
    index.fragments = JoinParts(index.parts, index.points);
    index.from_start = index.points.size() <= 1;
  }
  return index;
}

}  // namespace fast_axolotl
