// SPDX-License-Identifier: Apache-2.0

// Index loading: what is taken for an index comes back from its bytes, and a file can be
// read with it, as a planned epoch does, whatever it says: to rows or to an error.

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/index/dataset_index.h"
#include "core/index/store.h"
#include "core/plan/plan.h"
#include "core/scan/lane_reader.h"
#include "fuzz.h"

namespace fast_axolotl::fuzz {
namespace {

constexpr char kKey[] = "key";

std::string Compressed(const Codec* codec, const std::string& text) {
  if (!codec) return text;
  std::string out(text.size() + 1000, '\0');
  if (codec == &kZstd) {
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
    return out;
  }
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// A data set of one file for an index to lie about.
std::shared_ptr<const Dataset> Open(const char* name, const std::string& content) {
  const File file = StatFile(WriteFile(name, content)).ValueOrDie();
  return Dataset::Open({file}, nullptr, {}).ValueOrDie();
}

const std::vector<std::shared_ptr<const Dataset>>& Datasets() {
  static const auto* datasets = [] {
    std::string lines;
    for (int i = 0; i < 20; ++i) lines += "{\"a\": " + std::to_string(i) + "}\n";
    std::string array = "[{\"a\": 0}";
    for (int i = 1; i < 20; ++i) array += ",\n{\"a\": " + std::to_string(i) + "}";
    array += "]\n";
    std::string csv = "a,b\n";
    for (int i = 0; i < 20; ++i) csv += std::to_string(i) + ",\"x\ny\"\n";
    return new std::vector<std::shared_ptr<const Dataset>>{
        Open("a.jsonl", lines),
        Open("a.json", array),
        Open("a.csv", csv),
        Open("a.txt", lines),
        Open("a.jsonl.gz", Compressed(&kGzip, lines)),
        Open("a.json.gz", Compressed(&kGzip, array)),
        Open("a.csv.gz", Compressed(&kGzip, csv)),
        Open("a.txt.gz", Compressed(&kGzip, lines)),
        Open("a.jsonl.zst", Compressed(&kZstd, lines)),
        Open("a.json.zst", Compressed(&kZstd, array)),
        Open("a.csv.zst", Compressed(&kZstd, csv)),
        Open("a.txt.zst", Compressed(&kZstd, lines))};
  }();
  return *datasets;
}

// The bytes of an index or of lengths whose checksum fits.
std::string Sealed(const char* magic, std::string_view body) {
  std::string packed(ZSTD_compressBound(body.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), body.data(), body.size(), 1));
  const auto checksum = static_cast<uint32_t>(
      ::crc32_z(0, reinterpret_cast<const Bytef*>(packed.data()), packed.size()));
  const uint64_t size = body.size();
  std::string head = magic;
  head.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  head.append(reinterpret_cast<const char*>(&size), sizeof size);
  return head + packed;
}

void UseIndex(const FileIndex& index, const std::shared_ptr<const Dataset>& dataset) {
  const auto shared = std::make_shared<const FileIndex>(index);
  const auto all = std::make_shared<const DatasetIndex>(std::vector{shared});
  std::vector<int64_t> rows;
  for (const auto& entry : all->entries()) rows.push_back(entry.fragment.rows);
  const auto plan = std::make_shared<const Plan>(
      std::move(rows),
      PlanOptions{.shuffle = true, .batch_size = 3, .lanes = 2, .window = 5});
  FUZZ_CHECK(plan->rows() == all->rows() && plan->rows() >= 0, "the number of rows");
  for (int64_t lane = 0; lane < 2; ++lane) {
    // No threads: this one does the work.
    LaneReader reader({dataset, all, plan, dataset->options()}, lane, 0, {0});
    for (int64_t i = 0; i < std::min<int64_t>(plan->LaneBatches(lane), 30); ++i) {
      const auto batch = reader.Next(std::chrono::seconds(10));
      FUZZ_CHECK(!batch.ok() || *batch, "no batch after ten seconds");
      if (batch.ok()) continue;
      FUZZ_CHECK(batch.status().message().find(dataset->files()[0].path) == 0,
                 batch.status().ToString());
      break;
    }
  }
}

void CheckIndex(const std::string& bytes, const std::shared_ptr<const Dataset>& dataset) {
  const auto index = DecodeIndex(bytes, kKey);
  if (!index.ok()) return;
  const std::string again = EncodeIndex(*index, kKey);
  const auto back = DecodeIndex(again, kKey);
  FUZZ_CHECK(back.ok() && EncodeIndex(*back, kKey) == again, back.status().ToString());
  UseIndex(*index, dataset);
}

void CheckLengths(const std::string& bytes) {
  const auto lengths = DecodeLengths(bytes, kKey);
  if (!lengths.ok()) return;
  const auto back = DecodeLengths(EncodeLengths(*lengths, kKey), kKey);
  FUZZ_CHECK(back.ok() && *back == *lengths, back.status().ToString());
}

}  // namespace
}  // namespace fast_axolotl::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fast_axolotl::fuzz;
  Choices choices(data, size);
  const uint8_t kind = choices.Byte();
  const auto& dataset = Datasets()[choices.Byte() % Datasets().size()];
  const std::string_view rest = choices.rest();
  // Behind a checksum that does not fit there is little to find: mostly it fits.
  if (kind % 8 == 0) {
    CheckIndex(std::string(rest), dataset);
    CheckLengths(std::string(rest));
  } else if (kind % 8 == 1) {
    CheckLengths(Sealed("FAXLEN01", rest));
  } else {
    CheckIndex(Sealed("FAXIDX03", rest), dataset);
  }
  return 0;
}
