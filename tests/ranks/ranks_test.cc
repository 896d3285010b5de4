// mpirun -n 3 annulus_ranks_test [in_place | by_messages | shaped] [GoogleTest's options]: every
// rank runs every test; output is rank 0's, and that of a rank that finds something wrong.
#include <gtest/gtest.h>

#include <cstdio>
#include <string_view>

#include "comm/comm_laws.h"
#include "comm/shaped.h"
#include "parallel/attend_table.h"

namespace annulus {
namespace {

Communicator* the_world = nullptr;  // MPI has but one, and GoogleTest hands tests no arguments

TEST(Ranks, CollectivesOfUnevenSizesEqualTheirDefinition) {
  collectives_law(*the_world);
}

TEST(Ranks, ShardsArriveOnEveryRank) {
  shards_law(*the_world);
}

TEST(Ranks, SplitGroupsByColourAndOrdersByKey) {
  split_law(*the_world);
}

TEST(Ranks, RandomAttentionOverEveryPlanEqualsOneRank) {
  random_attend_laws(*the_world, static_cast<std::uint64_t>(the_world->size()) * 555000, 30);
}

TEST(Ranks, EveryCaseOfTheTableEqualsOneRank) {
  for (const auto law : {uneven_law, replicated_text_law, segments_law, masks_law, causal_law,
                         window_law, lengths_law, packed_law, grouped_heads_law, cache_law})
    law(*the_world);
}

}  // namespace
}  // namespace annulus

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (const auto why = annulus::mpi_refusal()) {
    std::printf("skipped: %s\n", why->c_str());
    return 0;
  }
  const std::string_view way = argc < 2 ? "in_place" : argv[1];
  const annulus::CommOptions options = {.shared_memory = way == "in_place", .deadline_ms = 20000};
  const auto world = way == "shaped" ? annulus::make_shaped_mpi(
                                           {.latency_seconds = 5e-3, .bytes_per_second = 125e6},
                                           std::make_shared<annulus::VirtualClock>(), options)
                                     : annulus::make_mpi(options);
  annulus::the_world = world.get();
  if (world->rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
  }
  const int status = RUN_ALL_TESTS();
  if (status != 0 && world->rank() != 0)
    std::printf("rank %d of %d: tests failed\n", world->rank(), world->size());
  return status;
}
