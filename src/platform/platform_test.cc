#include "platform/platform.h"

#include <gtest/gtest.h>

namespace annulus {
namespace {

TEST(Platforms, AnUnknownNameIsRefusedWithTheKnownOnes) {
  try {
    make_platform("cuda", {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::NotFound);
    EXPECT_STREQ(error.what(), "platform: wanted one of ascend, cpu, reference, found cuda");
  }
}

TEST(Platforms, TheReferenceIsTakenByNameOnly) {
  const auto platform = make_platform("reference", {.threads = 3});
  EXPECT_EQ(platform->name(), "reference");
  EXPECT_EQ(platform->threads(), 3);
  EXPECT_EQ(platform->wide_dtype(), DType::F64);
  EXPECT_EQ(platform->default_dtype(DType::BF16), DType::F64);
  for (const PlatformEntry& entry : platforms()) EXPECT_EQ(entry.listed, entry.name != "reference");
  try {
    EXPECT_NE(make_platform("", {})->name(), "reference");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
  }
}

TEST(Platforms, AnAbsentOneIsRefusedWithItsReason) {
  for (const PlatformEntry& entry : platforms()) {
    const auto reason = entry.probe();
    if (!reason) continue;
    try {
      make_platform(entry.name, {});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Unsupported);
      EXPECT_NE(std::string(error.what()).find(*reason), std::string::npos);
    }
  }
}

TEST(Platforms, FreeMemoryIsSomeOfTheHosts) {
  const std::size_t bytes = make_platform("reference", {})->free_memory();
  EXPECT_GT(bytes, std::size_t{1} << 20);
  EXPECT_LT(bytes, std::size_t{1} << 48);
}

}  // namespace
}  // namespace annulus
