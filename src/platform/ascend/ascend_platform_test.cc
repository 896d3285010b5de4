#include "platform/ascend/ascend_platform.h"

#include "platform/ascend/emulator.h"

namespace annulus::ascend {
namespace {

TEST(AscendPlatform, SaysWhatItIs) {
  const Emulator emulator;
  EXPECT_EQ(probe_ascend(), std::nullopt);
  Bench b;
  EXPECT_EQ(b.platform->description(), "Ascend910B3 (A2), 4 devices");
  EXPECT_EQ(b.platform->isa(), "Ascend910B3");
  EXPECT_EQ(b.platform->default_dtype(DType::BF16), DType::BF16);
  EXPECT_EQ(b.platform->default_dtype(DType::F32), DType::BF16);
  EXPECT_EQ(b.platform->default_dtype(DType::F16), DType::F16);
  EXPECT_FALSE(b.platform->supports(DType::F64));
  EXPECT_GT(b.platform->free_memory(), std::size_t{1} << 30);
}

TEST(AscendPlatform, SeveralMayLiveAtOnceAndAfterEachOther) {
  const Emulator emulator;
  for (int round = 0; round < 2; ++round) {
    auto first = std::make_unique<Bench>();
    Bench second;
    first.reset();
    Tensor x = Tensor::empty({4}, DType::F32, second.device);
    second.device.fill(*second.stream, x, 2);
    EXPECT_EQ(second.fetched(x).data<float>()[3], 2);
  }
}

TEST(AscendPlatform, AMachineWithoutADeviceSaysSo) {
  const Emulator emulator({{"FAKE_CANN_DEVICES", "0"}});
  EXPECT_EQ(probe_ascend().value_or(""), "CANN: wanted a device, found none");
}

TEST(AscendPlatform, AFailureOfCannIsToldInItsOwnWords) {
  const Emulator emulator({{"FAKE_CANN_FAIL", "aclrtSetDevice:1"}});
  try {
    const Bench b;
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::DeviceFailure);
    EXPECT_NE(std::string(error.what()).find("aclrtSetDevice: wanted success, found error 507000"),
              std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("injected failure"), std::string::npos);
  }
}

// Every call that can fail does so once, in a run that allocates, copies, computes and attends: one
// error each time, and nothing left behind.
TEST(AscendPlatform, AnyCallMayFailOnceAndNothingLeaks) {
  const auto run = [] {
    Bench b;
    const Shape shape{1, 6, 2, 24};
    Tensor x = Tensor::empty(shape, DType::F16, b.host);
    b.host.fill(*b.host_stream, x, 0.5);
    const Tensor q = b.sent(x);
    Tensor out = Tensor::empty(shape, DType::F16, b.device);
    b.platform->attention().front()->run(*b.stream, b.workspace,
                                         {.q = q, .k = q, .v = q, .causal = Causal::BottomRight},
                                         out, nullptr);
    b.fetched(out);
  };
  std::uint64_t calls = 0;
  {
    const Emulator emulator;
    run();
    calls = emulator.calls("*");
  }
  ASSERT_GT(calls, 40u);
  int failures = 0;
  for (std::uint64_t n = 1; n <= calls; ++n) {
    const Emulator emulator({{"FAKE_CANN_FAIL", "*:" + std::to_string(n)}});
    try {
      run();
    } catch (const Error& error) {
      ++failures;
      EXPECT_TRUE(error.code() == ErrorCode::DeviceFailure ||
                  error.code() == ErrorCode::OutOfMemory || error.code() == ErrorCode::Unsupported)
          << error.what();
    }
    const std::string problems = emulator.problems();
    ASSERT_EQ(problems, "") << "call " << n;
  }
  EXPECT_GT(failures, 30);
}

}  // namespace
}  // namespace annulus::ascend
