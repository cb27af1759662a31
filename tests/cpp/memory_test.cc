// SPDX-License-Identifier: Apache-2.0

#include "core/common/memory.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "arrow/buffer.h"

namespace fast_axolotl {
namespace {

#ifdef __linux__
// What the kernel was told of the mapping that holds an address (proc(5), VmFlags).
std::string FlagsAt(const void* address) {
  const auto wanted = reinterpret_cast<uintptr_t>(address);
  std::ifstream maps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    char dash = 0;
    std::istringstream text(line);
    if (text >> std::hex >> begin >> dash >> end && dash == '-') {
      here = begin <= wanted && wanted < end;
    } else if (here && line.starts_with("VmFlags:")) {
      return line + " ";
    }
  }
  return "";
}

bool MayBeHuge(int64_t size) {
  const auto buffer = arrow::AllocateBuffer(size, BufferPool()).ValueOrDie();
  return FlagsAt(buffer->data() + size / 2).find(" hg ") != std::string::npos;
}

TEST(Memory, OfLargeBlocksIsInHugePages) {
  if (!std::filesystem::exists("/sys/kernel/mm/transparent_hugepage")) {
    GTEST_SKIP() << "this kernel has no transparent huge pages";
  }
  if (BufferPool()->backend_name() != "jemalloc" ||
      std::getenv("ARROW_DEFAULT_MEMORY_POOL") != nullptr) {
    GTEST_SKIP() << "libarrow has no jemalloc here, or another pool was asked for";
  }
  // The larger one each time: freed memory is given again, and keeps what it was told.
  EXPECT_TRUE(MayBeHuge(4 << 20));
  auto grown = arrow::AllocateResizableBuffer(1 << 20, BufferPool()).ValueOrDie();
  ASSERT_TRUE(grown->Resize(32 << 20).ok());
  EXPECT_NE(FlagsAt(grown->data() + (16 << 20)).find(" hg "), std::string::npos);
  EXPECT_TRUE(MayBeHuge(64 << 20));
}
#endif

}  // namespace
}  // namespace fast_axolotl
