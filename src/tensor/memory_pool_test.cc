#include "tensor/memory_pool.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace annulus {
namespace {

TEST(MemoryPool, LiveBlocksNeverOverlapAndKeepTheirBytes) {
  MemoryPool pool;
  struct Block {
    std::byte* data;
    std::size_t bytes;
    int mark;
  };
  std::vector<Block> live;
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    if (live.size() < 20 || random() % 2 == 0) {
      const std::size_t bytes = std::size_t{1} << (random() % 23);
      const Block block = {pool.take(bytes + random() % 100), bytes, round % 251};
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block.data) % 64, 0u);
      std::memset(block.data, block.mark, block.bytes);
      live.push_back(block);
    } else {
      const std::size_t at = random() % live.size();
      for (const std::size_t i : {std::size_t{0}, live[at].bytes / 2, live[at].bytes - 1})
        ASSERT_EQ(std::to_integer<int>(live[at].data[i]), live[at].mark);
      pool.give(live[at].data);
      live[at] = live.back();
      live.pop_back();
    }
  }
  for (const Block& block : live) pool.give(block.data);
  EXPECT_EQ(pool.use().in_use, 0u);
  pool.trim();
  EXPECT_EQ(pool.use().cached, 0u);
}

TEST(MemoryPool, ALargeBlockServesSmallerOnesAndIsWholeAgain) {
  MemoryPool pool;
  constexpr std::size_t kLarge = std::size_t{8} << 20;
  std::byte* whole = pool.take(kLarge);
  pool.give(whole);
  std::array<std::byte*, 4> parts{};
  for (std::byte*& part : parts) part = pool.take(kLarge / 4);
  for (std::byte* part : parts) pool.give(part);
  EXPECT_EQ(pool.take(kLarge), whole);
  EXPECT_EQ(pool.use().peak, kLarge);
}

TEST(MemoryPool, HeldMemoryStaysNearThePeakOfWhatWasInUse) {
  MemoryPool pool;
  for (std::size_t size = std::size_t{1} << 20; size <= std::size_t{64} << 20; size = size * 3 / 2)
    pool.give(pool.take(size));
  EXPECT_LE(pool.use().in_use + pool.use().cached, pool.use().peak + (std::size_t{4} << 20));
}

}  // namespace
}  // namespace annulus
