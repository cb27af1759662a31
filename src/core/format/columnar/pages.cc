// SPDX-License-Identifier: Apache-2.0
#include "core/format/columnar/pages.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/format/columnar/budget.h"
#include "parquet/column_page.h"
#include "parquet/column_reader.h"
#include "parquet/exception.h"
#include "parquet/metadata.h"
#include "parquet/properties.h"

namespace fast_axolotl {
namespace {

class Pages : public parquet::PageReader {
 public:
  Pages(std::unique_ptr<parquet::PageReader> pages, const Limits& limits,
        int64_t stored_bytes, int64_t plain_bytes)
      : pages_(std::move(pages)),
        limits_(limits),
        stored_bytes_(stored_bytes),
        plain_bytes_(plain_bytes) {}

  std::shared_ptr<parquet::Page> NextPage() override {
    // A filter may have been set here, where the pages do not come from.
    if (data_page_filter_) pages_->set_data_page_filter(data_page_filter_);
    // Both forms of a page are held for a moment.
    DecodeBudget budget(stored_bytes_ +
                        std::min(limits_.Expanded(stored_bytes_),
                                 std::max(plain_bytes_, Limits::kFreeExpansion)));
    try {
      return pages_->NextPage();
    } catch (const std::exception&) {
      if (budget.refused() == 0) throw;
      throw parquet::ParquetException(
          "a page asks for " + std::to_string(budget.refused()) +
          " bytes of memory, and its column holds " + std::to_string(stored_bytes_) +
          " bytes here, " + std::to_string(plain_bytes_) + " decompressed" +
          RaiseLimit(limits_, "expansion"));
    }
  }

  void set_max_page_header_size(uint32_t size) override {
    pages_->set_max_page_header_size(size);
  }

 private:
  const std::unique_ptr<parquet::PageReader> pages_;
  const Limits limits_;
  const int64_t stored_bytes_;
  const int64_t plain_bytes_;
};

class RowGroup : public parquet::RowGroupReader::Contents {
 public:
  RowGroup(std::shared_ptr<parquet::RowGroupReader> row_group, const Limits& limits,
           int64_t file_size)
      : row_group_(std::move(row_group)),
        properties_(DecodePool()),
        limits_(limits),
        file_size_(file_size) {}

  std::unique_ptr<parquet::PageReader> GetColumnPageReader(int i) override {
    const auto column = row_group_->metadata()->ColumnChunk(i);
    // What a footer says may be nonsense, too.
    const int64_t stored =
        std::clamp<int64_t>(column->total_compressed_size(), 0, file_size_);
    return std::make_unique<Pages>(
        row_group_->GetColumnPageReader(i), limits_, stored,
        std::max<int64_t>(column->total_uncompressed_size(), 0));
  }
  const parquet::RowGroupMetaData* metadata() const override {
    return row_group_->metadata();
  }
  const parquet::ReaderProperties* properties() const override { return &properties_; }

 private:
  const std::shared_ptr<parquet::RowGroupReader> row_group_;
  const parquet::ReaderProperties properties_;
  const Limits limits_;
  const int64_t file_size_;
};

class File : public parquet::ParquetFileReader::Contents {
 public:
  File(std::unique_ptr<Contents> file, const Limits& limits, int64_t file_size)
      : file_(std::move(file)), limits_(limits), file_size_(file_size) {}

  void Close() override { file_->Close(); }
  std::shared_ptr<parquet::RowGroupReader> GetRowGroup(int i) override {
    return std::make_shared<parquet::RowGroupReader>(
        std::make_unique<RowGroup>(file_->GetRowGroup(i), limits_, file_size_));
  }
  std::shared_ptr<parquet::FileMetaData> metadata() const override {
    return file_->metadata();
  }
  std::shared_ptr<parquet::PageIndexReader> GetPageIndexReader() override {
    return file_->GetPageIndexReader();
  }
  parquet::BloomFilterReader& GetBloomFilterReader() override {
    return file_->GetBloomFilterReader();
  }

 private:
  const std::unique_ptr<Contents> file_;
  const Limits limits_;
  const int64_t file_size_;
};

}  // namespace

std::unique_ptr<parquet::ParquetFileReader::Contents> LimitPages(
    std::unique_ptr<parquet::ParquetFileReader::Contents> file, const Limits& limits,
    int64_t file_size) {
  return std::make_unique<File>(std::move(file), limits, file_size);
}

}  // namespace fast_axolotl
