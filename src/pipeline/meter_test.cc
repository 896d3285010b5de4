#include "pipeline/meter.h"

#include <gtest/gtest.h>

#include "nn/linear.h"
#include "nn/test_context.h"
#include "tensor/copy.h"

namespace annulus {
namespace {

TEST(Meter, CountsTheMostThatIsThereAtOnce) {
  TestContext test;
  Meter meter(test.context().mesh);
  const Context ctx = meter.context(test.context());
  {
    const Tensor one = Tensor::empty({64}, DType::F32, ctx.device);
    { const Tensor two = clone(ctx.stream, one); }
    { const Tensor three = cast(ctx.stream, one, DType::BF16); }
  }
  EXPECT_EQ(meter.peak(), 2u * 64u * 4u);
}

TEST(Meter, CountsEachWeightThatIsReadOnce) {
  TestContext test;
  const Linear read = {test.random({3, 5}), test.random({3}), {}};
  const Linear other = {test.random({5, 3}), std::nullopt, {}};
  Meter meter(test.context().mesh);
  const Context ctx = meter.context(test.context());
  const Tensor x = Tensor::empty({7, 5}, ctx.wide, ctx.device);
  linear(ctx, linear(ctx, linear(ctx, x, read), other), read);
  EXPECT_EQ(meter.weights(), (15u + 3u + 15u) * size_of(ctx.wide));
}

TEST(Meter, GivesZerosToTheHost) {
  TestContext test;
  Meter meter(test.context().mesh);
  const Context ctx = meter.context(test.context());
  EXPECT_EQ(to_host(ctx, Tensor::empty({3}, DType::BF16, ctx.device)),
            (std::vector<float>{0, 0, 0}));
}

}  // namespace
}  // namespace annulus
