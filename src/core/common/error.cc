// SPDX-License-Identifier: Apache-2.0
#include "core/common/error.h"

#include <cstring>

namespace fast_axolotl {

std::string ErrnoDetail::ToString() const { return std::strerror(code_) + note_; }

Status ErrnoError(int code, const std::string& path, std::string_view doing,
                  const std::string& note) {
  return Status(arrow::StatusCode::IOError,
                std::string(doing) + " '" + path + "': " + std::strerror(code) + note,
                std::make_shared<ErrnoDetail>(code, path, note));
}

Status AtFile(const std::string& path, const Status& status) {
  if (status.ok() || status.detail() != nullptr) return status;
  if (status.message().find(path) != std::string::npos) {
    return status.IsIOError() ? status : Status::IOError(status.message());
  }
  return Status::IOError(path, ": ", status.message());
}

Status AtPlace(const std::string& path, const std::string& place, const Status& status) {
  const auto* detail = dynamic_cast<const ErrnoDetail*>(status.detail().get());
  if (detail) return ErrnoError(detail->code(), path, "cannot read", ", at " + place);
  return Status(arrow::StatusCode::IOError, path + ": " + place + ": " + status.message(),
                status.detail());
}

}  // namespace fast_axolotl
