// For tests of this folder: the goldens' transformers on a platform of choice.
#pragma once

#include <filesystem>
#include <string>

#include "io/checkpoint.h"
#include "models/qwen_image/transformer.h"
#include "nn/test_context.h"

namespace annulus::qwen_image {

inline const std::filesystem::path kRepository = ANNULUS_SOURCE_DIR;
inline const std::filesystem::path kGoldens = kRepository / "tests" / "goldens";
inline const std::filesystem::path kStorybook = kRepository / "demo" / "storybook";

struct TestTransformer {
  explicit TestTransformer(const std::filesystem::path& model,
                           std::string_view platform = "reference", Communicator* world = nullptr,
                           ParallelPlan plan = {})
      : test(platform, 1, world, plan), ctx(test.context()) {
    const Checkpoint checkpoint = Checkpoint::open(model);
    transformer = load_transformer(checkpoint.weights("transformer", ctx.device),
                                   checkpoint.config("transformer"),
                                   test.attention().for_component("transformer"), ctx.dtype);
  }

  /// Random text of these lengths in `txt_seq` rows; rows past a length are not zero, so that one
  /// which is looked at is felt.
  Conditioning text(std::vector<std::int64_t> lengths, std::int64_t txt_seq) {
    const auto batch = static_cast<std::int64_t>(lengths.size());
    return {test.random({batch, txt_seq, transformer.config.joint_attention_dim}),
            std::move(lengths)};
  }

  Tensor latents(std::int64_t batch, std::int64_t rows) {
    return test.random({batch, rows, transformer.config.in_channels});
  }

  TestContext test;
  Context ctx;
  Transformer transformer;
};

}  // namespace annulus::qwen_image
