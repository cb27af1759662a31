// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "arrow/result.h"
#include "arrow/status.h"

namespace fast_axolotl {

using arrow::Result;
using arrow::Status;

// What a Status means at the Python door (bindings/status.cc):
//   IOError     OSError: a file that is unreadable, truncated or corrupt
//   Invalid     ValueError: a bad parameter, an unknown format or column
//   TypeError   TypeError; OutOfMemory is MemoryError
// and an IOError that carries an ErrnoDetail is the OSError of that errno.

/// The operating system's reason for a failure, kept for `OSError.errno`.
class ErrnoDetail : public arrow::StatusDetail {
 public:
  ErrnoDetail(int code, std::string path, std::string note)
      : code_(code), path_(std::move(path)), note_(std::move(note)) {}
  const char* type_id() const override { return "fast_axolotl::ErrnoDetail"; }
  std::string ToString() const override;
  int code() const { return code_; }
  const std::string& path() const { return path_; }

 private:
  int code_;
  std::string path_;
  std::string note_;
};

/// Marks the error of a file that is no longer the one that was looked at.
class ChangedDetail : public arrow::StatusDetail {
 public:
  const char* type_id() const override { return "fast_axolotl::ChangedDetail"; }
  std::string ToString() const override { return "the file has changed"; }
};

/// The failure of a system call on `path`, from `errno`'s value. `note` is what is to be
/// said behind the system's reason.
Status ErrnoError(int code, const std::string& path, std::string_view doing,
                  const std::string& note = {});

/// Turns any failure that came out of reading `path` into an IOError that names it, or
/// an OutOfMemory that does. An error that already carries an errno is left as it is.
Status AtFile(const std::string& path, const Status& status);

/// The same with the place in the file, such as "row group 3", which an errno keeps, too.
Status AtPlace(const std::string& path, const std::string& place, const Status& status);

/// Runs `body`, which may call code that throws, and returns its Status or Result.
/// libparquet's inner classes throw; nothing may leave the core that way.
template <typename Body>
auto Guarded(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Status::OutOfMemory("out of memory");
  } catch (const std::exception& e) {
    return Status::IOError(e.what());
  }
}

}  // namespace fast_axolotl
