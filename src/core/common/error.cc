// SPDX-License-Identifier: Apache-2.0
#include "core/common/error.h"

#include <cstring>

namespace fast_axolotl {
namespace {

// Of a machine without memory no file is to blame: no row may be left out for it.
arrow::StatusCode CodeOf(const Status& status) {
  return status.IsOutOfMemory() ? status.code() : arrow::StatusCode::IOError;
}

}  // namespace

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
    return Status(CodeOf(status), status.message());
  }
  return Status(CodeOf(status), path + ": " + status.message());
}

Status AtPlace(const std::string& path, const std::string& place, const Status& status) {
  const auto* detail = dynamic_cast<const ErrnoDetail*>(status.detail().get());
  if (detail) return ErrnoError(detail->code(), path, "cannot read", ", at " + place);
  return Status(CodeOf(status), path + ": " + place + ": " + status.message(),
                status.detail());
}

}  // namespace fast_axolotl
