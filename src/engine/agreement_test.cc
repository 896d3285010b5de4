#include "engine/agreement.h"

#include <gtest/gtest.h>

#include <fstream>

#include "engine/test_ranks.h"

namespace annulus {
namespace {

class AgreementOfEngines : public OnCpu {};

/// The error that each rank gets when `config_of(rank)` differ.
std::vector<std::string> errors_of(int ranks, ErrorCode code,
                                   const std::function<EngineConfig(int)>& config_of) {
  std::vector<std::string> errors(static_cast<std::size_t>(ranks));
  run_local_ranks(ranks, {}, [&](Communicator& world) {
    try {
      EngineConfig config = config_of(world.rank());
      config.threads = 1;
      const Engine engine(config, &world);
      ADD_FAILURE() << "rank " << world.rank() << " found nothing wrong";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      errors[static_cast<std::size_t>(world.rank())] = error.what();
    }
  });
  return errors;
}

void all_say(const std::vector<std::string>& errors, const std::vector<std::string>& parts) {
  for (const std::string& error : errors) {
    EXPECT_EQ(error, errors.front());
    for (const std::string& part : parts)
      EXPECT_NE(error.find(part), std::string::npos) << error << "\nlacks " << part;
  }
}

EngineConfig storybook(const ParallelPlan& plan) {
  return {.checkpoint = kStorybook, .dtype = DType::F32, .plan = plan};
}

TEST(Agreement, AnotherVersionOnOneRankIsNamedOnAll) {
  all_say(errors_of(3, ErrorCode::PeerFailure,
                    [](int rank) {
                      EngineConfig config = storybook({.ring = 3});
                      if (rank == 2) config.version = "0.0.7";
                      return config;
                    }),
          {"version", "0.0.7 on rank 2", "on rank 0"});
}

TEST(Agreement, AnotherArgumentOnOneRankIsNamedOnAll) {
  all_say(errors_of(2, ErrorCode::PeerFailure,
                    [](int rank) {
                      EngineConfig config = storybook({.ring = 2});
                      if (rank == 1) config.dtype = DType::BF16;
                      return config;
                    }),
          {"arguments", "dtype f32", "dtype bf16", "rank 1"});
}

TEST(Agreement, AnotherBackendOnOneRankIsNamedWithItsLayer) {
  all_say(errors_of(2, ErrorCode::PeerFailure,
                    [](int rank) {
                      EngineConfig config = storybook({.ring = 2});
                      if (rank == 1) config.component_attention = {{"text_encoder", "math"}};
                      return config;
                    }),
          {"text_encoder by math", "rank 1"});
}

TEST_F(AgreementOfEngines, ARefusalOfOneRankIsEveryRanksError) {
  all_say(errors_of(3, ErrorCode::NotFound,
                    [](int rank) {
                      EngineConfig config = storybook({.ring = 3});
                      if (rank == 1) config.checkpoint = "/proc/no such model";
                      return config;
                    }),
          {"rank 1: ", "no such model"});
}

TEST_F(AgreementOfEngines, ARefusalOfAllRanksHasNoRank) {
  all_say(errors_of(2, ErrorCode::Unsupported,
                    [](int) {
                      EngineConfig config = storybook({.ring = 2});
                      config.attention_backend = "onednn";
                      return config;
                    }),
          {"transformer_blocks.0", "onednn"});
}

TEST_F(AgreementOfEngines, OneByteOfAWeightFileThatDiffersIsNamedWithTheFile) {
  const std::filesystem::path copy =
      std::filesystem::path(testing::TempDir()) / "annulus-other-weights";
  std::filesystem::remove_all(copy);
  std::filesystem::copy(kTiny, copy, std::filesystem::copy_options::recursive);
  const std::filesystem::path file = copy / "transformer" / "diffusion_pytorch_model.safetensors";
  ASSERT_TRUE(std::filesystem::exists(file));
  {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(-1, std::ios::end);
    stream.put('\x11');
  }
  all_say(errors_of(2, ErrorCode::PeerFailure,
                    [&](int rank) {
                      EngineConfig config = {.checkpoint = rank == 0 ? kTiny : copy,
                                             .plan = {.ring = 2}};
                      return config;
                    }),
          {"transformer/diffusion_pytorch_model.safetensors", "rank 1"});
  std::filesystem::remove_all(copy);
}

TEST(Agreement, AnErrorSurvivesItsWayThroughAnAbort) {
  const Error original(ErrorCode::NonFinite, "denoise: wanted finite numbers", "use f32");
  const Error heard = quoted_error(Error(ErrorCode::PeerFailure, failure_text(3, original)));
  EXPECT_EQ(heard.code(), ErrorCode::NonFinite);
  EXPECT_STREQ(heard.what(), "rank 3: denoise: wanted finite numbers");
  EXPECT_EQ(heard.hint(), "use f32");
}

TEST(Agreement, AFailureThatNobodyQuotedStaysAsItIs) {
  const Error heard = quoted_error(Error(ErrorCode::PeerFailure, "rank 2: gone"));
  EXPECT_EQ(heard.code(), ErrorCode::PeerFailure);
  EXPECT_STREQ(heard.what(), "rank 2: gone");
}

}  // namespace
}  // namespace annulus
