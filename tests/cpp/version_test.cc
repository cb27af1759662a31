// SPDX-License-Identifier: Apache-2.0
#include "core/common/version.h"

#include <arrow/config.h>
#include <arrow/util/config.h>
#include <gtest/gtest.h>

namespace fast_axolotl {
namespace {

TEST(Version, IsThatOfTheProject) { EXPECT_TRUE(Version().starts_with("1.")); }

// The headers built against and the library loaded must be of one release.
TEST(Version, ArrowHeadersMatchTheLoadedLibrary) {
  EXPECT_EQ(arrow::GetBuildInfo().version_string, ARROW_VERSION_STRING);
}

}  // namespace
}  // namespace fast_axolotl
