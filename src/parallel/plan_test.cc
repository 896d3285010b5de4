#include "parallel/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/error.h"
#include "parallel/mesh.h"
#include "parallel/sequence.h"
#include "parallel/shard.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

std::string failure_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::string(error.what()) + " | " + error.hint();
  }
  return "no error";
}

TEST(Plan, ADegreeThatIsNotGivenIsWhatRemainsRingBeforeUlysses) {
  EXPECT_EQ(resolve_plan({}), (ParallelPlan{1, 1, 1}));
  EXPECT_EQ(resolve_plan({.ranks = 4}), (ParallelPlan{.cfg = 1, .ulysses = 1, .ring = 4}));
  EXPECT_EQ(resolve_plan({.ranks = 4, .ulysses = 2}), (ParallelPlan{1, 2, 2}));
  EXPECT_EQ(resolve_plan({.ranks = 6, .ring = 3}), (ParallelPlan{1, 2, 3}));
  EXPECT_EQ(resolve_plan({.ranks = 8, .ulysses = 2, .cfg = true}), (ParallelPlan{2, 2, 2}));
  EXPECT_EQ(resolve_plan({.ring = 3, .ulysses = 2}), (ParallelPlan{1, 2, 3}));
}

TEST(Plan, AProductThatDiffersFromTheRanksIsAnError) {
  EXPECT_EQ(failure_of([] { resolve_plan({.ranks = 4, .ring = 3, .ulysses = 1}); }),
            "parallel plan: wanted degrees whose product is 4 ranks, found cfg 1 x ring 3 x "
            "ulysses 1 | ");
  EXPECT_EQ(failure_of([] { resolve_plan({.ranks = 5, .cfg = true}); }),
            "parallel plan: wanted degrees whose product is 5 ranks, found cfg 2 x ring 1 x "
            "ulysses 1 | ");
  EXPECT_EQ(failure_of([] { resolve_plan({.ring = 0}); }),
            "--ring-degree: wanted at least 1, found 0 | ");
}

TEST(Plan, UlyssesThatDoesNotDivideTheHeadsNamesTheDegreesThatWork) {
  EXPECT_EQ(failure_of([] { check_ulysses("transformer", 24, 5); }),
            "ulysses: wanted a degree that divides the 24 heads of transformer, found 5 | degrees "
            "that divide 24 heads: 1, 2, 3, 4, 6, 8, 12, 24; --ring-degree has no such need");
  EXPECT_NO_THROW(check_ulysses("transformer", 24, 8));
}

TEST(Mesh, GroupsHoldEachRankOnceAndUlyssesIsContiguous) {
  for (const ParallelPlan plan :
       {ParallelPlan{2, 2, 2}, ParallelPlan{1, 4, 2}, ParallelPlan{2, 1, 3}, ParallelPlan{1, 1, 1}})
    for (int rank = 0; rank < plan.ranks(); ++rank) {
      const MeshRanks mine = mesh_ranks(plan, rank);
      EXPECT_EQ(mine.cfg.size(), static_cast<std::size_t>(plan.cfg));
      EXPECT_EQ(mine.ring.size(), static_cast<std::size_t>(plan.ring));
      EXPECT_EQ(mine.ulysses.size(), static_cast<std::size_t>(plan.ulysses));
      for (const auto* group : {&mine.cfg, &mine.ring, &mine.ulysses, &mine.sequence}) {
        EXPECT_EQ(std::count(group->begin(), group->end(), rank), 1);
        EXPECT_TRUE(std::is_sorted(group->begin(), group->end()));
      }
      EXPECT_EQ(mine.ulysses.back() - mine.ulysses.front(), plan.ulysses - 1);
      for (const int other : mine.ring) EXPECT_EQ(mesh_ranks(plan, other).ring, mine.ring);
    }
}

TEST(Mesh, GroupsOfAWorldAreThoseOfTheLists) {
  for (const ParallelPlan plan :
       {ParallelPlan{2, 2, 2}, ParallelPlan{1, 2, 3}, ParallelPlan{2, 1, 2}})
    run_local_ranks(plan.ranks(), {}, [&](Communicator& world) {
      const Mesh mesh(world, plan);
      const MeshRanks lists = mesh_ranks(plan, world.rank());
      const int me = world.rank();
      for (const auto& [group, list] : {std::pair{&mesh.cfg(), &lists.cfg},
                                        {&mesh.ring(), &lists.ring},
                                        {&mesh.ulysses(), &lists.ulysses},
                                        {&mesh.sequence(), &lists.sequence}}) {
        const auto all = group->all_gather(std::as_bytes(std::span(&me, 1)));
        ASSERT_EQ(all.size(), list->size());
        for (std::size_t i = 0; i < all.size(); ++i)
          EXPECT_EQ(*reinterpret_cast<const int*>(all[i].data()), (*list)[i]);
      }
    });
}

TEST(Mesh, APlanForOtherRanksIsRefused) {
  const auto world = make_single_rank();
  EXPECT_EQ(failure_of([&] { Mesh(*world, {.ring = 2}); }),
            "parallel plan: wanted degrees whose product is 1 ranks, found cfg 1 x ring 2 x "
            "ulysses 1 | ");
}

TEST(Sequence, EveryRowLiesOnOneRankAndReplicatedOnesOnAll) {
  for (const Deal deal : {Deal::Runs, Deal::ZigZag})
    for (int ranks = 1; ranks <= 9; ++ranks) {
      const Sequence s{.segments = {{.rows = 31}, {.rows = 4, .replicated = true}, {.rows = 2}},
                       .deal = deal};
      std::map<std::int64_t, int> held;
      for (int rank = 0; rank < ranks; ++rank) {
        std::int64_t at = 0;
        for (const RowRun& run : runs_of(s, ranks, rank)) {
          EXPECT_EQ(run.at, at);
          EXPECT_GT(run.rows, 0);
          at += run.rows;
          for (std::int64_t i = 0; i < run.rows; ++i) ++held[run.position + i];
        }
      }
      ASSERT_EQ(held.size(), 37u);
      for (const auto& [position, count] : held)
        EXPECT_EQ(count, position >= 31 && position < 35 ? ranks : 1);
    }
}

TEST(Sequence, ZigZagGivesEqualCausalWork) {
  const Sequence s{.segments = {{.rows = 4096}}, .deal = Deal::ZigZag};
  std::set<std::int64_t> work;  // visible keys of a rank's queries
  for (int rank = 0; rank < 8; ++rank) {
    std::int64_t sum = 0;
    for (const RowRun& run : runs_of(s, 8, rank))
      for (std::int64_t i = 0; i < run.rows; ++i) sum += run.position + i + 1;
    work.insert(sum);
  }
  EXPECT_EQ(work.size(), 1u);
}

TEST(Sequence, AGroupHoldsWhatItsRanksHold) {
  for (const Deal deal : {Deal::Runs, Deal::ZigZag}) {
    const Sequence s{.segments = {{.rows = 50}, {.rows = 3, .replicated = true}, {.rows = 11}},
                     .deal = deal};
    for (int ring = 0; ring < 3; ++ring) {
      std::set<std::int64_t> ranks, group;
      const auto rows = [](const std::vector<RowRun>& runs, std::set<std::int64_t>& to) {
        for (const RowRun& run : runs)
          for (std::int64_t i = 0; i < run.rows; ++i) to.insert(run.position + i);
      };
      for (int u = 0; u < 2; ++u) rows(runs_of(s, 6, ring * 2 + u), ranks);
      const std::vector<RowRun> together = group_runs(s, 3, 2, ring);
      rows(together, group);
      EXPECT_EQ(ranks, group);
      EXPECT_EQ(rows_of(together), static_cast<std::int64_t>(group.size()));
    }
  }
}

TEST(Shard, GatherUndoesShardAlongAnyAxis) {
  for (int ranks = 1; ranks <= 5; ++ranks)
    run_local_ranks(ranks, {}, [](Communicator& world) {
      HostDevice device(1);
      const auto stream = device.make_stream();
      Workspace workspace(device);
      const Mesh mesh(world, {.ulysses = 1, .ring = world.size()});
      const Lane lane{device, *stream, workspace, mesh};
      for (const Deal deal : {Deal::Runs, Deal::ZigZag})
        for (const int axis : {0, 1, 2}) {
          const Sequence s{.segments = {{.rows = 7}, {.rows = 2, .replicated = true}, {.rows = 1}},
                           .deal = deal};
          Tensor whole = Tensor::empty(Shape{3, 2, 4}.with(axis, 10), DType::F32, device);
          for (std::int64_t i = 0; i < whole.elements(); ++i)
            whole.data<float>()[i] = static_cast<float>(i);
          const Tensor part = shard(lane, whole, axis, s);
          EXPECT_EQ(part.shape()[axis], rows_of(runs_of(s, world.size(), world.rank())));
          const Tensor back = gather(lane, part, axis, s);
          ASSERT_EQ(back.shape(), whole.shape());
          for (std::int64_t i = 0; i < whole.elements(); ++i)
            EXPECT_EQ(back.data<float>()[i], static_cast<float>(i));
        }
    });
}

}  // namespace
}  // namespace annulus
