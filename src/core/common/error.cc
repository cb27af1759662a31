// SPDX-License-Identifier: Apache-2.0
#include "core/common/error.h"

#include <cstring>

namespace fast_axolotl {

std::string ErrnoDetail::ToString() const { return std::strerror(code_); }

Status ErrnoError(int code, const std::string& path, std::string_view doing) {
  return Status(arrow::StatusCode::IOError,
                std::string(doing) + " '" + path + "': " + std::strerror(code),
                std::make_shared<ErrnoDetail>(code, path));
}

Status AtFile(const std::string& path, const Status& status) {
  if (status.ok() || status.detail() != nullptr) return status;
  if (status.message().find(path) != std::string::npos) {
    return status.IsIOError() ? status : Status::IOError(status.message());
  }
  return Status::IOError(path, ": ", status.message());
}

}  // namespace fast_axolotl
