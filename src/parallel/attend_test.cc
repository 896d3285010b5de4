#include <gtest/gtest.h>

#include "parallel/attend_laws.h"

namespace annulus {
namespace {

const CommOptions kShared{.shared_memory = true, .deadline_ms = 60000};
const CommOptions kMessages{.shared_memory = false, .deadline_ms = 60000};

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

}  // namespace
}  // namespace annulus
