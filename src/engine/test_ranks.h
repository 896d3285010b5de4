// For tests of this folder: one request on ranks that are threads.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "nn/transfer.h"
#include "platform/platform.h"

namespace annulus {

inline const std::filesystem::path kRepository = ANNULUS_SOURCE_DIR;
inline const std::filesystem::path kStorybook = kRepository / "demo" / "storybook";
inline const std::filesystem::path kTiny =
    kRepository / "tests" / "goldens" / "qwen_image" / "tiny";
inline const std::filesystem::path kTinyEdit =
    kRepository / "tests" / "goldens" / "qwen_image_edit" / "tiny_plus_2511";

/// Tests of whole requests need a platform that is fast enough: a build without oneDNN (the tsan
/// preset) has none, and looks at threads by the laws of comm and parallel.
class OnCpu : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const PlatformEntry& entry : platforms())
      if (entry.name == "cpu" && entry.probe()) GTEST_SKIP() << "cpu: " << *entry.probe();
  }
};

/// What rank 0 got.
struct Made {
  std::vector<float> latents;
  std::vector<Image> images;
};

/// One thread per rank of `config.plan`, each with an engine of one thread.
inline Made run_ranks(EngineConfig config, const Request& request, const CommOptions& options = {},
                      const Progress& progress = {}) {
  config.threads = 1;
  if (!config.dtype && config.platform != "reference") config.dtype = DType::F32;
  Made made;
  run_local_ranks(config.plan.ranks(), options, [&](Communicator& world) {
    Engine engine(config, &world);
    if (!engine.leads()) return engine.follow();
    Result result = engine.run(request, progress);
    made.latents = to_host(engine.context(), result.latents);
    made.images = std::move(result.images);
  });
  return made;
}

inline double rms(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i)
    sum += std::pow(double{a[i]} - double{b[i]}, 2);
  return a.size() == b.size() && !a.empty() ? std::sqrt(sum / static_cast<double>(a.size()))
                                            : HUGE_VAL;
}

/// The largest difference of two bytes; 256 when sizes differ.
inline int byte_difference(const std::vector<Image>& a, const std::vector<Image>& b) {
  if (a.size() != b.size() || a.empty()) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].pixels.size() != b[i].pixels.size()) return 256;
    for (std::size_t p = 0; p < a[i].pixels.size(); ++p)
      largest = std::max(largest, std::abs(int{a[i].pixels[p]} - int{b[i].pixels[p]}));
  }
  return largest;
}

}  // namespace annulus
