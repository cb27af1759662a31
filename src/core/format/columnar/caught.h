// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/common/error.h"
#include "parquet/exception.h"

namespace fast_axolotl {

/// Guarded for libparquet: a Status that it throws keeps what it knows of its cause.
template <typename Body>
auto Caught(Body&& body) -> decltype(body()) {
  return Guarded([&]() -> decltype(body()) {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    return body();
    END_PARQUET_CATCH_EXCEPTIONS
  });
}

}  // namespace fast_axolotl
