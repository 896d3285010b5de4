#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "models/encoders/qwen2_5_vl/config.h"
#include "models/encoders/qwen2_5_vl/image_grid.h"
#include "nn/context.h"

namespace annulus::qwen2_5_vl {

/// Where tokens stand along time, height and width: per axis [batch, seq], row-major.
struct Positions {
  std::int64_t batch = 0, seq = 0;
  std::array<std::vector<std::int64_t>, 3> axes;
};

/// 0, 1, 2, ... in every row, on all axes.
Positions line_positions(std::int64_t batch, std::int64_t seq);

/// Text counts up on all axes alike. The merged patches of a picture spread from where the text has
/// come to, one step of time per frame; the text goes on past the picture's longer side. Padding
/// stands at 0.
///
///   ids      [batch, seq], row-major; tokens of pictures are `image_token_id`
///   lengths  [batch] real tokens of each row
///   images   [batch] the pictures of each row
///   merge    edge of a merged patch in patches (spatial_merge_size)
///
/// Throws InvalidRequest when a row's image tokens are not those of its pictures. Source:
/// get_rope_index of transformers' Qwen2_5_VLModel.
Positions grid_positions(std::span<const std::int32_t> ids, std::span<const std::int64_t> lengths,
                         std::span<const std::span<const ImageGrid>> images, std::int64_t merge,
                         std::int32_t image_token_id);

/// Cosines and sines for those positions, [batch, seq, head_dim / 2, 2], wide dtype. Each pair of a
/// head turns by one axis, as mrope_section says.
Tensor rope_freqs(const Context& ctx, const TextConfig& text, const Positions& positions);

/// theta^(-2 i / dim) for i below dim / 2, rounded to f32 at each step as the reference does: at
/// large positions the angles feel it.
std::vector<float> inverse_frequencies(double theta, std::int64_t dim);

}  // namespace annulus::qwen2_5_vl
