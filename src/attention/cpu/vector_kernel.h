// A Kernel made of a vector type. Included by each instruction set's file inside its target region
// (see pack_loop.h).
#pragma once

#include "attention/cpu/in_place.h"
#include "attention/cpu/tile_loop.h"

namespace annulus::flash {
namespace {

/// A block of keys against every group of rows. `Products` has score() and accumulate(), as Loop.
template <class T, class Products>
void meet_block(Loop<T>& loop, Products& products, std::int64_t block) noexcept {
  Item<T> item;
  for (std::int64_t g = 0; g < loop.group_count; ++g) {
    loop.meet(loop.groups[g], block, item);
    if (item.begin >= item.end) continue;
    products.score(item);
    // All rows first: their reductions overlap.
    for (std::int64_t r = 0; r < item.group->count; ++r) loop.find_most(item, r);
    for (std::int64_t r = 0; r < item.group->count; ++r) loop.weigh(item, r);
    loop.rescale(item);
    products.accumulate(item);
  }
}

template <class T>
void attend(const Unit& unit, const Scratch& scratch) noexcept {
  Loop<T> loop(unit, scratch);
  T::enter();
  loop.begin();
  for (std::int64_t block = loop.first_block(); block < loop.past_block(); ++block) {
    loop.send_fetcher(block);
    meet_block(loop, loop, block);
  }
  loop.end();
  T::leave();
}

template <class T>
void attend_in_place(const Unit& unit, const Scratch& scratch) noexcept {
  Loop<T> loop(unit, scratch);
  InPlace<T> in_place(loop);
  loop.begin();
  for (std::int64_t block = loop.first_block(); block < loop.past_block(); ++block)
    meet_block(loop, in_place, block);
  loop.end();
}

template <class T>
void exp2_of(const float* x, float* y, std::int64_t count) noexcept {
  for (std::int64_t n = 0; n < count; n += T::kLanes)
    T::store(y + n, T::exp2(T::load(x + n), T::set(1.0f)));
}

inline std::size_t bytes(std::int64_t words) noexcept {
  return static_cast<std::size_t>(rounded_up(words * 4, 64));
}

template <class T>
ScratchSizes scratch_of(std::int64_t head_dim) noexcept {
  using L = Layout<T>;
  return {.queries = bytes(L::chunks(head_dim) * kBlockRows * L::kQueryStride),
          .scores = bytes(T::kTileRows * L::kScoreStride),
          .weights = T::kPairs ? bytes(T::kTileRows * L::kWeightStride) : 0,
          .out = bytes(kBlockRows * L::out_stride(head_dim)),
          .most = bytes(kBlockRows),
          .sum = bytes(kBlockRows),
          .sums = bytes(kBlockRows * T::kLanes)};
}

template <class T>
std::int64_t out_stride(std::int64_t head_dim) noexcept {
  return Layout<T>::out_stride(head_dim);
}

template <class T>
std::int64_t key_words(std::int64_t head_dim) noexcept {
  return T::kBlock * Layout<T>::words(head_dim);
}

template <class T>
std::int64_t value_words(std::int64_t head_dim) noexcept {
  return T::kBlock / Layout<T>::kKeysPerWord * rounded_up(head_dim, T::kPanel);
}

template <class T>
constexpr Kernel kernel_of(const char* name) noexcept {
  static_assert(kBlockRows % T::kTileRows == 0 && T::kBlock % T::kPanel == 0);
  Kernel kernel{.name = name,
                .rows = T::kTileRows,
                .block_rows = kBlockRows,
                .key_block = T::kBlock,
                .scratch_of = &scratch_of<T>,
                .out_stride = &out_stride<T>,
                .key_words = &key_words<T>,
                .value_words = &value_words<T>,
                .pack = &pack<T>,
                .attend = &attend<T>,
                .exp2 = &exp2_of<T>,
                .store_scaled = &store_scaled<T>};
  if constexpr (!T::kPairs) kernel.attend_in_place = &attend_in_place<T>;
  return kernel;
}

}  // namespace
}  // namespace annulus::flash
