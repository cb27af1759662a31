// SPDX-License-Identifier: Apache-2.0
#include "core/format/text_format.h"

#include <deque>
#include <limits>
#include <memory>
#include <utility>

#include "core/codec/decoded_stream.h"
#include "core/common/stop.h"
#include "core/common/text.h"
#include "core/format/input.h"
#include "core/format/schema.h"

namespace fast_axolotl {
namespace {

constexpr int64_t kFragmentBytes = int64_t{1} << 20;
// Behind the end of every file.
constexpr int64_t kFileEnd = std::numeric_limits<int64_t>::max();

// The blocks of a whole file; where bad rows are kept, those behind damaged parts, too.
class Blocks {
 public:
  // `points`: where restart points are noted; null for none.
  static Result<std::shared_ptr<Blocks>> Open(const Input& input,
                                              const ReadOptions& options, TextPass pass,
                                              std::vector<RestartPoint>* points) {
    auto blocks = std::make_shared<Blocks>(input, options, std::move(pass), points);
    ARROW_RETURN_NOT_OK(blocks->OpenAt(0, {.count_lines = blocks->pass_.count_lines,
                                           .bytes = input.codec ? 0 : input.file.size}));
    return blocks;
  }

  Blocks(const Input& input, const ReadOptions& options, TextPass pass,
         std::vector<RestartPoint>* points)
      : input_(input), options_(options), pass_(std::move(pass)), points_(points) {}

  const std::string& path() const { return input_.file.path; }
  const TextPass& pass() const { return pass_; }

  // As BlockReader::Next.
  Result<std::optional<Block>> Next() {
    auto next = reader_->Next();
    if (!next.ok()) return AsRead(next.status());
    std::optional<Block>& block = *next;
    if (!block) {
      TakePoints();
    } else if (std::exchange(inside_line_, false)) {
      const size_t end = block->text().find('\n');
      const auto skipped =
          end == std::string_view::npos ? block->size : static_cast<int64_t>(end) + 1;
      block->begin += skipped;
      block->offset += skipped;
      block->size -= skipped;
    }
    return next;
  }

  // After an error: goes on behind the damage, and says where, in the compressed file;
  // -1 if that cannot be.
  Result<int64_t> GoOn(const Status& error) {
    TakePoints();
    const BlockStart start = reader_->position();
    // The row that the damage is in is no part of what was read.
    while (points_ && !points_->empty() && points_->back().out > start.offset) {
      points_->pop_back();
    }
    if (!options_.keep_bad_rows || !input_.codec || pass_.resume == Resume::kNever ||
        !IsOfData(error) || LimitExceeded(*stream_)) {
      return -1;
    }
    // Damage may hide a part's end, and the next one is then decoded as if it belonged to
    // it, up to the first fault in that.
    constexpr int64_t kTooFar = int64_t{1} << 20;
    const int64_t behind_start = WholeParts(*stream_) + 1;
    const int64_t from = std::max(behind_start, CompressedPosition(*stream_) - kTooFar);
    ARROW_ASSIGN_OR_RAISE(const int64_t part, input_.FindPart(in_ + from));
    if (part < 0) return -1;
    ARROW_RETURN_NOT_OK(OpenAt(part, start));
    inside_line_ = pass_.resume == Resume::kAtLine;
    return part;
  }

 private:
  // What a decoder notes restart points with may see a fault at another byte, and name it
  // otherwise, than what reads: the same damage is to be told in the same words.
  Status AsRead(const Status& error) const {
    if (!points_ || !input_.codec || !IsOfData(error)) return error;
    ARROW_ASSIGN_OR_RAISE(const auto stream, input_.OpenPart(nullptr, in_, nullptr));
    LimitDecoded(*stream, input_.limits, out_);
    for (;;) {
      const auto bytes = stream->Read(int64_t{256} << 10);
      if (!bytes.ok()) return bytes.status();
      if ((*bytes)->size() == 0) return error;
    }
  }

  Status OpenAt(int64_t in, const BlockStart& start) {
    in_ = in;
    out_ = start.offset;
    if (points_) own_ = std::make_unique<std::vector<RestartPoint>>();
    if (input_.codec) {
      ARROW_ASSIGN_OR_RAISE(stream_, input_.OpenPart(options_.counter, in, own_.get()));
      LimitDecoded(*stream_, input_.limits, start.offset);
    } else {
      ARROW_ASSIGN_OR_RAISE(stream_, input_.OpenStream(options_.counter));
    }
    reader_ = std::make_unique<BlockReader>(stream_, input_.file.path, pass_.splitter,
                                            start, options_.limits);
    return Status::OK();
  }

  // The points are noted from where the stream was opened.
  void TakePoints() {
    if (!points_ || !own_ || !input_.codec) return;
    for (RestartPoint& point : *own_) {
      point.in += in_;
      point.out += out_;
      points_->push_back(std::move(point));
    }
    own_->clear();
  }

  const Input input_;
  const ReadOptions options_;
  const TextPass pass_;
  std::vector<RestartPoint>* const points_;
  std::unique_ptr<std::vector<RestartPoint>> own_;
  std::shared_ptr<arrow::io::InputStream> stream_;
  std::unique_ptr<BlockReader> reader_;
  int64_t in_ = 0;   // compressed bytes before the stream
  int64_t out_ = 0;  // decompressed bytes that were read before it
  bool inside_line_ = false;
};

// What a damaged part of a file means for what is behind it.
std::string Then(int64_t next) {
  if (next < 0) return kRestIsLost;
  return "; reading goes on at compressed byte " + std::to_string(next);
}

// The tasks of a whole file.
FragmentReader TasksOfFile(std::shared_ptr<Blocks> blocks) {
  return [blocks = std::move(blocks)]() -> Result<std::optional<DecodeTask>> {
    auto block = blocks->Next();
    if (!block.ok()) {
      ARROW_ASSIGN_OR_RAISE(const int64_t next, blocks->GoOn(block.status()));
      if (next < 0) return block.status();
      return LostPart(MakeDamage(0, block.status(), blocks->path(), Then(next)));
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
                          Blocks::Open(input, options, file(nullptr), nullptr));
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

// Cuts a file into pieces of one MiB while its rows go by.
class Cutter {
 public:
  explicit Cutter(int64_t (*count_lines)(std::string_view)) : count_lines_(count_lines) {}

  // What comes next does not follow what came before. Returns where it breaks, in rows.
  int64_t Break() {
    if (!pieces_.empty()) pieces_.back().end = end_;
    broken_ = true;
    return row_ + breaks_++;
  }

  void Add(const Block& block, const std::vector<uint32_t>& begins) {
    uint32_t counted = 0;
    for (const uint32_t begin : begins) {
      const int64_t at = block.offset + begin;
      if (pieces_.empty() || broken_ ||
          at / kFragmentBytes != pieces_.back().begin / kFragmentBytes) {
        line_ += count_lines_(block.text().substr(counted, begin - counted));
        counted = begin;
        if (!pieces_.empty() && !broken_) pieces_.back().end = at;
        broken_ = false;
        pieces_.push_back({at, at, 0, row_, line_, breaks_});
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
  int64_t breaks_ = 0;
  bool broken_ = false;
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

Result<FileIndex> IndexText(const Input& input, const ReadOptions& options,
                            TextFormat format) {
  FileIndex index;
  ARROW_ASSIGN_OR_RAISE(const TextFile file, format(input, options, nullptr));
  ARROW_ASSIGN_OR_RAISE(auto blocks,
                        Blocks::Open(input, options, file(nullptr),
                                     options.restart_points ? &index.points : nullptr));
  const TextPass& pass = blocks->pass();
  Cutter cutter(pass.count_lines);
  std::vector<uint32_t> begins;
  // Adds a block; false at the end of the file.
  const auto add_block = [&]() -> Result<bool> {
    ARROW_ASSIGN_OR_RAISE(const std::optional<Block> block, blocks->Next());
    if (!block) return false;
    index.framing = block->framing;
    begins.clear();
    ARROW_RETURN_NOT_OK(pass.row_begins(*block, &begins));
    cutter.Add(*block, begins);
    return true;
  };
  for (bool more = true; more;) {
    ARROW_RETURN_NOT_OK(CheckStop());
    const auto added = add_block();
    if (added.ok()) {
      more = *added;
      continue;
    }
    if (!options.keep_bad_rows || !IsOfData(added.status())) return added.status();
    ARROW_ASSIGN_OR_RAISE(const int64_t next, blocks->GoOn(added.status()));
    more = next >= 0;
    index.damages.push_back(
        MakeDamage(cutter.Break(), added.status(), input.file.path, Then(next)));
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
