// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/common/error.h"
#include "core/format/format.h"
#include "core/format/input.h"
#include "core/format/options.h"

namespace fast_axolotl {

/// Indexes on disk, one small file for each data file, in a folder of this user's. They
/// can be deleted at any time. Nothing read from there is trusted: a file that is
/// damaged, of another version, or of a data file that has changed is as good as none.
class IndexStore {
 public:
  /// `folder` may not exist yet; empty: nothing is kept.
  explicit IndexStore(std::string folder) : folder_(std::move(folder)) {}

  /// The folder to use: $FAST_AXOLOTL_CACHE, or fast_axolotl in $XDG_CACHE_HOME or
  /// ~/.cache; empty where there is none of them.
  static std::string DefaultFolder();

  /// The index kept for a file, or null.
  std::shared_ptr<const FileIndex> Load(const Input& input,
                                        const ReadOptions& options) const;

  /// The index of a file: the one that is kept, or one built now and kept. One process
  /// builds it while others wait for it. That it cannot be kept is no error.
  Result<std::shared_ptr<const FileIndex>> LoadOrBuild(const Input& input,
                                                       const ReadOptions& options) const;

  /// Keeps the index of a file whose bad rows are known. That it cannot be kept, or that
  /// the file has changed since `key` was taken, is an IOError.
  Status Keep(const Input& input, const ReadOptions& options, const std::string& key,
              const FileIndex& index) const;

  /// Whether any index that is kept here leaves rows out.
  bool LeavesOut() const;

  /// The lengths of a column's lists that are kept for a file of `rows` rows, or nothing.
  std::optional<std::vector<uint32_t>> LoadLengths(const Input& input,
                                                   const ReadOptions& options,
                                                   const std::string& column,
                                                   int64_t rows) const;

  /// What tells the state of a file, to be taken before it is measured.
  Result<std::string> KeyOf(const Input& input, const ReadOptions& options) const;

  /// Keeps them, of the file in the state `key`. That they cannot be kept, or that the
  /// file has changed since, is an IOError.
  Status KeepLengths(const Input& input, const ReadOptions& options,
                     const std::string& column, const std::string& key,
                     const std::vector<uint32_t>& lengths) const;

 private:
  const std::string folder_;
};

/// An index as bytes, for the file that `key` describes, and back; IOError where the
/// bytes are not one of at most `most` bytes when decompressed, or not for that file.
std::string EncodeIndex(const FileIndex& index, const std::string& key);
Result<FileIndex> DecodeIndex(const std::string& bytes, const std::string& key,
                              uint64_t most = uint64_t{4} << 30);

/// The same for the lengths of lists.
std::string EncodeLengths(const std::vector<uint32_t>& lengths, const std::string& key);
Result<std::vector<uint32_t>> DecodeLengths(const std::string& bytes,
                                            const std::string& key,
                                            uint64_t most = uint64_t{4} << 30);

}  // namespace fast_axolotl
