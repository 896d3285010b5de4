// For tests: what a group of any kind must do, as functions that every rank calls. Local ranks run
// them in comm_test.cc, processes in tests/ranks.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "comm/communicator.h"
#include "tensor/host_device.h"

namespace annulus {

/// Element i of what rank `from` has for rank `to`: different everywhere.
inline std::int32_t law_value(int from, int to, std::int64_t i) {
  return static_cast<std::int32_t>(from * 1000003 + to * 10007 + i);
}

inline void collectives_law(Communicator& world) {
  HostDevice device(1);
  const auto stream = device.make_stream();
  const int me = world.rank(), size = world.size();
  const auto count = [](int from, int to) {  // 0 now and then
    return static_cast<std::int64_t>((from * 7 + to * 3) % 5 * 13);
  };

  for (int root = 0; root < size; ++root) {
    std::vector<std::int32_t> values(37);
    for (int i = 0; i < 37; ++i)
      values[static_cast<std::size_t>(i)] = me == root ? law_value(root, 0, i) : -1;
    world.broadcast(std::as_writable_bytes(std::span(values)), root);
    for (int i = 0; i < 37; ++i)
      EXPECT_EQ(values[static_cast<std::size_t>(i)], law_value(root, 0, i));
  }
  world.barrier();

  std::vector<std::byte> mine(static_cast<std::size_t>(me % 3 * 5), static_cast<std::byte>(me));
  const auto texts = world.all_gather(mine);
  ASSERT_EQ(texts.size(), static_cast<std::size_t>(size));
  for (int r = 0; r < size; ++r)
    EXPECT_EQ(
        texts[static_cast<std::size_t>(r)],
        std::vector<std::byte>(static_cast<std::size_t>(r % 3 * 5), static_cast<std::byte>(r)));

  std::vector<std::int64_t> out, in, shares;
  std::int64_t sent = 0, received = 0, gathered = 0;
  for (int r = 0; r < size; ++r) {
    out.push_back(count(me, r)), in.push_back(count(r, me)), shares.push_back(count(r, 1));
    sent += out.back(), received += in.back(), gathered += shares.back();
  }
  Tensor send = Tensor::empty({sent}, DType::I32, device);
  Tensor recv = Tensor::empty({received}, DType::I32, device);
  std::int64_t at = 0;
  for (int r = 0; r < size; ++r)
    for (std::int64_t i = 0; i < count(me, r); ++i)
      send.data<std::int32_t>()[at++] = law_value(me, r, i);
  world.all_to_all(*stream, send, out, recv, in);
  at = 0;
  for (int r = 0; r < size; ++r)
    for (std::int64_t i = 0; i < count(r, me); ++i)
      EXPECT_EQ(recv.data<std::int32_t>()[at++], law_value(r, me, i));

  Tensor share = Tensor::empty({count(me, 1)}, DType::I32, device);
  for (std::int64_t i = 0; i < count(me, 1); ++i)
    share.data<std::int32_t>()[i] = law_value(me, 1, i);
  Tensor whole = Tensor::empty({gathered}, DType::I32, device);
  world.all_gather(*stream, share, shares, whole);
  at = 0;
  for (int r = 0; r < size; ++r)
    for (std::int64_t i = 0; i < count(r, 1); ++i)
      EXPECT_EQ(whole.data<std::int32_t>()[at++], law_value(r, 1, i));

  Tensor token = Tensor::empty({3}, DType::I32, device),
         got = Tensor::empty({3}, DType::I32, device);
  device.fill(*stream, token, me);
  if (size > 1) {
    world.exchange(*stream, token, (me + 1) % size, got, (me + size - 1) % size)->wait();
    EXPECT_EQ(got.data<std::int32_t>()[2], (me + size - 1) % size);
  }
}

/// Several epochs of shards of changing sizes, empty ones among them; some ranks are slower.
inline void shards_law(Communicator& world) {
  HostDevice device(1);
  const auto stream = device.make_stream();
  const int me = world.rank(), size = world.size();
  for (int round = 0; round < 7; ++round) {
    std::vector<std::size_t> bytes;
    for (int r = 0; r < size; ++r)
      bytes.push_back(static_cast<std::size_t>((r + round) % 4 * 1000 * (round + 1)));
    const std::size_t own = bytes[static_cast<std::size_t>(me)];
    Tensor place = world.publishable(*stream, bytes);
    ASSERT_EQ(place.bytes(), own);
    if (own > 0) std::memset(place.address(), me * 16 + round, own);
    const auto epoch = world.publish(*stream);
    for (int hop = 0; hop < size; ++hop) {
      const int owner = (me - hop + size) % size;
      const Tensor shard = epoch->shard(hop);
      const std::size_t want = bytes[static_cast<std::size_t>(owner)];
      ASSERT_EQ(shard.bytes(), want);
      for (std::size_t i = 0; i < want; i += 97)
        ASSERT_EQ(shard.address()[i], static_cast<std::byte>(owner * 16 + round));
    }
  }
}

inline void split_law(Communicator& world) {
  const int me = world.rank(), size = world.size();
  const auto group = world.split(me % 2, -me);  // in reverse order
  const int members = (size + 1 - me % 2) / 2;
  ASSERT_EQ(group->size(), members);
  EXPECT_EQ(group->rank(), members - 1 - me / 2);
  const auto all = group->all_gather(std::as_bytes(std::span(&me, 1)));
  for (int r = 0; r < members; ++r) {
    int theirs = -1;
    std::memcpy(&theirs, all[static_cast<std::size_t>(r)].data(), sizeof theirs);
    EXPECT_EQ(theirs, (members - 1 - r) * 2 + me % 2);
  }
  const auto again = group->split(0, group->rank());
  collectives_law(*again);
  shards_law(*again);
}

}  // namespace annulus
