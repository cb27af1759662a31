// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "arrow/io/interfaces.h"
#include "arrow/ipc/options.h"
#include "arrow/ipc/reader.h"
#include "core/format/format.h"
#include "core/format/input.h"

namespace fast_axolotl {

class BatchHeaders;
class CountedFile;

/// Whether IPC data may begin so.
bool IsIpc(std::string_view head);

/// For Arrow's readers: on this thread, from the capped pool.
arrow::ipc::IpcReadOptions IpcOptions();

/// Either kind of IPC data: its schema, and its batches one by one, which are still to be
/// validated. A stream has no end that is known beforehand.
struct IpcBatches {
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> file;
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> stream;
  std::shared_ptr<CountedFile> counted;           // of the file
  std::shared_ptr<BatchHeaders> headers;          // of the file, once they are needed
  std::shared_ptr<const int64_t> stream_length;   // of the stream's last message
  std::shared_ptr<arrow::io::InputStream> bytes;  // of the stream
  Limits limits;
  int next = 0;

  std::shared_ptr<arrow::Schema> schema() const;

  /// The batch at `next`, null at the end.
  Result<std::shared_ptr<arrow::RecordBatch>> Next();

  /// The rows of the batch at `next`, of a stream of that which Next() has tried, as its
  /// header has them; -1 where it has none.
  int64_t Length();

  /// Whether there is a way to what is behind the batch that Next() has failed at.
  bool CanGoOn() const;

 private:
  Result<std::shared_ptr<arrow::RecordBatch>> Read();
  Status Drain();
};

Result<IpcBatches> OpenIpc(const Input& input, std::shared_ptr<ByteCounter> counter,
                           const arrow::ipc::IpcReadOptions& options);

}  // namespace fast_axolotl
