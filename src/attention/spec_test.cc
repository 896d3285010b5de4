#include "attention/spec.h"

#include <gtest/gtest.h>

#include <limits>
#include <optional>

#include "tensor/host_device.h"

namespace annulus {
namespace {

TEST(AttentionSpec, KvHeadsOfZeroMeansAsManyAsHeads) {
  EXPECT_EQ((AttentionSpec{.heads = 6, .head_dim = 8}.resolved().kv_heads), 6);
  EXPECT_EQ((AttentionSpec{.heads = 6, .kv_heads = 2, .head_dim = 8}.resolved().kv_heads), 2);
}

TEST(AttentionSpec, HeadsThatDoNotDivideAreRefused) {
  EXPECT_THROW((AttentionSpec{.heads = 6, .kv_heads = 4, .head_dim = 8}.resolved()), Error);
  EXPECT_THROW((AttentionSpec{.heads = 0, .head_dim = 8}.resolved()), Error);
  EXPECT_THROW((AttentionSpec{.heads = 6, .kv_heads = -6, .head_dim = 8}.resolved()), Error);
  EXPECT_THROW((AttentionSpec{.heads = 6, .head_dim = 8, .dtype = DType::I32}.resolved()), Error);
}

TEST(AttentionSpec, TextNamesEveryProperty) {
  const AttentionSpec spec{.heads = 24,
                           .kv_heads = 4,
                           .head_dim = 128,
                           .dtype = DType::BF16,
                           .causal = Causal::BottomRight,
                           .window = true,
                           .kv_lengths = true,
                           .bool_mask = true,
                           .additive_mask = true,
                           .varlen = true,
                           .diagonals = true,
                           .lse = true};
  EXPECT_EQ(to_string(spec),
            "24 heads (4 kv) x 128 bf16, causal bottom-right, window, kv_lengths, bool mask, "
            "additive mask, varlen, diagonals, lse");
}

// A sound call; a test spoils one part of it.
class CheckTest : public ::testing::Test {
 protected:
  Tensor make(const Shape& shape, DType dtype = DType::F32) {
    return Tensor::empty(shape, dtype, device);
  }
  Tensor integers(std::initializer_list<std::int32_t> values) {
    Tensor x = make({static_cast<std::int64_t>(values.size())}, DType::I32);
    std::copy(values.begin(), values.end(), x.data<std::int32_t>());
    return x;
  }
  AttentionArgs args() const { return {.q = q, .k = k, .v = v}; }
  AttentionArgs packed_args() const {
    return {
        .q = packed_q, .k = packed_k, .v = packed_k, .cu_seqlens_q = &cu_q, .cu_seqlens_k = &cu_k};
  }
  static bool refused(const AttentionArgs& args, const Tensor& out, const Tensor* lse = nullptr) {
    try {
      check(args, out, lse);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::InvalidRequest);
      return true;
    }
    return false;
  }

  HostDevice device{1};
  Tensor q = make({2, 3, 4, 8}), k = make({2, 5, 2, 8}), v = make({2, 5, 2, 8});
  Tensor out = make({2, 3, 4, 8}), lse = make({2, 4, 3});
  Tensor packed_q = make({7, 4, 8}), packed_k = make({9, 2, 8}), packed_out = make({7, 4, 8});
  Tensor cu_q = integers({0, 3, 3, 7}), cu_k = integers({0, 0, 4, 9});
};

TEST_F(CheckTest, SoundCallsPass) {
  EXPECT_FALSE(refused(args(), out, &lse));
  const Tensor packed_lse = make({4, 7});
  EXPECT_FALSE(refused(packed_args(), packed_out, &packed_lse));
}

TEST_F(CheckTest, ShapesThatContradictAreRefused) {
  EXPECT_TRUE(refused({.q = q, .k = k, .v = make({2, 6, 2, 8})}, out));
  EXPECT_TRUE(refused({.q = q, .k = make({1, 5, 2, 8}), .v = make({1, 5, 2, 8})}, out));
  EXPECT_TRUE(refused({.q = q, .k = make({2, 5, 3, 8}), .v = make({2, 5, 3, 8})}, out));
  EXPECT_TRUE(refused({.q = q, .k = make({2, 5, 2, 9}), .v = make({2, 5, 2, 9})}, out));
  EXPECT_TRUE(refused(args(), make({2, 3, 4, 9})));
  const Tensor turned = make({2, 3, 4});
  EXPECT_TRUE(refused(args(), out, &turned));
  EXPECT_TRUE(refused({.q = packed_q, .k = packed_k, .v = packed_k}, packed_out));
}

TEST_F(CheckTest, DTypesThatContradictAreRefused) {
  EXPECT_TRUE(refused({.q = q, .k = make({2, 5, 2, 8}, DType::BF16), .v = v}, out));
  EXPECT_TRUE(refused(args(), make({2, 3, 4, 8}, DType::BF16)));
  const Tensor half = make({2, 4, 3}, DType::F16);
  EXPECT_TRUE(refused(args(), out, &half));
  const Tensor i = make({2, 3, 4, 8}, DType::I32), j = make({2, 5, 2, 8}, DType::I32);
  EXPECT_TRUE(refused({.q = i, .k = j, .v = j}, i));
}

TEST_F(CheckTest, LengthsOutsideOfTheKeysAreRefused) {
  for (const auto& [values, bad] : {std::pair{integers({0, 5}), false},
                                    {integers({0, 6}), true},
                                    {integers({-1, 5}), true},
                                    {integers({5}), true}}) {
    AttentionArgs a = args();
    a.kv_lengths = &values;
    EXPECT_EQ(refused(a, out), bad);
  }
}

TEST_F(CheckTest, CumulativeLengthsMustRiseFromZeroToTheTokens) {
  for (const Tensor& bad : {integers({0, 3, 2, 7}), integers({1, 3, 3, 7}), integers({0, 3, 3, 8}),
                            integers({0, 3, 7}), integers({0, -3, 3, 7}), make({4})}) {
    AttentionArgs a = packed_args();
    a.cu_seqlens_q = &bad;
    EXPECT_TRUE(refused(a, packed_out));
  }
  AttentionArgs one = packed_args();
  one.cu_seqlens_k = nullptr;
  EXPECT_TRUE(refused(one, packed_out));
  const Tensor none = make({0}, DType::I32);
  AttentionArgs empty = packed_args();
  empty.cu_seqlens_q = &none;
  EXPECT_TRUE(refused(empty, packed_out));
}

TEST_F(CheckTest, MasksMustBroadcastToTheScores) {
  for (const auto& [mask, bad] : {std::pair{make({1, 1, 1, 5}, DType::Bool), false},
                                  {make({2, 4, 3, 5}), false},
                                  {make({2, 2, 3, 5}), true},
                                  {make({2, 4, 3, 1}), true},
                                  {make({3, 5}), true},
                                  {make({1, 1, 3, 5}, DType::BF16), true},
                                  {make({1, 1, 3, 5}, DType::U8), true}}) {
    AttentionArgs a = args();
    a.mask = &mask;
    EXPECT_EQ(refused(a, out), bad) << mask.shape() << ' ' << name_of(mask.dtype());
  }
}

TEST_F(CheckTest, WindowsAndScalesWithoutSenseAreRefused) {
  AttentionArgs a = args();
  a.window = {-2, 0};
  EXPECT_TRUE(refused(a, out));
  AttentionArgs b = args();
  b.scale = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(refused(b, out));
}

TEST_F(CheckTest, ResultsMayNotLieInMappedFiles) {
  const auto owner = std::make_shared<std::array<float, 192>>();
  const auto buffer =
      device.adopt(owner, reinterpret_cast<const std::byte*>(owner->data()), sizeof(*owner));
  EXPECT_TRUE(refused(args(), Tensor::over(buffer, 0, {2, 3, 4, 8}, DType::F32)));
}

TEST_F(CheckTest, SpecOfACallHasItsProperties) {
  const Tensor mask = make({1, 1, 1, 9}), lengths = integers({0, 2, 3});
  AttentionArgs a = packed_args();
  a.mask = &mask;
  a.kv_lengths = &lengths;
  a.causal = Causal::TopLeft;
  a.window = {-1, 2};
  EXPECT_EQ(spec_of(a, true), (AttentionSpec{.heads = 4,
                                             .kv_heads = 2,
                                             .head_dim = 8,
                                             .dtype = DType::F32,
                                             .causal = Causal::TopLeft,
                                             .window = true,
                                             .kv_lengths = true,
                                             .additive_mask = true,
                                             .varlen = true,
                                             .lse = true}));
}

}  // namespace
}  // namespace annulus
