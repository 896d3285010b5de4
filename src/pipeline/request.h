// What a user asks for and what comes back. Start with pipeline.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/image.h"
#include "tensor/tensor.h"

namespace annulus {

enum class Task { TextToImage, ImageEdit, TextToVideo, ImageToVideo };

/// Where a run that was interrupted goes on.
struct Start {
  int steps = 0;   // that were taken
  Tensor latents;  // after them, [batch, rows, channels], packed as the reference pipeline does
};

/// One denoising run: a batch of pictures (or videos) made together. Fields left empty are filled
/// by Pipeline::complete.
struct Request {
  Task task = Task::TextToImage;
  std::vector<std::string> prompts;  // one picture or video each
  std::vector<std::string>
      negative_prompts;              // as many as prompts, or one for all, or none: the default
  std::vector<std::uint64_t> seeds;  // one per picture; picture i is drawn from its own generator
  std::vector<std::shared_ptr<const Image>>
      images;                             // condition pictures, the same for every prompt
  std::int64_t width = 0, height = 0;     // pixels; 0: the default
  std::int64_t frames = 0;                // of a video; 0: the default, 1 for pictures
  double fps = 0;                         // frames per second, for players; 0: the default
  int steps = 0;                          // 0: the default
  std::optional<float> guidance_scale;    // embedded guidance, of models that have it
  std::optional<float> true_cfg_scale;    // above 1: a second pass with the negative prompt
  std::optional<float> guidance_scale_2;  // of the second expert, where a model has two
  std::optional<float> strength;          // of start pictures
  int max_sequence_length =
      0;  // tokens of a prompt; 0: the default. Qwen-Image refuses more, Wan cuts
  std::optional<Tensor> latents;  // start noise, packed as the reference pipeline passes it
  std::vector<float> sigmas;      // custom; empty: the scheduler's
  enum class VaeTiling { Auto, On, Off } vae_tiling = VaeTiling::Auto;
  int preview_every = 0;     // steps; 0: never
  int checkpoint_every = 0;  // likewise
  std::optional<Start> start;

  int batch() const noexcept { return static_cast<int>(prompts.size()); }
};

/// Seconds and floating-point operations per stage.
struct StageCosts {
  double encode_seconds = 0, denoise_seconds = 0, decode_seconds = 0;
  std::vector<double> step_seconds;
  double encode_flop = 0, denoise_flop = 0,
         decode_flop = 0;  // what the model needs, from shapes; zero padding not counted
};

struct Result {
  std::vector<Image> images;  // a video's frames one after the other, unless Progress took them
  std::int64_t frames = 1;    // of each video
  Tensor latents;             // final, packed as the reference pipeline passes them; f32
  StageCosts costs;
};

}  // namespace annulus
