#pragma once

#include <cstdint>

namespace annulus {

/// How many image tokens a model's base and largest shift belong to; names as in
/// scheduler_config.json.
struct ShiftRange {
  double base_image_seq_len = 256, max_image_seq_len = 4096;
  double base_shift = 0.5, max_shift = 1.15;
};

/// mu of a picture of `image_seq_len` tokens: on the line through the range's ends.
/// Source: calculate_shift of diffusers' FLUX and Qwen-Image pipelines.
double shift_mu(std::int64_t image_seq_len, const ShiftRange& range) noexcept;

/// mu as FLUX.2 was fitted: lines for 10 and for 200 steps, between which the steps choose;
/// pictures above 4300 tokens take the line of 200. Source: compute_empirical_mu of diffusers'
/// FLUX.2 pipeline.
double flux2_mu(std::int64_t image_seq_len, int steps) noexcept;

}  // namespace annulus
