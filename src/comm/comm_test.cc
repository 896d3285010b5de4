#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

#include "comm/comm_laws.h"

namespace annulus {
namespace {

const CommOptions kShared{.shared_memory = true, .deadline_ms = 20000};
const CommOptions kMessages{.shared_memory = false, .deadline_ms = 20000};
const CommOptions kHasty{.shared_memory = true, .deadline_ms = 300};

TEST(Comm, CollectivesOfUnevenSizesEqualTheirDefinition) {
  for (int size = 1; size <= 8; ++size) run_local_ranks(size, kShared, collectives_law);
}

TEST(Comm, ShardsReadInPlaceArriveOnEveryRank) {
  for (const int size : {1, 2, 3, 5, 8}) run_local_ranks(size, kShared, shards_law);
}

TEST(Comm, ShardsInMessagesArriveOnEveryRank) {
  for (const int size : {1, 2, 3, 5, 8}) run_local_ranks(size, kMessages, shards_law);
}

TEST(Comm, ShardsOfRanksOnSeveralHostsArriveOnEveryRank) {
  run_local_ranks(4, kShared, shards_law, std::vector<int>{0, 0, 1, 1});
  run_local_ranks(5, kShared, shards_law, std::vector<int>{0, 1, 0, 1, 0});
  run_local_ranks(6, kShared, shards_law, std::vector<int>{0, 0, 0, 1, 2, 2});
}

TEST(Comm, SplitGroupsByColourAndOrdersByKey) {
  for (const int size : {1, 2, 5, 8}) run_local_ranks(size, kShared, split_law);
}

std::string failure_of(int size, const CommOptions& options,
                       const std::function<void(Communicator&)>& body) {
  std::mutex mutex;
  std::string told;
  int failures = 0;
  try {
    run_local_ranks(size, options, [&](Communicator& world) {
      try {
        body(world);
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        if (error.code() == ErrorCode::PeerFailure) told = error.what(), ++failures;
        throw;
      }
    });
  } catch (const std::exception&) {
    return failures == size - 1 ? told : text_of(failures, " ranks learned of it: ", told);
  }
  return "no failure";
}

TEST(Comm, ARankThatThrowsEndsTheOthersWithItsReason) {
  const std::string told = failure_of(4, kHasty, [](Communicator& world) {
    if (world.rank() == 2) throw Error(ErrorCode::OutOfMemory, "no memory for a shard");
    world.barrier();
  });
  EXPECT_EQ(told, "rank 2: no memory for a shard");
}

TEST(Comm, ARankThatStallsIsNamedWithTheOperation) {
  const std::string told = failure_of(4, kHasty, [](Communicator& world) {
    world.mark(text_of("step ", world.rank()));
    if (world.rank() == 2) {  // asleep, as if it had been stopped
      std::this_thread::sleep_for(std::chrono::milliseconds(1500));
      world.barrier();
    }
    std::byte byte{};
    world.broadcast({&byte, 1}, 0);
    world.barrier();
  });
  EXPECT_NE(told.find("rank 2: wanted an answer within 300 ms, found no sign of life, last at "
                      "step 2"),
            std::string::npos)
      << told;
}

TEST(Comm, ARankThatComputesForThreeDeadlinesIsNotReported) {
  run_local_ranks(3, kHasty, [](Communicator& world) {
    if (world.rank() == 1) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1000);
      volatile double x = 1;
      while (std::chrono::steady_clock::now() < end) x = x * 1.0000001;
    }
    world.barrier();
  });
}

TEST(Comm, RanksThatWaitForEachOtherAreReported) {
  const std::string told = failure_of(2, kHasty, [](Communicator& world) {
    std::int32_t out = 1, in = 0;
    static_cast<void>(out);
    world.broadcast(std::as_writable_bytes(std::span(&in, 1)), 1 - world.rank());
  });
  EXPECT_NE(told.find("ranks that wait for each other"), std::string::npos) << told;
}

TEST(Comm, ARankThatHasLeftIsReported) {
  const std::string told = failure_of(2, kHasty, [](Communicator& world) {
    if (world.rank() == 0) world.barrier();
  });
  EXPECT_NE(told.find("left the run"), std::string::npos) << told;
}

TEST(Comm, AShardLostToAFailureDoesNotHangItsReaders) {
  for (const CommOptions& options :
       {kHasty, CommOptions{.shared_memory = false, .deadline_ms = 300}}) {
    const std::string told = failure_of(3, options, [](Communicator& world) {
      HostDevice device(1);
      const auto stream = device.make_stream();
      const std::vector<std::size_t> bytes(3, 100);
      for (int round = 0; round < 3; ++round) {
        if (world.rank() == 1 && round == 1) throw Error(ErrorCode::NonFinite, "NaN at hop 1");
        world.publishable(*stream, bytes);
        const auto epoch = world.publish(*stream);
        for (int hop = 0; hop < 3; ++hop) epoch->shard(hop);
      }
    });
    EXPECT_EQ(told, "rank 1: NaN at hop 1");
  }
}

TEST(Comm, MpiIsThereOrSaysWhyNot) {
  if (const auto why = mpi_refusal()) {
    EXPECT_NE(why->find("MPI"), std::string::npos);
    EXPECT_THROW(make_mpi({}), Error);
  }
}

}  // namespace
}  // namespace annulus
