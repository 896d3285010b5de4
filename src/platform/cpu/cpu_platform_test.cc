#include "platform/cpu/cpu_platform.h"

#include <gtest/gtest.h>

#include "platform/cpu/cpu_device.h"

namespace annulus {
namespace {

TEST(CpuPlatform, IsTheDefaultAndSaysWhatItRunsOn) {
  const auto platform = make_platform("", {.threads = 2});
  EXPECT_EQ(platform->name(), "cpu");
  EXPECT_EQ(platform->isa(), name_of(chosen_isa()));
  EXPECT_NE(platform->description().find(", 2 threads, oneDNN "), std::string::npos);
}

TEST(CpuPlatform, ComputesInBf16OnlyWhereTheCpuHasUnitsForIt) {
  const auto platform = make_platform("cpu", {});
  const bool units = chosen_isa() >= Isa::Avx512Bf16;
  EXPECT_EQ(platform->default_dtype(DType::BF16), units ? DType::BF16 : DType::F32);
  EXPECT_EQ(platform->default_dtype(DType::F32), DType::F32);
  EXPECT_TRUE(platform->supports(DType::BF16));
  EXPECT_TRUE(platform->supports(DType::F16));
  EXPECT_FALSE(platform->supports(DType::F64));
}

TEST(CpuPlatform, RefusesStreamsOfOtherDevices) {
  const auto platform = make_platform("cpu", {});
  HostDevice other(1);
  const auto stream = other.make_stream();
  Workspace workspace(other);
  Tensor x = Tensor::empty({1, 4}, DType::F32, other);
  EXPECT_THROW(platform->ops().activate(*stream, workspace, {x, Activation::Silu, x}), Error);
}

}  // namespace
}  // namespace annulus
