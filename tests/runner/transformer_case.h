#pragma once

#include "golden_case.h"
#include "models/qwen_image/transformer.h"
#include "workbench.h"

namespace annulus::goldens {

/// The prediction for all rows of a case's inputs: hidden_states, encoder_hidden_states and its
/// mask, timestep, img_shapes.
Tensor run_transformer_case(const GoldenCase& golden, Workbench& bench,
                            const qwen_image::Transformer& model, const Tap& tap = {});

}  // namespace annulus::goldens
