// SPDX-License-Identifier: Apache-2.0
#include "core/output/pack.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/output/next_fit.h"
#include "core/output/sequences.h"
#include "sequences.h"

namespace fast_axolotl {
namespace {

using Strategy = PackOptions::Strategy;
using Long = PackOptions::Long;

PackLayout Laid(const std::vector<int64_t>& lengths, const PackOptions& options) {
  auto layout = LayOut(lengths, options);
  EXPECT_TRUE(layout.ok()) << layout.status();
  return *std::move(layout);
}

// Rows of (sequence, begin, length).
using Place = std::vector<int64_t>;
std::vector<std::vector<Place>> PlacesOf(const PackLayout& layout) {
  std::vector<std::vector<Place>> rows;
  size_t next = 0;
  for (const int64_t end : layout.ends) {
    rows.emplace_back();
    for (; next < static_cast<size_t>(end); ++next) {
      const Segment& segment = layout.segments[next];
      rows.back().push_back({segment.sequence, segment.begin, segment.length});
    }
  }
  EXPECT_EQ(next, layout.segments.size());
  return rows;
}

using Places = std::vector<std::vector<Place>>;

TEST(LayOutTest, BestFit) {
  const auto layout = Laid({3, 7, 0, 5, 3, 2}, {.length = 10});
  EXPECT_EQ(PlacesOf(layout),
            (Places{{{1, 0, 7}, {0, 0, 3}}, {{3, 0, 5}, {4, 0, 3}, {5, 0, 2}}}));
  EXPECT_EQ(layout.tokens, 20);
  EXPECT_EQ(layout.split + layout.cut + layout.lost_tokens, 0);
}

TEST(LayOutTest, ConcatCutsAtTheBorder) {
  const auto layout = Laid({3, 0, 6, 2}, {.length = 4, .strategy = Strategy::kConcat});
  EXPECT_EQ(PlacesOf(layout),
            (Places{{{0, 0, 3}, {2, 0, 1}}, {{2, 1, 4}}, {{2, 5, 1}, {3, 0, 2}}}));
  EXPECT_EQ(layout.split, 1);
  EXPECT_EQ(layout.tokens, 11);
  EXPECT_EQ(Laid({4, 4}, {.length = 4, .strategy = Strategy::kConcat}).split, 0);
}

TEST(LayOutTest, WhatIsTooLong) {
  const std::vector<int64_t> lengths = {2, 9};
  for (const auto strategy : {Strategy::kConcat, Strategy::kBestFit}) {
    PackOptions options = {.length = 4, .strategy = strategy, .too_long = Long::kError};
    EXPECT_EQ(LayOut(lengths, options).status().message(),
              "sequence 1 has 9 tokens and a row has room for 4");
    options.too_long = Long::kCut;
    const auto layout = Laid(lengths, options);
    EXPECT_EQ(layout.tokens, 6);
    EXPECT_EQ(layout.cut, 1);
    EXPECT_EQ(layout.lost_tokens, 5);
  }
  const auto layout = Laid(lengths, {.length = 4});
  EXPECT_EQ(PlacesOf(layout), (Places{{{1, 0, 4}}, {{1, 4, 4}}, {{0, 0, 2}, {1, 8, 1}}}));
  EXPECT_EQ(layout.split, 1);
  EXPECT_EQ(layout.tokens, 11);
}

TEST(LayOutTest, AnEosTokenCountsButNotBehindNothing) {
  const auto layout = Laid({3, 0, 4}, {.length = 4, .eos_token = 9});
  EXPECT_EQ(PlacesOf(layout), (Places{{{0, 0, 4}}, {{2, 0, 4}}, {{2, 4, 1}}}));
  EXPECT_EQ(layout.tokens, 9);
  const std::vector<int64_t> lengths = {4};
  const auto refused =
      LayOut(lengths, {.length = 4, .too_long = Long::kError, .eos_token = 9});
  EXPECT_EQ(refused.status().message(),
            "sequence 0 has 5 tokens, its eos token included, and a row has room for 4");
}

TEST(LayOutTest, NothingToPlace) {
  EXPECT_EQ(Laid({}, {.length = 4}).rows(), 0);
  EXPECT_EQ(Laid({0, 0}, {.length = 4, .strategy = Strategy::kConcat}).rows(), 0);
  EXPECT_FALSE(LayOut({}, {.length = 0}).ok());
}

// The rule as it is said in pack.h, row by row.
Places PlainBestFit(const std::vector<int64_t>& lengths, int64_t length) {
  std::vector<size_t> order;
  for (size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  Places rows;
  std::vector<int64_t> room;
  for (const size_t i : order) {
    size_t best = rows.size();
    for (size_t row = 0; row < rows.size(); ++row) {
      if (room[row] < lengths[i]) continue;
      if (best == rows.size() || room[row] < room[best]) best = row;
    }
    if (best == rows.size()) {
      rows.emplace_back();
      room.push_back(length);
    }
    rows[best].push_back({static_cast<int64_t>(i), 0, lengths[i]});
    room[best] -= lengths[i];
  }
  return rows;
}

TEST(LayOutTest, BestFitIsTheRuleRowByRow) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const auto length = static_cast<int64_t>(random() % 40 + 1);
    std::vector<int64_t> lengths(random() % 120);
    for (auto& x : lengths) x = static_cast<int64_t>(random()) % (length + 1);
    EXPECT_EQ(PlacesOf(Laid(lengths, {.length = length})), PlainBestFit(lengths, length));
  }
}

TEST(PackTest, ColumnsOfPackedRows) {
  const auto tokens = Make<int32_t>({{1, 2, 3}, {4, 5}, {6}});
  const auto labels = Make<int64_t>({{-100, 2, 3}, {-100, 5}, {6}});
  PackOptions options = {.length = 7, .pad_token = 50, .eos_token = 9, .join_label = -7};
  const auto layout = Laid(tokens.Lengths(), options);
  auto packed = Pack(tokens, &labels, layout, 0, layout.rows(), options, arrow::int64());
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(Rows<int64_t>(*packed->input_ids),
            (Ints{{1, 2, 3, 9, 4, 5, 9}, {6, 9, 50, 50, 50, 50, 50}}));
  EXPECT_EQ(Rows<int64_t>(*packed->labels),
            (Ints{{-7, 2, 3, 9, -7, 5, 9}, {-7, 9, -100, -100, -100, -100, -100}}));
  EXPECT_EQ(Rows<int64_t>(*packed->position_ids),
            (Ints{{0, 1, 2, 3, 0, 1, 2}, {0, 1, 0, 1, 2, 3, 4}}));
  EXPECT_EQ(Rows<int64_t>(*packed->sequence_ids),
            (Ints{{1, 1, 1, 1, 2, 2, 2}, {1, 1, 0, 0, 0, 0, 0}}));
  EXPECT_EQ(packed->max_seqlen, 5);

  options.join_label.reset();
  packed = Pack(tokens, nullptr, layout, 1, 2, options, arrow::int64());
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(Rows<int64_t>(*packed->labels), (Ints{{6, 9, -100, -100, -100, -100, -100}}));
}

// transformers' prepare_fa_kwargs_from_position_ids: a sequence begins at every 0.
std::pair<std::vector<int32_t>, int64_t> FromPositions(const Ints& positions) {
  std::vector<int32_t> starts;
  int32_t at = 0;
  for (const auto& row : positions) {
    for (const int64_t position : row) {
      if (position == 0) starts.push_back(at);
      ++at;
    }
  }
  starts.push_back(at);
  int64_t longest = 0;
  for (size_t i = 1; i < starts.size(); ++i) {
    longest = std::max<int64_t>(longest, starts[i] - starts[i - 1]);
  }
  return {starts, longest};
}

TEST(PackTest, RandomSequencesComeBackWhole) {
  std::mt19937 random(11);
  for (int round = 0; round < 120; ++round) {
    PackOptions options = {.length = static_cast<int64_t>(random() % 20 + 1),
                           .strategy = round % 2 ? Strategy::kConcat : Strategy::kBestFit,
                           .pad_token = -1};
    if (round % 3 == 0) options.eos_token = 77;
    Ints rows(random() % 30);
    int64_t token = 1000;
    for (auto& row : rows) {
      row.resize(random() % 45);
      for (auto& x : row) x = token++;
    }
    const auto tokens = Make<int64_t>(rows);
    const auto layout = Laid(tokens.Lengths(), options);
    auto packed =
        Pack(tokens, nullptr, layout, 0, layout.rows(), options, arrow::int64());
    ASSERT_TRUE(packed.ok()) << packed.status();
    const auto [starts, longest] = FromPositions(Rows<int64_t>(*packed->position_ids));
    const auto* cu = reinterpret_cast<const int32_t*>(packed->cu_seqlens->raw_data());
    EXPECT_EQ(std::vector<int32_t>(cu, cu + packed->cu_seqlens->size()), starts);
    EXPECT_EQ(packed->max_seqlen, longest);

    std::multiset<int64_t> expected;
    for (const auto& row : rows) {
      expected.insert(row.begin(), row.end());
      if (options.eos_token && !row.empty()) expected.insert(77);
    }
    std::multiset<int64_t> got;
    const auto ids = Rows<int64_t>(*packed->input_ids);
    const auto sequences = Rows<int64_t>(*packed->sequence_ids);
    for (size_t i = 0; i < ids.size(); ++i) {
      for (size_t k = 0; k < ids[i].size(); ++k) {
        EXPECT_EQ(ids[i][k] == -1, sequences[i][k] == 0);
        if (ids[i][k] != -1) got.insert(ids[i][k]);
      }
    }
    EXPECT_EQ(got, expected);
    EXPECT_EQ(layout.tokens, static_cast<int64_t>(expected.size()));
  }
}

TEST(PackTest, NoRows) {
  const auto tokens = Make<int64_t>({{}, {}});
  const PackOptions options = {.length = 4};
  const auto layout = Laid(tokens.Lengths(), options);
  const auto packed = Pack(tokens, nullptr, layout, 0, 0, options, arrow::int64());
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(packed->input_ids->shape(), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(packed->cu_seqlens->size(), 1);
}

TEST(PackTest, Refuses) {
  const auto tokens = Make<int64_t>({{1, 2}, {3, 400}});
  const PackOptions options = {.length = 4};
  const auto layout = Laid(tokens.Lengths(), options);
  const auto error = [&](const Sequences& ids, const Sequences* labels, int64_t end,
                         const std::shared_ptr<arrow::DataType>& type) {
    return Pack(ids, labels, layout, 0, end, options, type).status().message();
  };
  EXPECT_EQ(error(tokens, nullptr, 1, arrow::int8()),
            "sequence 1: 400 does not fit into int8");
  EXPECT_EQ(error(tokens, nullptr, 1, arrow::uint16()),
            "label of the padding: -100 does not fit into uint16");
  const auto few = Make<int64_t>({{1, 2}, {3}});
  EXPECT_EQ(error(tokens, &few, 1, arrow::int64()),
            "sequence 1 has 2 tokens and 1 labels");
  const auto fewer = Make<int64_t>({{1, 2}});
  EXPECT_EQ(error(tokens, &fewer, 1, arrow::int64()), "2 sequences have labels for 1");
  EXPECT_EQ(error(few, nullptr, 1, arrow::int64()),
            "the layout was made for other sequences");
  EXPECT_EQ(error(tokens, nullptr, 2, arrow::int64()), "no rows [0, 2) in a layout of 1");
  const auto bad = Make<double>({{1, 2}, {3, 0.5}});
  EXPECT_EQ(error(tokens, &bad, 1, arrow::int64()),
            "sequence 1, label: 0.5 does not fit into int64");
}

// --- in order -------------------------------------------------------------------------

Ints Placed(const Sequences& sequences, const std::vector<int64_t>& behind,
            const NextFit& layout, int64_t begin, int64_t end) {
  auto tensor = PlaceRows(sequences, behind, -1, layout, begin, end, arrow::int64());
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  return Rows<int64_t>(**tensor);
}

NextFit Fitted(const Sequences& sequences, int64_t length, int64_t behind) {
  auto layout = FitNext(sequences.Lengths(), length, behind);
  EXPECT_TRUE(layout.ok()) << layout.status();
  return *std::move(layout);
}

TEST(NextFitTest, WholeSequencesInTheirOrder) {
  const auto rows = Make<int32_t>({{}, {1, 2}, {3}, {}, {4, 5}, {6}, {}});
  const NextFit layout = Fitted(rows, 4, 0);
  EXPECT_EQ(Placed(rows, {}, layout, 0, 2), (Ints{{1, 2, 3, -1}, {4, 5, 6, -1}}));
  EXPECT_EQ(Placed(rows, {}, layout, 1, 2), (Ints{{4, 5, 6, -1}}));
  EXPECT_EQ(Fitted(Make<int64_t>({{}, {}}), 4, 0).rows(), 0);
}

TEST(NextFitTest, WhatFollowsTakesItsPlace) {
  const auto rows = Make<int64_t>({{1}, {}, {2, 3, 4}, {5}, {6, 7}});
  const NextFit layout = Fitted(rows, 5, 2);
  EXPECT_EQ(
      Placed(rows, {8, 9}, layout, 0, layout.rows()),
      (Ints{{1, 8, 9, 8, 9}, {2, 3, 4, 8, 9}, {5, 8, 9, -1, -1}, {6, 7, 8, 9, -1}}));
  // The last of what follows is left out where the row is full without it.
  const auto full = Make<int64_t>({{1}, {2, 3, 4, 5}, {6}});
  const NextFit fitted = Fitted(full, 5, 2);
  EXPECT_EQ(Placed(full, {8, 9}, fitted, 0, fitted.rows()),
            (Ints{{1, 8, 9, -1, -1}, {2, 3, 4, 5, 8}, {6, 8, 9, -1, -1}}));
}

TEST(NextFitTest, Refuses) {
  const std::vector<int64_t> lengths = {1, 5};
  EXPECT_EQ(FitNext(lengths, 5, 2).status().message(),
            "sequence 1 has 5 tokens and 1 that must follow, and a row has room for 5");
  EXPECT_EQ(FitNext(lengths, 4, 0).status().message(),
            "sequence 1 has 5 tokens, and a row has room for 4");
  const auto rows = Make<int64_t>({{1}, {1, 2, 3}});
  const NextFit layout = Fitted(Make<int64_t>({{1}, {1}}), 2, 0);
  EXPECT_FALSE(PlaceRows(rows, {}, 0, layout, 0, 1, arrow::int64()).ok());
  const auto bad = Make<int64_t>({{1}, {300}});
  EXPECT_EQ(PlaceRows(bad, {}, 0, layout, 0, 1, arrow::int8()).status().message(),
            "sequence 1: 300 does not fit into int8");
}

}  // namespace
}  // namespace fast_axolotl
