// For tests of this folder: the goldens' encoders on a platform of choice.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/weight_scope.h"
#include "models/encoders/qwen2_5_vl/encoder.h"
#include "nn/test_context.h"

namespace annulus::qwen2_5_vl {

inline std::filesystem::path repository() {
  return ANNULUS_SOURCE_DIR;
}
inline std::filesystem::path goldens() {
  return repository() / "tests" / "goldens";
}

/// The encoder of a model's folder, loaded on a platform.
struct TestEncoder {
  explicit TestEncoder(const std::filesystem::path& folder,
                       std::string_view platform_name = "reference")
      : model(folder), test(platform_name), ctx(test.context()) {
    encoder = load(WeightScope(WeightFiles::open(model / "text_encoder"), ctx.device),
                   Json::read(model / "text_encoder" / "config.json", ErrorCode::CorruptFile),
                   test.attention().for_component("text_encoder"), ctx.dtype);
  }

  std::filesystem::path model;
  TestContext test;
  Context ctx;
  Encoder encoder;
};

/// Every platform that this machine has.
inline std::vector<std::string> platforms_here() {
  std::vector<std::string> names;
  for (const PlatformEntry& entry : platforms())
    if (!entry.probe()) names.emplace_back(entry.name);
  return names;
}

}  // namespace annulus::qwen2_5_vl
