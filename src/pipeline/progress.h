#pragma once

#include <functional>
#include <string_view>

#include "io/image.h"
#include "tensor/tensor.h"

namespace annulus {

/// Takes intermediate tensors by name ("prompt_embeds", "noise_pred.cond.step0", "latents.step0"):
/// for tests and debugging. Empty: nobody listens.
using Tap = std::function<void(std::string_view name, const Tensor& value)>;

/// How a run tells its caller where it is, and learns that it should stop. Empty functions are
/// fine.
struct Progress {
  /// stage "load", "encode", "denoise", "decode"; done of total units (steps, tiles).
  std::function<void(std::string_view stage, int done, int total)> report = {};
  /// Asked between steps; true ends the run with Error{Cancelled}.
  std::function<bool()> cancelled = {};
  /// A cheap rendition of picture `index` after `step` steps (Request::preview_every).
  std::function<void(int index, int step, const Image& image)> preview = {};

  /// The latents after `steps` steps, whole (Request::checkpoint_every): what Request::start takes.
  std::function<void(int steps, const Tensor& latents)> checkpoint = {};
  /// Takes frame `frame` of video `index` as soon as it is made, in order; then the result has
  /// none. Throwing ends the run.
  std::function<void(int index, std::int64_t frame, const Image& image)> frame = {};

  Tap tap = {};

  void at(std::string_view stage, int done,
          int total) const;  // reports, and throws Cancelled when asked to stop
};

}  // namespace annulus
