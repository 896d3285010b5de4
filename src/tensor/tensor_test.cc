#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

class TensorTest : public ::testing::Test {
 protected:
  Tensor counted(const Shape& shape) {
    Tensor x = Tensor::empty(shape, DType::F32, device);
    for (std::int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = static_cast<float>(i);
    return x;
  }
  HostDevice device{2};
  std::unique_ptr<Stream> stream = device.make_stream();
};

TEST_F(TensorTest, PermuteShowsTheSameElements) {
  const Tensor x = counted({2, 3, 4});
  const Tensor y = x.permute({2, 0, 1});
  EXPECT_EQ(y.shape(), (Shape{4, 2, 3}));
  const auto a = x.view<float, 3>();
  const auto b = y.view<float, 3>();
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 4; ++k) EXPECT_EQ(a(i, j, k), b(k, i, j));
}

TEST_F(TensorTest, ContiguousOfAViewEqualsTheViewElementByElement) {
  const Tensor view = counted({5, 7, 3}).permute({2, 1, 0}).slice(1, 2, 6);
  const Tensor made = contiguous(*stream, view);
  ASSERT_TRUE(made.is_contiguous());
  const auto a = view.view<float, 3>(), b = made.view<float, 3>();
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 4; ++j)
      for (int k = 0; k < 5; ++k) EXPECT_EQ(a(i, j, k), b(i, j, k));
}

TEST_F(TensorTest, ReshapeKeepsOrderAndRefusesWhatNeedsACopy) {
  const Tensor x = counted({2, 6, 4});
  const Tensor heads = x.reshape({2, 6, 2, 2});
  EXPECT_EQ((heads.view<float, 4>()(1, 5, 1, 0)), (x.view<float, 3>()(1, 5, 2)));
  const Tensor part = x.slice(2, 0, 2);  // rows of 2 within rows of 4
  const Tensor split = part.reshape({2, 3, 2, 2});
  EXPECT_EQ((split.view<float, 4>()(1, 2, 1, 1)), (part.view<float, 3>()(1, 5, 1)));
  EXPECT_THROW(part.reshape({2, 12}), Error);
  EXPECT_THROW(x.permute({1, 0, 2}).reshape({48}), Error);
  EXPECT_NO_THROW(x.reshape({48}));
  EXPECT_EQ((counted({1, 4, 1}).permute({2, 1, 0}).reshape({4}).view<float, 1>()(3)), 3.0f);
}

TEST_F(TensorTest, ExpandedAxesRepeatAtStrideZero) {
  const Tensor x = counted({3, 1}).expand({2, 3, 4});
  EXPECT_EQ((x.view<float, 3>()(1, 2, 3)), 2.0f);
  const Tensor made = contiguous(*stream, x);
  EXPECT_EQ((made.view<float, 3>()(1, 2, 3)), 2.0f);
}

TEST_F(TensorTest, SliceOutsideTheShapeIsRefused) {
  EXPECT_THROW(counted({2, 3}).slice(1, 2, 4), Error);
  EXPECT_THROW(counted({2, 3}).slice(2, 0, 0), Error);
  EXPECT_EQ(counted({2, 3}).slice(1, 3, 3).elements(), 0);
}

TEST_F(TensorTest, SizesThatOverflowAreRefusedBeforeAllocation) {
  EXPECT_THROW((Shape{std::int64_t{1} << 40, std::int64_t{1} << 40}), Error);
  EXPECT_THROW(Tensor::empty({std::int64_t{1} << 62}, DType::F32, device), Error);
}

TEST_F(TensorTest, StridesOfTheCallerAreReadWithinTheBufferOnly) {
  Tensor flat = counted({12});
  const Strides column = {1, 4};
  const Tensor x = Tensor::over(flat.buffer(), 0, {4, 3}, column, DType::F32);
  EXPECT_EQ((x.view<float, 2>()(1, 2)), (std::as_const(flat).data<float>()[9]));
  const auto over = [&](const Shape& shape, const Strides& strides) {
    const auto buffer = std::make_shared<Buffer>(*flat.buffer());
    buffer->bytes = 48;
    return Tensor::over(buffer, 0, shape, strides, DType::F32);
  };
  EXPECT_NO_THROW(over({4, 3}, column));
  EXPECT_NO_THROW(over({1000, 3}, {0, 4}));
  EXPECT_NO_THROW(over({0, 3}, {1000, 1000}));
  EXPECT_THROW(over({4, 4}, column), Error);
  EXPECT_THROW(over({2}, {-1}), Error);
  EXPECT_THROW(over({3}, {std::numeric_limits<std::int64_t>::max()}), Error);
  EXPECT_THROW(over({2}, {std::numeric_limits<std::int64_t>::max()}), Error);
}

TEST_F(TensorTest, MappedMemoryIsReadOnly) {
  const auto owner = std::make_shared<std::array<float, 4>>();
  const auto buffer =
      device.adopt(owner, reinterpret_cast<const std::byte*>(owner->data()), sizeof(*owner));
  Tensor x = Tensor::over(buffer, 0, {4}, DType::F32);
  EXPECT_THROW(x.data<float>(), Error);
  EXPECT_EQ(std::as_const(x).data<float>(), owner->data());
  Tensor y = counted({4});
  EXPECT_THROW(copy(*stream, y, x), Error);
}

TEST_F(TensorTest, FreedBlocksAreReusedAndThePeakIsCounted) {
  const void* first = nullptr;
  {
    const Tensor x = Tensor::empty({1000}, DType::F32, device);
    first = x.address();
  }
  const Tensor y = Tensor::empty({1000}, DType::F32, device);
  EXPECT_EQ(y.address(), static_cast<const std::byte*>(first));
  EXPECT_GE(device.memory().peak, 4000u);
  EXPECT_LT(device.memory().peak, 8000u);
}

TEST(Half, EveryF16SurvivesTheWayThroughF32) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const F16 x{static_cast<std::uint16_t>(bits)};
    if (std::isnan(to_float(x)))
      EXPECT_TRUE(std::isnan(to_float(to_f16(to_float(x)))));
    else
      ASSERT_EQ(to_f16(to_float(x)).bits, x.bits);
  }
}

TEST(Half, RoundingIsToNearestWithTiesToEven) {
  EXPECT_EQ(to_bf16(1.0f + 0x1p-8f).bits, to_bf16(1.0f).bits);
  EXPECT_EQ(to_bf16(1.0f + 0x3p-8f).bits, to_bf16(1.0f + 0x1p-6f).bits);
  EXPECT_EQ(to_f16(65519.0f).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(to_f16(0x1p-25f).bits, 0);
  EXPECT_EQ(to_f16(0x1.8p-25f).bits, 1);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace annulus
