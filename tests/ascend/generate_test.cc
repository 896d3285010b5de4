// The demo model through the whole engine on an emulated NPU.
#include <cmath>

#include "engine/engine.h"
#include "platform/ascend/emulator.h"

namespace annulus::ascend {
namespace {

const std::filesystem::path kStorybook =
    std::filesystem::path(ANNULUS_SOURCE_DIR) / "demo/storybook";

Request request() {
  return {.prompts = {"a red house and a green tree on a sunny day", "a cat"},
          .seeds = {3, 4},
          .width = 64,
          .height = 48,
          .steps = 3};
}

// Mean absolute difference of two pictures, 0 to 255.
double mean_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  double sum = 0;
  for (std::size_t i = 0; i < std::min(a.pixels.size(), b.pixels.size()); ++i)
    sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
  return sum / static_cast<double>(a.pixels.size());
}

TEST(AscendGenerate, ThePicturesAreTheCpusButForRounding) {
  Engine cpu({.checkpoint = kStorybook, .platform = "cpu", .threads = 1, .dtype = DType::F32});
  const Result wanted = cpu.run(request(), {});
  const std::pair<const char*, DType> runs[] = {
      {"Ascend910B3", DType::BF16}, {"Ascend950PR_9599", DType::F16}, {"Ascend310P3", DType::F16}};
  for (const auto& [soc, dtype] : runs) {
    const Emulator emulator({{"FAKE_CANN_SOC", soc}, {"FAKE_CANN_DELAY_US", "0"}});
    Engine npu({.checkpoint = kStorybook, .platform = "ascend", .dtype = dtype});
    const Result found = npu.run(request(), {});
    for (std::size_t i = 0; i < wanted.images.size(); ++i)
      EXPECT_LE(mean_difference(found.images[i], wanted.images[i]), 3) << soc;
  }
}

// One wait a step is the check for finite numbers; nothing else comes back to the host.
TEST(AscendGenerate, AStepMakesNoHiddenRoundTripToTheHost) {
  const Emulator emulator({{"FAKE_CANN_DELAY_US", "0"}});
  Engine npu({.checkpoint = kStorybook, .platform = "ascend", .dtype = DType::BF16});
  const auto& device = dynamic_cast<const AscendDevice&>(npu.device());
  std::vector<std::uint64_t> trips;
  npu.run(request(), {.report = [&](std::string_view stage, int, int) {
            if (stage == "denoise") trips.push_back(device.traffic().to_host);
          }});
  ASSERT_GE(trips.size(), 3u);
  for (std::size_t i = 1; i < trips.size(); ++i) EXPECT_LE(trips[i] - trips[i - 1], 1u);
}

// What a device reports late ends the run with its words, and leaves nothing behind.
TEST(AscendGenerate, AFaultOfTheDeviceEndsTheRun) {
  const Emulator emulator({{"FAKE_CANN_FAIL", "task:900"}, {"FAKE_CANN_DELAY_US", "0"}});
  try {
    Engine npu({.checkpoint = kStorybook, .platform = "ascend", .dtype = DType::BF16});
    npu.run(request(), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::DeviceFailure);
    EXPECT_NE(std::string(error.what()).find("injected device fault"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace annulus::ascend
