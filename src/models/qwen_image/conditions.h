#pragma once

#include <memory>
#include <span>
#include <vector>

#include "models/encoders/qwen2_5_vl/prompt.h"
#include "models/qwen_image/completion.h"

namespace annulus::qwen_image {

/// What distinguishes the pipelines.
struct Variant {
  std::string_view class_name;
  qwen2_5_vl::PromptTemplate chat;
  std::int64_t least_pictures = 0, most_pictures = 0;
  /// Pixels, about, that a condition picture is brought to for the autoencoder and for the text
  /// encoder; 0: the text encoder gets what the autoencoder gets.
  std::int64_t vae_area = 1024 * 1024, text_area = 0;
  qwen2_5_vl::ImagePositions positions = qwen2_5_vl::ImagePositions::Grid;
  /// Most tokens of a prompt where the request does not say. The classes of diffusers default to
  /// 512, but those that edit never cut.
  int max_sequence_length = qwen2_5_vl::kMaxTextRows;
};

/// The three classes of diffusers.
std::span<const Variant> variants() noexcept;

/// Sides that are multiples of 32, with the ratio of `picture` and about `area` pixels. Throws
/// InvalidRequest when a side would be 0. Source: calculate_dimensions of diffusers'
/// pipeline_qwenimage_edit.py.
PictureSize size_near(std::int64_t area, PictureSize picture);

/// Sizes that follow from condition pictures alone.
struct ConditionSizes {
  std::vector<PictureSize> vae;              // in pixels
  std::vector<PictureSize> text;             // likewise
  std::vector<qwen2_5_vl::ImageGrid> grids;  // patches that the text encoder sees
  std::vector<PatchGrid> patches;            // of the transformer
};
ConditionSizes condition_sizes(const Components& components, const Variant& variant,
                               const Request& request);

/// Condition pictures as the models take them.
struct Conditions {
  std::optional<qwen2_5_vl::ImageFeatures> features;  // for the text encoder
  Tensor latents;  // [1, rows of all pictures, in_channels] packed, wide; undefined: no pictures
};

/// Resizes and encodes the request's pictures. Throws NonFinite, Cancelled.
Conditions encode_conditions(const Components& components, const Variant& variant,
                             const Request& request, const std::optional<Tiling>& tiling,
                             const Progress& progress);

}  // namespace annulus::qwen_image
