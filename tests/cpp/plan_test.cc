// SPDX-License-Identifier: Apache-2.0
#include "core/plan/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "core/plan/random.h"
#include "core/plan/share.h"

namespace fast_axolotl {
namespace {

using Row = std::pair<size_t, int64_t>;  // fragment, row of it

// The rows of batch `j`, as a reader of the plan puts them together.
std::vector<Row> RowsOfBatch(const Plan& plan, int64_t j) {
  const PlanOptions& options = plan.options();
  const int64_t lane = j % options.lanes;
  const int64_t begin = j / options.lanes * options.batch_size;
  std::vector<Row> rows;
  for (int64_t place = begin; place < begin + plan.BatchRows(j); ++place) {
    const int64_t window = place / options.window;
    const auto order = plan.WindowOrder(lane, window);
    const int64_t row =
        window * options.window + order[static_cast<size_t>(place % options.window)];
    const auto slices = plan.Slices(lane, row, row + 1);
    EXPECT_EQ(slices.size(), 1u);
    EXPECT_EQ(slices[0].end, slices[0].begin + 1);
    rows.emplace_back(slices[0].fragment, slices[0].begin);
  }
  return rows;
}

TEST(Plan, EveryRowOnceAndOnlyTheLastBatchShort) {
  std::mt19937 random(11);
  const auto below = [&](unsigned bound) {
    return static_cast<int64_t>(random() % bound);
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<int64_t> fragments(static_cast<size_t>(below(8)));
    for (int64_t& rows : fragments) rows = below(2) * below(20);
    const PlanOptions options{.shuffle = below(2) == 1,
                              .seed = random(),
                              .epoch = random(),
                              .batch_size = 1 + below(9),
                              .lanes = 1 + below(12),
                              .window = 1 + below(30)};
    const Plan plan(fragments, options);
    const int64_t total = std::accumulate(fragments.begin(), fragments.end(), int64_t{0});
    ASSERT_EQ(plan.rows(), total);
    ASSERT_EQ(plan.batches(), (total + options.batch_size - 1) / options.batch_size);
    std::map<Row, int> seen;
    for (int64_t j = 0; j < plan.batches(); ++j) {
      const auto rows = RowsOfBatch(plan, j);
      ASSERT_GT(rows.size(), 0u);
      ASSERT_TRUE(j + 1 == plan.batches() ||
                  static_cast<int64_t>(rows.size()) == options.batch_size);
      for (const Row& row : rows) ++seen[row];
    }
    ASSERT_EQ(static_cast<int64_t>(seen.size()), total);
    int64_t in_lanes = 0;
    for (int64_t lane = 0; lane < options.lanes; ++lane) {
      const int64_t rows = plan.LaneRows(lane);
      in_lanes += rows;
      // Slices follow each other and are never empty.
      int64_t sliced = 0;
      for (const FragmentSlice& slice : plan.Slices(lane, 0, rows)) {
        ASSERT_LT(slice.begin, slice.end);
        ASSERT_LE(slice.end, fragments[slice.fragment]);
        sliced += slice.end - slice.begin;
      }
      ASSERT_EQ(sliced, rows);
    }
    ASSERT_EQ(in_lanes, total);
  }
}

TEST(Plan, WindowsBehindALaneAreEmpty) {
  const Plan plan({10}, {.shuffle = true, .batch_size = 3, .lanes = 8, .window = 4});
  EXPECT_EQ(plan.LaneRows(0), 3);
  EXPECT_EQ(plan.LaneRows(3), 1);
  EXPECT_EQ(plan.LaneRows(7), 0);
  EXPECT_TRUE(plan.WindowOrder(0, 1).empty());
  EXPECT_TRUE(plan.WindowOrder(7, 0).empty());
  EXPECT_TRUE(plan.Slices(7, 0, 0).empty());
}

TEST(Plan, NothingToRead) {
  for (const auto& fragments : {std::vector<int64_t>{}, std::vector<int64_t>{0, 0}}) {
    const Plan plan(fragments, {.shuffle = true, .batch_size = 3, .lanes = 2});
    EXPECT_EQ(plan.batches(), 0);
    EXPECT_EQ(plan.LaneRows(0), 0);
  }
}

TEST(Plan, NumbersBeyond32Bits) {
  const int64_t huge = int64_t{1} << 40;
  const Plan plan({huge, huge}, {.batch_size = 1 << 20, .lanes = 3, .window = 1});
  EXPECT_EQ(plan.rows(), 2 * huge);
  int64_t rows = 0;
  for (int64_t lane = 0; lane < 3; ++lane) rows += plan.LaneRows(lane);
  EXPECT_EQ(rows, 2 * huge);
  const auto last = plan.Slices(2, plan.LaneRows(2) - 1, plan.LaneRows(2));
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0].fragment, 1u);
  EXPECT_EQ(last[0].end, huge);
}

TEST(Random, IsTheOneWrittenDown) {
  Random random({1, 2, 3});
  EXPECT_EQ(random.Next(), 1321962074176129191u);
  EXPECT_EQ(random.Next(), 15925659190040627001u);
  for (const uint64_t bound :
       {uint64_t{1}, uint64_t{3}, ~uint64_t{0}, uint64_t{1} << 63}) {
    for (int i = 0; i < 100; ++i) EXPECT_LT(random.Below(bound), bound);
  }
}

// All batches of a run, by the step at which they are given, from all ranks and workers.
std::map<int64_t, int64_t> Steps(Share share) {
  std::map<int64_t, int64_t> found;
  for (share.rank = 0; share.rank < share.world; ++share.rank) {
    int64_t given = 0;
    for (share.worker = 0; share.worker < share.workers; ++share.worker) {
      for (int64_t i = 0;; ++i) {
        const auto batch = share.Batch(i);
        if (!batch) break;
        ++given;
        const int64_t step =
            share.rank + share.world * (share.worker + share.workers * i);
        EXPECT_TRUE(found.emplace(step, *batch).second);
      }
    }
    EXPECT_EQ(given, share.RankBatches());
  }
  return found;
}

TEST(Share, AllGiveTheRunTogether) {
  for (const Tail tail : {Tail::kKeep, Tail::kDrop, Tail::kRepeat}) {
    for (int64_t world = 1; world <= 5; ++world) {
      for (int64_t workers = 1; workers <= 3; ++workers) {
        for (int64_t first = 0; first <= 2; ++first) {
          for (int64_t last = first; last <= 11; ++last) {
            for (int64_t start = first; start <= last; ++start) {
              const Share share{.start = start,
                                .world = world,
                                .workers = workers,
                                .tail = tail,
                                .first = first,
                                .last = last};
              const int64_t left = last - start;
              const int64_t steps = tail == Tail::kKeep ? left
                                    : tail == Tail::kDrop
                                        ? left - left % world
                                        : (left + world - 1) / world * world;
              const auto found = Steps(share);
              ASSERT_EQ(static_cast<int64_t>(found.size()), steps);
              ASSERT_EQ(share.Steps(), steps);
              for (const auto& [step, batch] : found) {
                const int64_t over = start + step - last;
                ASSERT_EQ(batch, over < 0 ? start + step : first + over % (last - first));
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace fast_axolotl
