// For tests of this folder: the goldens' transformers on a platform of choice.
#pragma once

#include <filesystem>

#include "io/checkpoint.h"
#include "models/wan/transformer.h"
#include "nn/test_context.h"

namespace annulus::wan {

inline const std::filesystem::path kGoldens =
    std::filesystem::path(ANNULUS_SOURCE_DIR) / "tests" / "goldens" / "wan";

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

  /// A random prompt, and where the model wants one a random picture's rows.
  Prompt prompt(std::int64_t batch, std::int64_t txt_seq) {
    const TransformerConfig& c = transformer.config;
    const Tensor text = test.random({batch, txt_seq, c.text_dim});
    return prepare_prompt(ctx, transformer, text,
                          c.image_dim ? test.random({batch, 5, *c.image_dim}) : Tensor());
  }

  Tensor latents(std::int64_t batch, std::int64_t rows) {
    const TransformerConfig& c = transformer.config;
    return test.random({batch, rows, c.in_channels * c.patch_values()});
  }

  TestContext test;
  Context ctx;
  Transformer transformer;
};

}  // namespace annulus::wan
