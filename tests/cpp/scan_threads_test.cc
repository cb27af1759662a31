// SPDX-License-Identifier: Apache-2.0

// scan/ over rows that come from nowhere but memory: a format of its own makes them, so
// that the thread sanitizer sees all that threads share, and no file of libarrow's, which
// is not built for it.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "arrow/array/array_primitive.h"
#include "arrow/buffer.h"
#include "arrow/json/from_string.h"
#include "core/scan/batch_reader.h"
#include "core/scan/lane_reader.h"
#include "core/scan/output_reader.h"
#include "core/scan/plan_reader.h"
#include "core/scan/scan.h"

namespace fast_axolotl {
namespace {

constexpr std::chrono::milliseconds kPatience{20};

// Rows of a made file are numbered on from those of the files before it. Its bytes are of
// no interest; its size decides whether it is read in one go.
struct MadeFile {
  int64_t first = 0;
  int64_t fragments = 1;
  int64_t fragment_rows = 0;
  int64_t task_rows = 1;
  int64_t fails_at = -1;  // the row of the file that cannot be read
  bool throws = false;    // there, instead
  bool shrinks = false;   // it gives fewer rows than its index says
  int64_t rows() const { return fragments * fragment_rows; }
};

// The files of the test that runs, by the numbers that are their names.
std::vector<MadeFile> made;

const MadeFile& MadeOf(const Input& input) {
  const std::string& path = input.file.path;
  return made[std::stoul(path.substr(path.find_last_of('/') + 1))];
}

std::shared_ptr<arrow::Schema> MadeSchema() {
  return arrow::schema({arrow::field("id", arrow::int64())});
}

std::shared_ptr<arrow::RecordBatch> MakeRows(int64_t begin, int64_t end) {
  std::vector<int64_t> ids;
  for (int64_t id = begin; id < end; ++id) ids.push_back(id);
  auto buffer = arrow::Buffer::FromVector(std::move(ids));
  return arrow::RecordBatch::Make(
      MadeSchema(), end - begin,
      {std::make_shared<arrow::Int64Array>(end - begin, std::move(buffer))});
}

Result<Sample> SampleMade(const Input&, const ReadOptions&) {
  Sample sample;
  sample.schema = MadeSchema();
  return sample;
}

FileIndex IndexOf(const MadeFile& file) {
  FileIndex index;
  for (int64_t i = 0; i < file.fragments; ++i) {
    index.fragments.push_back({i, i + 1, file.fragment_rows, i * file.fragment_rows, 0});
  }
  return index;
}

Result<FileIndex> IndexMade(const Input& input, const ReadOptions&) {
  return IndexOf(MadeOf(input));
}

Decoded DecodeMade(const MadeFile& file, const std::string& path, int64_t begin,
                   int64_t end) {
  if (begin % 7 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
  if (file.fails_at < begin || file.fails_at >= end) {
    return {MakeRows(file.first + begin, file.first + end), Status::OK()};
  }
  if (file.throws) throw std::runtime_error(path + ": thrown");
  return {MakeRows(file.first + begin, file.first + file.fails_at),
          Status::IOError(path, ": row ", file.fails_at)};
}

Result<OpenedFile> OpenMade(const Input& input, const ReadOptions& options,
                            std::shared_ptr<const FileIndex>) {
  OpenedFile opened;
  const MadeFile& file = MadeOf(input);
  opened.fragments = IndexOf(file).fragments;
  opened.open = [&file, path = input.file.path,
                 counter = options.counter](const Fragment& fragment) {
    const int64_t end = fragment.row + fragment.rows - (file.shrinks ? 1 : 0);
    return [&file, path, counter, at = fragment.row,
            end]() mutable -> Result<std::optional<DecodeTask>> {
      if (at >= end) return std::nullopt;
      const int64_t begin = std::exchange(at, std::min(at + file.task_rows, end));
      if (counter) *counter += at - begin;
      return DecodeTask{
          [&file, path, begin, stop = at] { return DecodeMade(file, path, begin, stop); },
          8 * (at - begin)};
    };
  };
  return opened;
}

const Format kMade{"made", {}, nullptr, SampleMade, OpenMade, IndexMade, nullptr};

class ScanThreads : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "made-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Files of all shapes: small ones that are read in one go, long and empty ones.
  void MakeFiles() {
    made.clear();
    int64_t rows = 0;
    for (int i = 0; i < 40; ++i) {
      MadeFile file{rows, 1 + i % 5, (i * 37) % 200, 1 + (i * 13) % 60};
      rows += file.rows();
      made.push_back(file);
    }
  }

  static int64_t Rows() { return made.back().first + made.back().rows(); }

  std::shared_ptr<const Dataset> Open() {
    std::vector<File> files;
    for (size_t i = 0; i < made.size(); ++i) {
      const std::filesystem::path path = folder_ / std::to_string(i);
      std::ofstream(path).flush();
      // Files of one fragment and a small size are read in one go.
      if (i % 2 == 0) std::filesystem::resize_file(path, 2 * Input::kSmallFile);
      files.push_back(StatFile(path).ValueOrDie());
    }
    std::shared_ptr<Dataset> dataset =
        Dataset::Open(std::move(files), &kMade, {}).ValueOrDie();
    return dataset;
  }

  static std::shared_ptr<const DatasetIndex> Index() {
    std::vector<std::shared_ptr<const FileIndex>> files;
    for (const MadeFile& file : made) {
      files.push_back(std::make_shared<const FileIndex>(IndexOf(file)));
    }
    return std::make_shared<const DatasetIndex>(std::move(files));
  }

  PlannedSource Planned(bool shuffle, int64_t lanes, bool take = false) {
    auto index = Index();
    std::vector<int64_t> rows;
    for (const auto& entry : index->entries()) rows.push_back(entry.fragment.rows);
    auto plan =
        std::make_shared<const Plan>(std::move(rows), PlanOptions{.shuffle = shuffle,
                                                                  .seed = 1,
                                                                  .batch_size = 17,
                                                                  .lanes = lanes,
                                                                  .window = 300});
    auto dataset = Open();
    ReadOptions options = dataset->options();
    options.counter = std::make_shared<ByteCounter>(0);
    return {std::move(dataset), std::move(index), std::move(plan), std::move(options),
            take};
  }

  std::filesystem::path folder_;
};

std::unique_ptr<Scan> Start(const std::shared_ptr<const Dataset>& dataset, int threads,
                            int64_t read_ahead_bytes) {
  ReadOptions options = dataset->options();
  options.counter = std::make_shared<ByteCounter>(0);
  return std::make_unique<Scan>(
      dataset, std::move(options),
      ScanOptions{threads, read_ahead_bytes, std::make_shared<std::atomic<int64_t>>(0)});
}

Result<Piece> NextPiece(Scan& scan) {
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(auto piece, scan.Next(kPatience));
    if (piece) return std::move(*piece);
  }
}

template <typename Reader>
Result<Batch> NextBatchOf(Reader& reader) {
  for (;;) {
    ARROW_ASSIGN_OR_RAISE(auto batch, reader.Next(kPatience));
    if (batch) return std::move(*batch);
  }
}

const int64_t* Ids(const arrow::RecordBatch& rows) {
  return static_cast<const arrow::Int64Array&>(*rows.column(0)).raw_values();
}

// Reads to the end, or to the error; rows must come in order, whole.
int64_t ReadInOrder(Scan& scan, Status* end, int pause_every = 0) {
  int64_t rows = 0;
  for (int pieces = 0;; ++pieces) {
    if (pause_every > 0 && pieces % pause_every == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    auto piece = NextPiece(scan);
    *end = piece.status();
    if (!piece.ok() || !piece->rows) return rows;
    const int64_t* ids = Ids(*piece->rows);
    for (int64_t i = 0; i < piece->rows->num_rows(); ++i) EXPECT_EQ(ids[i], rows++);
  }
}

TEST_F(ScanThreads, ManyThreadsAndQueuesOfAllSizes) {
  MakeFiles();
  const auto dataset = Open();
  for (const int threads : {0, 1, 3, 12}) {
    for (const int64_t read_ahead_bytes : {1, 2000, 1 << 26}) {
      auto scan = Start(dataset, threads, read_ahead_bytes);
      Status end;
      EXPECT_EQ(ReadInOrder(*scan, &end), Rows());
      EXPECT_TRUE(end.ok()) << end;
    }
  }
}

TEST_F(ScanThreads, ASlowConsumerIsWaitedFor) {
  MakeFiles();
  auto scan = Start(Open(), 8, 500);
  Status end;
  EXPECT_EQ(ReadInOrder(*scan, &end, /*pause_every=*/4), Rows());
  EXPECT_TRUE(end.ok()) << end;
}

TEST_F(ScanThreads, AFaultAnywhereComesAfterTheRowsBeforeIt) {
  for (const bool throws : {false, true}) {
    for (const size_t file : {1u, 6u, 22u, 39u}) {
      MakeFiles();
      made[file].fails_at = made[file].rows() / 2;
      made[file].throws = throws;
      const auto dataset = Open();
      for (const int threads : {0, 2, 8}) {
        auto scan = Start(dataset, threads, 5000);
        Status end;
        const int64_t rows = ReadInOrder(*scan, &end);
        const int64_t fault = made[file].first + made[file].fails_at;
        // What is thrown takes the rows of its task with it.
        EXPECT_LE(rows, fault);
        EXPECT_GE(rows, fault - (throws ? made[file].task_rows : 0));
        EXPECT_NE(end.message().find("/" + std::to_string(file) + ": "),
                  std::string::npos)
            << end;
        EXPECT_EQ(NextPiece(*scan).status(), end);
      }
    }
  }
}

TEST_F(ScanThreads, EndsAtAnyPoint) {
  MakeFiles();
  const auto dataset = Open();
  for (int pieces = 0; pieces < 60; ++pieces) {
    auto scan = Start(dataset, 1 + pieces % 8, pieces % 2 ? 300 : 1 << 20);
    for (int i = 0; i < pieces; ++i) ASSERT_TRUE(NextPiece(*scan).ok());
    if (pieces % 3 == 0) scan->Close();
  }
}

TEST_F(ScanThreads, SeveralReadersShareADataset) {
  MakeFiles();
  const auto dataset = Open();
  std::vector<std::thread> readers;
  std::atomic<int64_t> rows{0};
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&, i] {
      auto scan = Start(dataset, i, 3000);
      Status end;
      rows += ReadInOrder(*scan, &end);
      EXPECT_TRUE(end.ok()) << end;
    });
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(rows, 4 * Rows());
}

void Count(const Batch& batch, std::vector<int>* seen) {
  for (const Piece& piece : batch.pieces) {
    const int64_t* ids = Ids(*piece.rows);
    for (int64_t i = 0; i < piece.num_rows(); ++i) ++(*seen)[ids[piece.source(i)]];
  }
}

void ExpectOnce(const std::vector<int>& seen) {
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<ptrdiff_t>(seen.size()));
}

TEST_F(ScanThreads, LanesGiveEveryRowOnce) {
  MakeFiles();
  for (const bool shuffle : {false, true}) {
    for (const bool take : {false, true}) {
      const PlannedSource source = Planned(shuffle, 5, take);
      std::vector<int> seen(Rows());
      for (int64_t lane = 0; lane < 5; ++lane) {
        LaneReader reader(source, lane, 0, {4, 4000, nullptr});
        for (int64_t i = 0; i < source.plan->LaneBatches(lane); ++i) {
          Count(NextBatchOf(reader).ValueOrDie(), &seen);
        }
      }
      ExpectOnce(seen);
    }
  }
}

TEST_F(ScanThreads, LanesAreReadSideBySideAndLeftAnywhere) {
  MakeFiles();
  const PlannedSource source = Planned(/*shuffle=*/true, 4);
  std::vector<std::vector<int>> seen(4, std::vector<int>(Rows()));
  std::vector<std::thread> readers;
  for (int64_t lane = 0; lane < 4; ++lane) {
    readers.emplace_back([&, lane] {
      std::mt19937 random(static_cast<unsigned>(lane));
      const int64_t batches = source.plan->LaneBatches(lane);
      for (int64_t i = 0; i < batches;) {
        // A reader that is let go of, and another that goes on where it was.
        LaneReader reader(source, lane, i, {2, 3000, nullptr});
        for (int64_t n = 1 + random() % 9; n > 0 && i < batches; --n, ++i) {
          Count(NextBatchOf(reader).ValueOrDie(), &seen[lane]);
        }
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  std::vector<int> all(Rows());
  for (const auto& lane : seen) {
    for (size_t i = 0; i < all.size(); ++i) all[i] += lane[i];
  }
  ExpectOnce(all);
}

TEST_F(ScanThreads, AFileThatHasShrunkIsAnErrorInItsLane) {
  MakeFiles();
  const PlannedSource source = Planned(/*shuffle=*/false, 1);
  made[7].shrinks = true;
  LaneReader reader(source, 0, 0, {4, 4000, nullptr});
  Status end;
  int64_t rows = 0;
  while (end.ok() && rows < Rows()) {
    auto batch = NextBatchOf(reader);
    end = batch.status();
    if (batch.ok()) rows += batch->rows;
  }
  EXPECT_NE(end.message().find("has changed since it was indexed"), std::string::npos)
      << end;
  EXPECT_LE(rows, made[7].first + made[7].fragment_rows);
}

// Outputs are made on a thread of their own, which has to end with its reader.
TEST_F(ScanThreads, OutputsAreMadeAheadAndLeftAnywhere) {
  MakeFiles();
  const PlannedSource source = Planned(/*shuffle=*/true, 3);
  const int64_t batches = source.plan->batches();
  for (const int64_t wanted : {int64_t{0}, int64_t{1}, int64_t{20}, batches}) {
    const Share share{.last = batches};
    auto planned =
        std::make_shared<PlanReader>(source, share, 0, ScanOptions{4, 20'000, nullptr});
    OutputOptions options;
    options.schema = MadeSchema();
    OutputReader reader(
        source.dataset,
        [planned](std::chrono::milliseconds time) { return planned->Next(time); },
        options, 2000);
    int64_t rows = 0;
    for (int64_t i = 0; i < wanted; ++i) {
      std::optional<OutputBatch> batch;
      while (!batch) batch = reader.Next(kPatience).ValueOrDie();
      rows += batch->rows;
    }
    EXPECT_TRUE(wanted < batches || rows == Rows());
  }
}

// Row 0 has no list to pad, and of row 1 something else is wrong: no end without an
// error.
TEST_F(ScanThreads, AnErrorWhileRowsAreLeftOutIsTold) {
  MakeFiles();
  const PlannedSource source = Planned(/*shuffle=*/false, 1);
  const auto lists = arrow::field("lists", arrow::list(arrow::float64()));
  const auto rows = arrow::RecordBatch::Make(
      arrow::schema({lists}), 2,
      {arrow::json::ArrayFromJSONString(lists->type(), "[[1.5], [1]]").ValueOrDie()});
  OutputOptions options;
  options.leave_out_misfits = true;
  options.schema = arrow::schema({lists, arrow::field("other", arrow::int64())});
  options.pad = PadOptions{{{"lists", 0, arrow::int64()}}, {}};
  const auto next = [&](std::chrono::milliseconds) -> Result<std::optional<Batch>> {
    return Batch{{{rows, 0, 0, {}, {}}}, 2};
  };
  OutputReader reader(source.dataset, next, options, 2000);
  Result<std::optional<OutputBatch>> batch = std::nullopt;
  while (batch.ok() && !*batch) batch = reader.Next(kPatience);
  EXPECT_NE(batch.status().ToString().find("no column other"), std::string::npos)
      << batch.status();
}

}  // namespace
}  // namespace fast_axolotl
