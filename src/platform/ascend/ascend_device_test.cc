#include "platform/ascend/ascend_device.h"

#include <random>

#include "platform/ascend/emulator.h"
#include "tensor/copy.h"

namespace annulus::ascend {
namespace {

Tensor counted(const Shape& shape, DType dtype, HostDevice& host, Stream& stream) {
  Tensor made = Tensor::empty(shape, DType::F32, host);
  for (std::int64_t i = 0; i < made.elements(); ++i)
    made.data<float>()[i] = static_cast<float>(i % 101) - 50;
  return cast(stream, made, dtype);
}

void expect_equal(const Tensor& got, const Tensor& wanted, Stream& stream) {
  const Tensor a = clone(stream, cast(stream, got, DType::F32)),
               b = clone(stream, cast(stream, wanted, DType::F32));
  for (std::int64_t i = 0; i < a.elements(); ++i)
    ASSERT_EQ(a.data<float>()[i], b.data<float>()[i]) << "element " << i;
}

TEST(AscendDevice, CopiesBetweenEveryPairOfLayoutsAndDtypesAsTheHostDoes) {
  const Emulator emulator;
  Bench b;
  for (const DType from : {DType::F32, DType::BF16, DType::F16, DType::I32})
    for (const DType to : {DType::F32, DType::BF16, DType::F16, DType::I32}) {
      const Tensor x = counted({3, 5, 7}, from, b.host, *b.host_stream);
      const Tensor sent = b.sent(x);
      // Part of a larger tensor, turned: neither side is contiguous.
      Tensor place = b.sent(counted({9, 6, 3}, to, b.host, *b.host_stream));
      Tensor view = place.slice(0, 1, 8).slice(1, 0, 5).permute({2, 1, 0});
      copy(*b.stream, sent, view);
      expect_equal(b.fetched(view), cast(*b.host_stream, x, to), *b.host_stream);
    }
}

TEST(AscendDevice, FillsWithAnyValue) {
  const Emulator emulator;
  Bench b;
  Tensor x = b.sent(counted({4, 6}, DType::F32, b.host, *b.host_stream));
  Tensor column = x.slice(1, 2, 3);
  b.device.fill(*b.stream, column, -std::numeric_limits<double>::infinity());
  Tensor row = x.slice(0, 0, 1);
  b.device.fill(*b.stream, row, 0);
  const Tensor got = b.fetched(x);
  EXPECT_EQ(got.data<float>()[2], 0);
  EXPECT_EQ(got.data<float>()[6 + 2], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(got.data<float>()[6 + 3], -41);
}

TEST(AscendDevice, AMappedFileIsCopiedAndMayNotBeWritten) {
  const Emulator emulator;
  Bench b;
  const auto owner = std::make_shared<std::array<float, 5>>(std::array<float, 5>{1, 2, 3, 4, 5});
  Tensor x = Tensor::over(
      b.device.adopt(owner, reinterpret_cast<const std::byte*>(owner->data()), sizeof *owner), 0,
      {5}, DType::F32);
  EXPECT_EQ(b.fetched(x).data<float>()[4], 5);
  EXPECT_THROW(b.device.copy(*b.stream, x, x), Error);
}

// Work that is queued reads a block after its last reference is gone: what takes the block over
// must not overtake it, on this stream or on another. The emulator delays tasks at random.
TEST(AscendDevice, MemoryIsUsedAgainInTheOrderOfStreamsAlone) {
  const Emulator emulator({{"FAKE_CANN_DELAY_US", "300"}});
  Bench b;
  const std::unique_ptr<Stream> other = b.device.make_stream();
  const Tensor ones = counted({512}, DType::F32, b.host, *b.host_stream);
  Tensor kept = b.sent(ones);
  for (int round = 0; round < 20; ++round) {
    Tensor gone = Tensor::empty({512}, DType::F32, b.device);
    b.device.copy(*b.stream, kept, gone);
    b.device.copy(*b.stream, gone, kept);
    const std::byte* const before = gone.address();
    gone = {};
    Stream& next = round % 2 == 0 ? *b.stream : *other;
    Tensor taken = Tensor::empty({512}, DType::F32, b.device);
    EXPECT_EQ(taken.address(), before);
    b.device.fill(next, taken, 99);
  }
  expect_equal(b.fetched(kept), ones, *b.host_stream);
  b.device.synchronize(*other, 60000);
}

TEST(AscendDevice, AStreamWaitsForAnEventOfAnother) {
  const Emulator emulator({{"FAKE_CANN_DELAY_US", "500"}});
  Bench b;
  const std::unique_ptr<Stream> other = b.device.make_stream();
  Tensor x = Tensor::empty({64}, DType::F32, b.device),
         y = Tensor::empty({64}, DType::F32, b.device);
  for (int round = 0; round < 10; ++round) {
    b.device.fill(*b.stream, x, round);
    b.device.wait(*other, b.device.record(*b.stream));
    b.device.copy(*other, x, y);
    b.device.wait(*b.stream, b.device.record(*other));
    EXPECT_EQ(b.fetched(y).data<float>()[63], static_cast<float>(round));
  }
}

TEST(AscendDevice, MoreThanThereIsIsOutOfMemoryAndCachedBlocksAreGivenBackFirst) {
  const Emulator emulator({{"FAKE_CANN_MEMORY", "16777216"}});
  Bench b;
  { const auto held = b.device.allocate(9 << 20); }
  EXPECT_GT(b.device.memory().cached, std::size_t{8} << 20);
  { const auto other = b.device.allocate(14 << 20); }
  try {
    b.device.allocate(std::size_t{17} << 20);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::OutOfMemory);
    EXPECT_NE(std::string(error.what()).find("ascend:0"), std::string::npos);
  }
}

TEST(AscendDevice, AFaultOfTheDeviceIsReportedWhenTheStreamIsWaitedFor) {
  Emulator emulator({{"FAKE_CANN_FAIL", "task:1"}});
  Bench b;
  Tensor x = Tensor::empty({8}, DType::F32, b.device);
  b.device.fill(*b.stream, x, 3);
  try {
    b.device.synchronize(*b.stream, 60000);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::DeviceFailure);
    EXPECT_NE(std::string(error.what()).find("507015"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("aclnnInplaceFillScalar"), std::string::npos);
  }
}

TEST(AscendDevice, ManyThreadsUseItWithoutSettingItUp) {
  const Emulator emulator;
  Bench b;
  run_local_ranks(3, {}, [&](Communicator& rank) {
    const std::unique_ptr<Stream> own = b.device.make_stream();
    HostDevice host(1);
    for (int round = 0; round < 5; ++round) {
      Tensor x = Tensor::empty({32}, DType::F32, b.device);
      b.device.fill(*own, x, rank.rank());
      Tensor got = Tensor::empty({32}, DType::F32, host);
      b.device.copy(*own, x, got);
      b.device.synchronize(*own, 60000);
      EXPECT_EQ(got.data<float>()[31], static_cast<float>(rank.rank()));
    }
  });
}

TEST(AscendDevice, BuffersMayOutliveTheirPlatform) {
  const Emulator emulator;
  std::shared_ptr<Buffer> left;
  {
    Bench b;
    left = b.device.allocate(100);
  }
  left.reset();
}

}  // namespace
}  // namespace annulus::ascend
