// Oracles: the C++ interface, bit for bit; the reference backend; laws of folding. Hostile
// arguments give a status and a sentence.
#include <annulus/attention.h>
#include <gtest/gtest.h>

#include <annulus/attention.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> normal(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> draw;
  std::vector<float> values(count);
  for (float& value : values) value = draw(random);
  return values;
}

annulus_input input(const float* data, std::int64_t a, std::int64_t b, std::int64_t c,
                    std::int64_t d) {
  return {data, ANNULUS_F32, 4, {a, b, c, d}, ANNULUS_CONTIGUOUS, 0, {}};
}

annulus_output output(float* data, std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
  return {data, ANNULUS_F32, 4, {a, b, c, d}, ANNULUS_CONTIGUOUS, 0, {}};
}

annulus_output rows(float* data) {
  return {data, ANNULUS_F32, 3, {2, 4, 5, 0}, ANNULUS_CONTIGUOUS, 0, {}};
}

// Two entries of five queries and seven keys, four heads over two, head_dim 24. There are more
// values than that, for strides of up to 7.
class AttentionInC : public testing::Test {
 protected:
  std::vector<float> q = normal(2 * 5 * 4 * 24, 1), k = normal(4 * 7 * 2 * 24, 2),
                     v = normal(4 * 7 * 2 * 24, 3);
  std::vector<float> out = std::vector<float>(q.size()), lse = std::vector<float>(2 * 4 * 5);
  annulus_attention* attention = nullptr;
  char message[200] = "";

  void SetUp() override {
    annulus_attention_options options = {};
    options.struct_size = sizeof options;
    options.threads = 2;
    ASSERT_EQ(annulus_attention_create(&options, &attention, message, sizeof message), ANNULUS_OK)
        << message;
  }
  void TearDown() override { annulus_attention_destroy(attention); }

  // Keys [begin, end): a window on all keys by strides.
  annulus_attention_arguments keys(std::int64_t begin, std::int64_t end) const {
    annulus_attention_arguments arguments = {};
    arguments.struct_size = sizeof arguments;
    arguments.q = input(q.data(), 2, 5, 4, 24);
    arguments.k = {k.data() + begin * 48,   ANNULUS_F32,     4,
                   {2, end - begin, 2, 24}, ANNULUS_STRIDED, 0,
                   {7 * 48, 48, 24, 1}};
    arguments.v = arguments.k;
    arguments.v.data = v.data() + begin * 48;
    return arguments;
  }
  annulus_output out_array() { return output(out.data(), 2, 5, 4, 24); }

  annulus_status run(const annulus_attention_arguments& arguments) {
    const annulus_output o = out_array(), l = rows(lse.data());
    return annulus_attention_run(attention, &arguments, &o, &l, message, sizeof message);
  }

  // `status` and a sentence that has `words` for a call with these arguments.
  void refuse(const annulus_attention_arguments& arguments, const std::string& words,
              annulus_status status = ANNULUS_INVALID_ARGUMENT) {
    message[0] = '\0';
    EXPECT_EQ(run(arguments), status) << words << ": " << message;
    EXPECT_NE(std::string(message).find(words), std::string::npos) << message;
  }
};

TEST_F(AttentionInC, GivesTheBitsOfTheCppInterface) {
  ASSERT_EQ(run(keys(0, 7)), ANNULUS_OK) << message;
  std::vector<float> other(out.size()), other_lse(lse.size());
  annulus::attention::Attention(1).run({.q = {q.data(), {2, 5, 4, 24}},
                                        .k = {k.data(), {2, 7, 2, 24}},
                                        .v = {v.data(), {2, 7, 2, 24}}},
                                       {other.data(), {2, 5, 4, 24}},
                                       {other_lse.data(), {2, 4, 5}});
  EXPECT_EQ(out, other);
  EXPECT_EQ(lse, other_lse);
}

TEST_F(AttentionInC, FoldedAndMergedKeysAreTheKeysWhole) {
  ASSERT_EQ(run(keys(0, 7)), ANNULUS_OK) << message;
  const std::vector<float> whole = out, whole_lse = lse;

  std::vector<float> total(out.size()), max(lse.size()), sum(lse.size());
  const annulus_running running = {output(total.data(), 2, 5, 4, 24), rows(max.data()),
                                   rows(sum.data())};
  ASSERT_EQ(annulus_attention_start(attention, &running, message, sizeof message), ANNULUS_OK);
  for (const auto& [begin, end] : {std::pair<int, int>{0, 3}, {3, 3}, {3, 7}}) {
    const annulus_attention_arguments part = keys(begin, end);
    ASSERT_EQ(annulus_attention_fold(attention, &part, &running, message, sizeof message),
              ANNULUS_OK)
        << message;
  }
  const annulus_output o = out_array(), l = rows(lse.data());
  ASSERT_EQ(annulus_attention_finish(attention, &running, &o, &l, message, sizeof message),
            ANNULUS_OK)
      << message;
  for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(out[i], whole[i], 2e-5F) << i;
  for (std::size_t i = 0; i < whole_lse.size(); ++i) ASSERT_NEAR(lse[i], whole_lse[i], 2e-5F) << i;

  ASSERT_EQ(run(keys(3, 7)), ANNULUS_OK);
  const std::vector<float> part = out, part_lse = lse;
  ASSERT_EQ(run(keys(0, 3)), ANNULUS_OK);
  const annulus_input p = input(part.data(), 2, 5, 4, 24);
  const annulus_input pl = {part_lse.data(),    ANNULUS_F32, 3, {2, 4, 5, 0},
                            ANNULUS_CONTIGUOUS, 0,           {}};
  ASSERT_EQ(annulus_attention_merge(attention, &o, &l, &p, &pl, message, sizeof message),
            ANNULUS_OK)
      << message;
  for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(out[i], whole[i], 2e-5F) << i;
}

TEST_F(AttentionInC, EveryInstructionSetAgreesWithTheReference) {
  std::vector<std::vector<float>> results;
  annulus_attention_options options = {};
  options.struct_size = sizeof options;
  const annulus_attention_arguments arguments = keys(0, 7);
  const annulus_output o = out_array();
  const auto run_with = [&](const char* backend, const char* isa) {
    options.backend = backend, options.isa = isa;
    annulus_attention* other = nullptr;
    ASSERT_EQ(annulus_attention_create(&options, &other, message, sizeof message), ANNULUS_OK);
    ASSERT_EQ(annulus_attention_run(other, &arguments, &o, nullptr, nullptr, 0), ANNULUS_OK);
    annulus_attention_destroy(other);
    results.push_back(out);
  };
  run_with("reference", nullptr);
  for (std::size_t i = 0; annulus_attention_isa(i) != nullptr; ++i)
    run_with("flash", annulus_attention_isa(i));
  ASSERT_GE(results.size(), 2U);
  const std::vector<float> exact = results[0];
  for (const std::vector<float>& result : results)
    for (std::size_t i = 0; i < result.size(); ++i) ASSERT_NEAR(result[i], exact[i], 2e-5F);
  results.clear();
  run_with("flash_int8", nullptr);  // int8_test.cc bounds its error
  for (std::size_t i = 0; i < exact.size(); ++i) ASSERT_NEAR(results[0][i], exact[i], 0.1F);
}

TEST_F(AttentionInC, ArraysWithoutElementsNeedNoMemory) {
  annulus_attention_arguments arguments = keys(0, 0);
  arguments.k.data = arguments.v.data = nullptr;
  ASSERT_EQ(run(arguments), ANNULUS_OK) << message;
  EXPECT_EQ(out[7], 0.0F);
  EXPECT_EQ(lse[7], -kInfinity);
}

TEST_F(AttentionInC, CallsFromSeveralThreadsGiveTheSameBits) {
  ASSERT_EQ(run(keys(0, 7)), ANNULUS_OK);
  std::vector<std::vector<float>> results(4, std::vector<float>(out.size()));
  const annulus_attention_arguments arguments = keys(0, 7);
  std::vector<std::thread> threads;
  threads.reserve(results.size());
  for (std::vector<float>& result : results)
    threads.emplace_back([&] {
      const annulus_output o = output(result.data(), 2, 5, 4, 24);
      for (int i = 0; i < 10; ++i)
        annulus_attention_run(attention, &arguments, &o, nullptr, nullptr, 0);
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& result : results) EXPECT_EQ(result, out);
}

TEST_F(AttentionInC, ThreadsMayBeChanged) {
  ASSERT_EQ(run(keys(0, 7)), ANNULUS_OK);
  const std::vector<float> before = out;
  ASSERT_EQ(annulus_attention_set_threads(attention, 1, message, sizeof message), ANNULUS_OK);
  ASSERT_EQ(run(keys(0, 7)), ANNULUS_OK);
  EXPECT_EQ(out, before);
  EXPECT_EQ(annulus_attention_set_threads(attention, -1, message, sizeof message),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_attention_set_threads(attention, 1 << 30, message, sizeof message),
            ANNULUS_INVALID_ARGUMENT);
}

TEST_F(AttentionInC, ArraysThatCannotBeAreRefused) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const annulus_attention_arguments good = keys(0, 7);
  annulus_attention_arguments bad = good;
  const auto each = [&](const std::string& words, const auto& change) {
    bad = good;
    change(bad.k);
    refuse(bad, words);
  };
  each("k: wanted memory, found NULL", [](annulus_input& x) { x.data = nullptr; });
  each("k: wanted memory aligned to 4",
       [](annulus_input& x) { x.data = static_cast<const char*>(x.data) + 1; });
  each("k: wanted rank 1 to 4, found 5", [](annulus_input& x) { x.rank = 5; });
  each("k: wanted rank 1 to 4, found -1", [](annulus_input& x) { x.rank = -1; });
  each("q, k, v: wanted 4 axes", [](annulus_input& x) { x.rank = 3; });
  each("k: wanted dtype 0 to 4", [](annulus_input& x) { x.dtype = 99; });
  each("k: wanted dtype 0 to 4", [](annulus_input& x) { x.dtype = -1; });
  each("k: wanted q's dtype", [](annulus_input& x) { x.dtype = ANNULUS_BF16; });
  each("k: wanted layout 0 or 1", [](annulus_input& x) { x.layout = 7; });
  each("k: wanted 0 in reserved", [](annulus_input& x) { x.reserved = 1; });
  each("k: wanted extents", [](annulus_input& x) { x.shape[1] = -7; });
  each("k: wanted extents", [](annulus_input& x) { x.shape[1] = kMost; });
  each("k: wanted shape", [](annulus_input& x) { x.shape[3] = 23; });
  each("k: wanted strides >= 0", [](annulus_input& x) { x.strides[1] = -48; });
  each("k: wanted strides that fit", [](annulus_input& x) { x.strides[1] = kMost; });
  each("k: wanted strides that fit",
       [](annulus_input& x) { x.strides[0] = x.strides[1] = kMost / 7; });
  each("k: wanted a size that fits", [](annulus_input& x) { x.strides[0] = kMost / 2; });
  each("k: wanted memory within the address space",
       [](annulus_input& x) { x.strides[0] = kMost / 8; });
  each("more than 2^63", [](annulus_input& x) {
    for (std::int64_t& extent : x.shape) extent = (std::int64_t{1} << 31) - 1;
  });
}

TEST_F(AttentionInC, ArgumentsThatCannotBeAreRefused) {
  const annulus_attention_arguments good = keys(0, 7);
  annulus_attention_arguments bad = good;
  const auto each = [&](const std::string& words, const auto& change,
                        annulus_status status = ANNULUS_INVALID_ARGUMENT) {
    bad = good;
    change(bad);
    refuse(bad, words, status);
  };
  each("wanted struct_size", [](auto& a) { a.struct_size = 0; });
  each("wanted struct_size", [](auto& a) { a.struct_size = sizeof a - 8; });
  each("wanted struct_size", [](auto& a) { a.struct_size = ~std::size_t{0}; });
  each("causal: wanted 0 to 2", [](auto& a) { a.causal = 3; });
  each("windowed: wanted 0 or 1", [](auto& a) { a.windowed = 2; });
  each("window: wanted lengths", [](auto& a) { a.windowed = 1, a.window[0] = -2; });
  each("reserved", [](auto& a) { a.reserved = 1; });
  each("scale: wanted a finite", [](auto& a) { a.scale = kInfinity; });
  const std::int32_t lengths[] = {8, 0};
  annulus_input given = {lengths, ANNULUS_I32, 1, {2, 0, 0, 0}, ANNULUS_CONTIGUOUS, 0, {}};
  each("kv_lengths: wanted 0 to 7, found 8", [&](auto& a) { a.kv_lengths = &given; });
  each("mask: wanted shape", [&](auto& a) { a.mask = &given; });
  each("cu_seqlens_q, cu_seqlens_k: wanted both", [&](auto& a) { a.cu_seqlens_q = &given; });
  given.data = nullptr;
  each("diagonals: wanted memory", [&](auto& a) { a.diagonals = &given; });
}

// Members drawn from what breaks things. Strides and shapes that lead to memory which is not there
// are left out: nobody can tell those from good ones.
TEST_F(AttentionInC, WhateverTheArgumentsHoldThereIsAStatusAndASentence) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max(), kLeast = -kMost - 1;
  const std::vector<std::int64_t> odd = {0, 1, -1, 2, 5, 7, kMost, kLeast, kMost / 2, kLeast / 3};
  std::mt19937 random(7);
  const auto one_in = [&](unsigned n) { return random() % n == 0; };
  const auto any = [&] { return odd[random() % odd.size()]; };
  const auto any32 = [&] { return static_cast<std::int32_t>(any()); };
  int served = 0;
  for (int round = 0; round < 1000; ++round) {
    annulus_attention_arguments a = keys(0, 7);
    std::vector<std::int32_t> lengths = {any32(), any32()}, diagonals = {any32(), any32()};
    if (one_in(2)) lengths = {3, 7};
    std::vector<std::int32_t> cu = {any32(), any32(), any32()};
    const annulus_input small = {lengths.data(),     ANNULUS_I32, 1, {2, 0, 0, 0},
                                 ANNULUS_CONTIGUOUS, 0,           {}};
    annulus_input lengths_array = small, diagonals_array = small, cu_array = small;
    diagonals_array.data = diagonals.data();
    cu_array.data = cu.data();
    cu_array.shape[0] = 3;
    const std::vector<std::uint8_t> seen(static_cast<std::size_t>(2 * 4 * 5 * 7 * 4), 1);
    annulus_input mask = {seen.data(), ANNULUS_BOOL, 4, {1, 1, 5, 7}, ANNULUS_CONTIGUOUS, 0, {}};
    if (one_in(4)) a.scale = std::ldexp(1.0F, static_cast<int>(random() % 280) - 140);
    if (one_in(4)) a.causal = one_in(4) ? any32() : static_cast<std::int32_t>(random() % 3);
    if (one_in(3)) a.windowed = 1, a.window[0] = any(), a.window[1] = any();
    if (one_in(3)) a.kv_lengths = &lengths_array;
    if (one_in(3)) a.diagonals = &diagonals_array;
    if (one_in(3)) a.mask = &mask;
    if (one_in(20)) a.cu_seqlens_q = &cu_array, a.cu_seqlens_k = &cu_array;
    annulus_input* const arrays[] = {&a.q, &a.k, &a.v, &lengths_array, &mask};
    annulus_input& hurt = *arrays[random() % 5];
    const std::size_t axis = random() % 4;
    if (one_in(8)) hurt.rank = any32();
    if (one_in(8)) hurt.dtype = any32();
    if (one_in(8)) hurt.layout = any32();
    if (one_in(8)) hurt.shape[axis] = any();
    if (one_in(8)) hurt.layout = ANNULUS_STRIDED, hurt.strides[axis] = one_in(2) ? kMost : any();
    if (one_in(30)) hurt.data = nullptr;
    message[0] = '\0';
    const annulus_status status = run(a);
    ASSERT_TRUE(status >= ANNULUS_OK && status <= ANNULUS_OUT_OF_MEMORY) << message;
    ASSERT_EQ(status == ANNULUS_OK, message[0] == '\0') << message;
    served += status == ANNULUS_OK ? 1 : 0;
  }
  EXPECT_GT(served, 100);
}

TEST_F(AttentionInC, ALaterVersionsStructIsServedWhenItSaysNothingNew) {
  struct Later {
    annulus_attention_arguments known;
    std::int64_t more;
  } later = {keys(0, 7), 0};
  later.known.struct_size = sizeof later;
  const annulus_output o = out_array();
  EXPECT_EQ(annulus_attention_run(attention, &later.known, &o, nullptr, message, sizeof message),
            ANNULUS_OK)
      << message;
  later.more = 1;
  EXPECT_EQ(annulus_attention_run(attention, &later.known, &o, nullptr, message, sizeof message),
            ANNULUS_UNSUPPORTED);
}

TEST_F(AttentionInC, OutputsThatOverlapAreRefused) {
  const annulus_attention_arguments good = keys(0, 7);
  annulus_output o = out_array();
  o.layout = ANNULUS_STRIDED;
  const auto status_with = [&](std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
    const std::int64_t strides[4] = {a, b, c, d};
    std::memcpy(o.strides, strides, sizeof strides);
    return annulus_attention_run(attention, &good, &o, nullptr, message, sizeof message);
  };
  EXPECT_EQ(status_with(5 * 96, 96, 24, 1), ANNULUS_OK);
  EXPECT_EQ(status_with(5 * 96, 24, 5 * 24, 1), ANNULUS_OK) << message;  // heads outside
  EXPECT_EQ(status_with(0, 96, 24, 1), ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(status_with(5 * 96, 96, 23, 1), ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(status_with(5 * 96, 96, 24, 0), ANNULUS_INVALID_ARGUMENT);
}

TEST_F(AttentionInC, NullIsAnErrorAndNoCrash) {
  const annulus_attention_arguments good = keys(0, 7);
  const annulus_output o = out_array();
  const annulus_input part = input(out.data(), 2, 5, 4, 24);
  EXPECT_EQ(annulus_attention_create(nullptr, nullptr, message, sizeof message),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_attention_run(nullptr, &good, &o, nullptr, message, sizeof message),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_attention_run(attention, nullptr, &o, nullptr, message, sizeof message),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_attention_run(attention, &good, nullptr, nullptr, nullptr, 0),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_attention_merge(attention, &o, nullptr, &part, &part, nullptr, 10),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_attention_merge(attention, &o, &o, nullptr, nullptr, message, 0),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_attention_start(attention, nullptr, message, sizeof message),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_attention_fold(attention, &good, nullptr, message, sizeof message),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_attention_finish(attention, nullptr, &o, nullptr, message, sizeof message),
            ANNULUS_INVALID_ARGUMENT);
  EXPECT_EQ(annulus_attention_set_threads(nullptr, 1, message, sizeof message),
            ANNULUS_INVALID_ARGUMENT);
  annulus_attention_destroy(nullptr);
}

TEST_F(AttentionInC, MessagesAreCutToTheirBuffer) {
  char small[9];
  std::memset(small, 'x', sizeof small);
  annulus_attention_arguments bad = keys(0, 7);
  bad.causal = 3;
  const annulus_output o = out_array();
  annulus_attention_run(attention, &bad, &o, nullptr, small, 8);
  EXPECT_STREQ(small, "causal:");
  EXPECT_EQ(small[8], 'x');
}

TEST_F(AttentionInC, NamesNobodyKnowsAreNotFound) {
  annulus_attention_options options = {};
  options.struct_size = sizeof options;
  annulus_attention* other = attention;
  options.backend = "flesh";
  EXPECT_EQ(annulus_attention_create(&options, &other, message, sizeof message), ANNULUS_NOT_FOUND);
  EXPECT_EQ(other, nullptr);
  options.backend = nullptr;
  options.isa = "sse9";
  EXPECT_EQ(annulus_attention_create(&options, &other, message, sizeof message), ANNULUS_NOT_FOUND);
  EXPECT_STREQ(annulus_attention_backend(0), "flash");
  EXPECT_STREQ(annulus_attention_isa(0), "scalar");
  EXPECT_STREQ(annulus_attention_backend(2), "reference");
  EXPECT_EQ(annulus_attention_backend(3), nullptr);
  EXPECT_NE(annulus_attention_isa_in_use(attention), nullptr);
  EXPECT_EQ(annulus_attention_isa_in_use(nullptr), nullptr);
  EXPECT_EQ(annulus_attention_isa(99), nullptr);
  EXPECT_EQ(annulus_attention_abi(), ANNULUS_ATTENTION_ABI);
  EXPECT_STREQ(annulus_status_name(ANNULUS_NOT_FOUND), "not found");
  EXPECT_STREQ(annulus_status_name(static_cast<annulus_status>(7)), "unknown status");
}

}  // namespace
