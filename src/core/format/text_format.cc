// SPDX-License-Identifier: Apache-2.0
#include "core/format/text_format.h"

#include <memory>
#include <utility>

#include "core/format/input.h"
#include "core/format/schema.h"

namespace fast_axolotl {
namespace {

constexpr int64_t kSampleBytes = int64_t{4} << 20;

}  // namespace

Result<Sample> SampleText(const Input& input, const ReadOptions& options,
                          TextFormat format) {
  auto counter = std::make_shared<ByteCounter>(0);
  ARROW_ASSIGN_OR_RAISE(auto stream, input.OpenStream(counter));
  ARROW_ASSIGN_OR_RAISE(TextPass pass, format(input, options));
  BlockReader reader(std::move(stream), input.file.path, std::move(pass.splitter));
  Sample sample;
  sample.schema = arrow::schema(arrow::FieldVector{});
  for (;;) {
    auto block = reader.Next();
    if (!block.ok()) break;
    if (!*block) {
      sample.complete = true;
      break;
    }
    const int64_t end = (*block)->offset + (*block)->size;
    auto task = pass.task(std::move(**block));
    if (!task.ok()) break;
    const Decoded decoded = (*task)();
    if (decoded.rows) {
      sample.rows += decoded.rows->num_rows();
      sample.schema = WidenSchema(*sample.schema, *decoded.rows->schema(),
                                  input.format == &kCsv ? Mixed::kString : Mixed::kJson);
    }
    if (!decoded.end.ok() || end >= kSampleBytes) break;
  }
  sample.bytes = sample.complete ? input.file.size : counter->load();
  return sample;
}

Result<std::vector<Fragment>> TextFragments(const Input& input,
                                            const ReadOptions& options,
                                            TextFormat format) {
  Fragment fragment;
  fragment.end = input.file.size;
  fragment.open = [input, options, format]() -> Result<FragmentReader> {
    ARROW_ASSIGN_OR_RAISE(auto stream, input.OpenStream(options.counter));
    ARROW_ASSIGN_OR_RAISE(TextPass pass, format(input, options));
    auto reader = std::make_shared<BlockReader>(std::move(stream), input.file.path,
                                                std::move(pass.splitter));
    return [reader,
            make_task = std::move(pass.task)]() -> Result<std::optional<DecodeTask>> {
      ARROW_ASSIGN_OR_RAISE(std::optional<Block> block, reader->Next());
      if (!block) return std::nullopt;
      const int64_t bytes = block->buffer->size();
      ARROW_ASSIGN_OR_RAISE(auto task, make_task(std::move(*block)));
      return DecodeTask{std::move(task), bytes};
    };
  };
  return std::vector<Fragment>{std::move(fragment)};
}

}  // namespace fast_axolotl
