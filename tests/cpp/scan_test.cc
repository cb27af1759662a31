// SPDX-License-Identifier: Apache-2.0
#include "core/scan/scan.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "arrow/array/builder_binary.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/io/file.h"
#include "arrow/ipc/writer.h"
#include "arrow/record_batch.h"
#include "arrow/table.h"
#include "core/scan/batch_reader.h"
#include "parquet/arrow/writer.h"

namespace fast_axolotl {
namespace {

constexpr std::chrono::milliseconds kPatience{20};
constexpr int64_t kRows = 20'000;  // of a file

// A folder of its own, gone at the end.
class Scans : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "scan-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ / name; }

  std::string WriteLines(const std::string& name, const std::string& end = "") {
    std::ofstream out(Path(name));
    const bool csv = name.ends_with(".csv");
    if (csv) out << "id,text\n";
    for (int64_t i = 0; i < kRows; ++i) {
      if (csv) {
        out << i << ",\"some words, and more\"\n";
      } else {
        out << "{\"id\": " << i << ", \"text\": \"some words\", \"ids\": [1, 22, 333]}\n";
      }
    }
    out << end;
    return Path(name);
  }

  std::string WriteArrow(const std::string& name) {
    arrow::Int64Builder ids;
    arrow::StringBuilder texts;
    for (int64_t i = 0; i < kRows; ++i) {
      EXPECT_TRUE(ids.Append(i).ok() && texts.Append("some words").ok());
    }
    const auto schema = arrow::schema(
        {arrow::field("id", arrow::int64()), arrow::field("text", arrow::utf8())});
    const auto table = arrow::Table::Make(
        schema, {ids.Finish().ValueOrDie(), texts.Finish().ValueOrDie()});
    auto out = arrow::io::FileOutputStream::Open(Path(name)).ValueOrDie();
    if (name.ends_with(".parquet")) {
      EXPECT_TRUE(
          parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), out, 3000)
              .ok());
    } else {
      auto writer = arrow::ipc::MakeFileWriter(out, schema).ValueOrDie();
      EXPECT_TRUE(writer->WriteTable(*table, 3000).ok() && writer->Close().ok());
    }
    EXPECT_TRUE(out->Close().ok());
    return Path(name);
  }

  std::filesystem::path folder_;
};

std::unique_ptr<BatchReader> Start(const std::vector<std::string>& paths, int threads,
                                   int64_t read_ahead_bytes, int64_t batch_size) {
  std::vector<File> files;
  for (const std::string& path : paths) files.push_back(StatFile(path).ValueOrDie());
  std::shared_ptr<Dataset> dataset =
      Dataset::Open(std::move(files), nullptr, {}).ValueOrDie();
  ReadOptions options = dataset->options();
  options.counter = std::make_shared<ByteCounter>(0);
  auto scan = std::make_unique<Scan>(dataset, std::move(options),
                                     ScanOptions{threads, read_ahead_bytes});
  return std::make_unique<BatchReader>(std::move(scan), batch_size);
}

// The next batch, of no rows at the end.
Result<Batch> Next(BatchReader& reader) {
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(auto batch, reader.Next(kPatience));
    if (batch) return *batch;
  }
}

// Reads to the end and checks that the ids of every file come in their order.
int64_t ReadAll(BatchReader& reader, int64_t batch_size, Status* end) {
  int64_t rows = 0;
  for (;;) {
    auto batch = Next(reader);
    *end = batch.status();
    if (!batch.ok() || batch->rows == 0) return rows;
    EXPECT_LE(batch->rows, batch_size);
    for (const Piece& piece : batch->pieces) {
      const auto ids =
          std::static_pointer_cast<arrow::Int64Array>(piece.rows->GetColumnByName("id"));
      for (int64_t i = 0; i < ids->length(); ++i) {
        EXPECT_EQ(ids->Value(i), rows++ % kRows);
      }
    }
  }
}

TEST_F(Scans, DeliversAllFormatsInOrder) {
  const std::vector<std::string> paths = {WriteLines("a.jsonl"), WriteArrow("b.parquet"),
                                          WriteLines("c.csv"),   WriteArrow("d.arrow"),
                                          WriteLines("e.jsonl"), WriteArrow("f.parquet")};
  for (int threads : {1, 4}) {
    for (int64_t read_ahead_bytes : {1, 1 << 20, 64 << 20}) {
      auto reader = Start(paths, threads, read_ahead_bytes, 777);
      Status end;
      EXPECT_EQ(ReadAll(*reader, 777, &end), 6 * kRows);
      EXPECT_TRUE(end.ok()) << end;
    }
  }
}

TEST_F(Scans, AFaultComesAfterTheRowsBeforeItAndAgain) {
  const std::vector<std::string> paths = {WriteLines("a.jsonl"),
                                          WriteLines("b.jsonl", "{\"id\": oops}\n"),
                                          WriteLines("c.jsonl")};
  auto reader = Start(paths, 4, 64 << 20, 777);
  Status end;
  EXPECT_EQ(ReadAll(*reader, 777, &end), 2 * kRows);
  EXPECT_NE(end.message().find("b.jsonl: line 20001, column 8"), std::string::npos)
      << end;
  EXPECT_EQ(Next(*reader).status(), end);
}

TEST_F(Scans, SmallFilesComeTogetherAndEachRowKnowsItsOwn) {
  std::vector<std::string> paths;
  std::vector<FileRow> expected;
  for (size_t file = 0; file < 200; ++file) {
    paths.push_back(Path(std::to_string(file) + ".jsonl"));
    std::ofstream out(paths.back());
    for (int64_t row = 0; row < static_cast<int64_t>(file % 4); ++row) {
      out << "{\"id\": " << expected.size() << "}\n\n";
      expected.push_back({file, row});
    }
  }
  // Every piece of seven rows is cut from a longer one.
  auto reader = Start(paths, 2, 1 << 20, 7);
  size_t next = 0;
  bool joined = false;
  for (;;) {
    const Batch batch = Next(*reader).ValueOrDie();
    if (batch.rows == 0) break;
    for (const Piece& piece : batch.pieces) {
      joined |= piece.joined != nullptr;
      const auto ids =
          std::static_pointer_cast<arrow::Int64Array>(piece.rows->GetColumnByName("id"));
      for (int64_t i = 0; i < ids->length(); ++i, ++next) {
        ASSERT_EQ(ids->Value(i), static_cast<int64_t>(next));
        EXPECT_EQ(piece.origin(i).file, expected[next].file);
        EXPECT_EQ(piece.origin(i).row, expected[next].row);
      }
    }
  }
  EXPECT_EQ(next, expected.size());
  EXPECT_TRUE(joined);
}

TEST_F(Scans, EndsAtAnyPoint) {
  const std::vector<std::string> paths = {WriteLines("a.jsonl"), WriteArrow("b.parquet"),
                                          WriteArrow("c.arrow")};
  for (int batches = 0; batches < 12; ++batches) {
    auto reader = Start(paths, 4, 1 << 20, 500);
    for (int i = 0; i < batches; ++i) EXPECT_EQ(Next(*reader).ValueOrDie().rows, 500);
  }
}

}  // namespace
}  // namespace fast_axolotl
