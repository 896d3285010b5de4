#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <thread>

#include "parallel/attend_table.h"
#include "parallel/ring.h"

namespace annulus {
namespace {

const CommOptions kShared{.shared_memory = true, .deadline_ms = 60000};
const CommOptions kMessages{.shared_memory = false, .deadline_ms = 60000};

void over_ranks(const std::function<void(Communicator&)>& law) {
  for (const int ranks : {1, 2, 3, 4, 8}) run_local_ranks(ranks, kShared, law);
  run_local_ranks(4, kMessages, law);
}

TEST(Attend, RandomProblemsOverEveryPlanEqualOneRank) {
  for (int ranks = 1; ranks <= 8; ++ranks)
    run_local_ranks(ranks, kShared, [&](Communicator& world) {
      random_attend_laws(world, static_cast<std::uint64_t>(ranks) * 100000, ranks > 4 ? 12 : 24);
    });
}

TEST(Attend, RandomProblemsByMessagesEqualOneRank) {
  for (const int ranks : {2, 3, 6})
    run_local_ranks(ranks, kMessages, [&](Communicator& world) {
      random_attend_laws(world, static_cast<std::uint64_t>(ranks) * 7000000, 16);
    });
}

TEST(Attend, RandomProblemsOnSeveralHostsEqualOneRank) {
  run_local_ranks(
      6, kShared, [](Communicator& world) { random_attend_laws(world, 31, 12); },
      std::vector<int>{0, 0, 1, 1, 1, 2});
}

// The table of what others refuse or get wrong.
TEST(Attend, RowsThatRanksDoNotDivideAndFewerRowsThanRanksEqualOneRank) {
  over_ranks(uneven_law);
}
TEST(Attend, ReplicatedTextIsAttendedOnce) {
  over_ranks(replicated_text_law);
}
TEST(Attend, SegmentsWithPaddingInsideEqualOneRank) {
  over_ranks(segments_law);
}
TEST(Attend, BooleanAndAdditiveMasksEqualOneRank) {
  over_ranks(masks_law);
}
TEST(Attend, CausalInRunsAndZigZagEqualsOneRank) {
  over_ranks(causal_law);
}
TEST(Attend, WindowsEqualOneRank) {
  over_ranks(window_law);
}
TEST(Attend, PromptsOfDifferentLengthsEqualOneRank) {
  over_ranks(lengths_law);
}
TEST(Attend, PackedSequencesEqualOneRank) {
  over_ranks(packed_law);
}
TEST(Attend, GroupedHeadsEqualOneRank) {
  over_ranks(grouped_heads_law);
}
TEST(Attend, AFewQueriesOverADealtCacheEqualOneRank) {
  over_ranks(cache_law);
}
TEST(Attend, HalfPrecisionEqualsOneRank) {
  over_ranks(dtypes_law);
}

TEST(Attend, PassingQueriesEqualsPassingKeys) {
  for (const int ranks : {2, 3, 5})
    run_local_ranks(ranks, kShared, [&](Communicator& world) {
      LawRank rank(world, {.ring = world.size()});
      const AttendCase c{.batch = 2, .keys = {.segments = {{.rows = 41}, {.rows = 9}}}};
      const WholeCase whole(rank, c);
      const Lane lane = rank.lane();
      const Tensor q = shard(lane, whole.q, 1, c.keys), k = shard(lane, whole.k, 1, c.keys),
                   v = shard(lane, whole.v, 1, c.keys);
      const RingArgs args{q, k, v, 0, {}, nullptr, true, c.keys, c.keys};
      Tensor by_keys = Tensor::empty(q.shape(), DType::F32, rank.device()),
             by_queries = Tensor::empty(q.shape(), DType::F32, rank.device());
      const AttentionBackend& backend = flash_attention(chosen_isa());
      ring_pass_keys(lane, backend, args, by_keys);
      ring_pass_queries(lane, backend, args, by_queries);
      for (std::int64_t i = 0; i < q.elements(); ++i)
        EXPECT_NEAR(by_keys.data<float>()[i], by_queries.data<float>()[i], 1e-5);
    });
}

TEST(Attend, QueriesPassWhereThatMovesLess) {
  HostDevice device(1);
  const ParallelPlan plan{.ring = 4};
  const auto moves = [&](std::int64_t queries, std::int64_t keys) {
    const Tensor q = Tensor::empty({1, queries, 4, 8}, DType::F32, device),
                 k = Tensor::empty({1, keys, 4, 8}, DType::F32, device);
    const Sequence of_q{.segments = {{.rows = queries}}}, of_k{.segments = {{.rows = keys}}};
    return moves_less_by_queries(plan, {q, k, k, 0, {}, nullptr, true, of_q, of_k});
  };
  EXPECT_TRUE(moves(10, 1000));
  EXPECT_FALSE(moves(1000, 1000));
  EXPECT_FALSE(moves(1000, 10));
}

TEST(Attend, AWholeCallCostsNoRankAnything) {
  run_local_ranks(2, {.deadline_ms = 300}, [](Communicator& world) {
    LawRank rank(world, {.ring = 2});
    if (world.rank() == 1) return;  // an encoder on rank 0 alone: nobody else takes part
    const Tensor q = Tensor::empty({1, 3, 2, 8}, DType::F32, rank.device());
    Tensor filled = q;
    rank.device().fill(rank.stream(), filled, 1);
    AttentionChoice choice;
    choice.backend = &reference_attention();
    const Tensor out = attend(rank.lane(), choice, {.q = q, .k = q, .v = q});
    EXPECT_EQ(out.data<float>()[0], 1);
  });
}

TEST(Attend, WrongRowsAreRefusedByName) {
  run_local_ranks(1, kShared, [](Communicator& world) {
    LawRank rank(world, {});
    const Tensor q = Tensor::empty({1, 3, 2, 8}, DType::F32, rank.device());
    const Sequence sequence{.segments = {{.rows = 4}}};
    AttentionChoice choice;
    choice.backend = &reference_attention();
    try {
      attend(rank.lane(), choice, {.q = q, .k = q, .v = q, .sequence = &sequence});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::InvalidRequest);
      EXPECT_NE(std::string(error.what()).find("wanted 4 rows of queries"), std::string::npos)
          << error.what();
    }
  });
}

TEST(Attend, ARankThatThrowsInTheRingEndsTheOthersNamingTheHop) {
  for (const bool shared : {true, false}) {
    std::mutex mutex;
    std::string told;
    EXPECT_THROW(run_local_ranks(3, {.shared_memory = shared, .deadline_ms = 400},
                                 [&](Communicator& world) {
                                   LawRank rank(world, {.ring = 3});
                                   const AttendCase c{.keys = {.segments = {{.rows = 30}}}};
                                   const WholeCase whole(rank, c);
                                   if (world.rank() == 1)  // stopped, as it were
                                     std::this_thread::sleep_for(std::chrono::milliseconds(2000));
                                   try {
                                     attend_ranks(rank, c, whole, reference_attention());
                                   } catch (const Error& error) {
                                     const std::lock_guard lock(mutex);
                                     told = error.what();
                                     throw;
                                   }
                                 }),
                 Error);
    EXPECT_NE(told.find("rank 1: wanted an answer within 400 ms"), std::string::npos) << told;
    EXPECT_NE(told.find("ring hop"), std::string::npos) << told;
  }
}

}  // namespace
}  // namespace annulus
