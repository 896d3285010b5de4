#include "models/wan/key_cache.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "nn/test_context.h"
#include "nn/transfer.h"

namespace annulus::wan {
namespace {

constexpr std::int64_t kRows = 2;

struct TestCache {
  TestCache(CacheWindow window, std::int64_t total)
      : ctx(test.context()), cache(ctx, Shape{1, kRows, 1, 1}, ctx.dtype, kRows, window, total) {}

  /// Puts frames whose rows hold their number (or minus it, for values).
  void put(std::int64_t first, std::int64_t count) {
    std::vector<float> numbers, negative;
    for (std::int64_t i = 0; i < count * kRows; ++i) {
      numbers.push_back(static_cast<float>(first + i / kRows));
      negative.push_back(-numbers.back());
    }
    const Shape shape = {1, count * kRows, 1, 1};
    cache.at(first, count);
    cache.put(ctx, to_device(ctx, numbers, shape, ctx.dtype),
              to_device(ctx, negative, shape, ctx.dtype));
  }

  /// The frames that are shown, in order, after checking that keys and values say so too.
  std::vector<std::int64_t> shown() {
    std::vector<std::int64_t> frames = cache.frames();
    const std::vector<float> keys = to_host(ctx, cache.keys()),
                             values = to_host(ctx, cache.values());
    EXPECT_EQ(keys.size(), frames.size() * kRows);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      EXPECT_EQ(keys[i], static_cast<float>(frames[i / kRows]));
      EXPECT_EQ(values[i], -keys[i]);
    }
    EXPECT_EQ(cache.sequence().rows(), static_cast<std::int64_t>(frames.size()) * kRows);
    std::sort(frames.begin(), frames.end());
    return frames;
  }

  TestContext test;
  Context ctx;
  KeyCache cache;
};

/// The rule, written down: the first `sink` frames and the newest `window - sink`.
std::vector<std::int64_t> expected(CacheWindow w, std::int64_t end) {
  std::vector<std::int64_t> frames;
  for (std::int64_t frame = 0; frame < end; ++frame)
    if (w.window == 0 || frame < w.sink || frame >= end - (w.window - w.sink))
      frames.push_back(frame);
  return frames;
}

TEST(KeyCache, ShowsTheSinkAndTheNewestFramesWhateverTheBlock) {
  for (const CacheWindow window : {CacheWindow{}, CacheWindow{5, 0}, CacheWindow{5, 2},
                                   CacheWindow{3, 1}, CacheWindow{40, 3}, CacheWindow{4, 1}})
    for (const std::int64_t count : {1, 2, 3}) {
      if (window.window > 0 && count > window.window - window.sink) continue;
      TestCache it(window, 24);
      for (std::int64_t first = 0; first < 24; first += count) {
        it.put(first, count);
        EXPECT_EQ(it.shown(), expected(window, first + count))
            << window.window << ' ' << window.sink << ' ' << count << ' ' << first;
      }
    }
}

TEST(KeyCache, WritingTheSameFramesAgainAdvancesNothing) {
  TestCache it({4, 1}, 12);
  for (const std::int64_t first : {0, 2, 2, 2, 4, 4, 6}) it.put(first, 2);
  EXPECT_EQ(it.shown(), expected({4, 1}, 8));
}

TEST(KeyCache, MemoryIsThatOfTheWindowHoweverLongTheVideo) {
  EXPECT_EQ(TestCache({5, 1}, 1000).cache.bytes(), TestCache({5, 1}, 5).cache.bytes());
}

TEST(KeyCache, GapsAndBlocksBeyondTheWindowAreRefused) {
  TestCache it({4, 2}, 12);
  it.put(0, 3);
  EXPECT_THROW(it.cache.at(4, 1), Error);
  EXPECT_THROW(it.cache.at(1, 1), Error);
  EXPECT_THROW(it.cache.at(3, 3), Error);
  EXPECT_NO_THROW(it.cache.at(3, 2));
  EXPECT_THROW(TestCache({2, 2}, 4), Error);
}

}  // namespace
}  // namespace annulus::wan
