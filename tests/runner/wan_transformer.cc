#include "components.h"
#include "models/wan/latents.h"
#include "models/wan/transformer.h"
#include "nn/transfer.h"
#include "tensor/copy.h"
#include "wan.h"

namespace annulus::goldens {
namespace {

using namespace wan;

/// The case's timesteps as runs of frames: [runs], and for each run a value per entry.
struct Runs {
  std::vector<std::int64_t> frames;
  std::vector<double> timesteps;  // [runs, batch]
};

Runs runs_of_case(const GoldenCase& golden, Workbench& bench, const VideoGrid& grid,
                  std::int64_t batch) {
  const Tensor stored = golden.input("timestep", bench.host());
  std::vector<double> values(static_cast<std::size_t>(stored.elements()));
  const Tensor wide = bench.widened(stored);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = stored.dtype() == DType::F32 ? wide.data<double>()[i]
                                             : static_cast<double>(wide.data<std::int64_t>()[i]);
  if (stored.shape().rank() == 1) return {{grid.frames}, values};
  Runs runs;  // one per row of patches; they must be the same within a frame
  for (std::int64_t frame = 0; frame < grid.frames; ++frame) {
    runs.frames.push_back(1);
    for (std::int64_t entry = 0; entry < batch; ++entry)
      runs.timesteps.push_back(
          values[static_cast<std::size_t>(entry * grid.rows() + frame * grid.frame_rows())]);
  }
  return runs;
}

/// A value per timestep [runs * batch, n] -> per row as the reference has it, [batch, rows, n], or
/// [batch, n] where all rows share one.
Tensor as_stored(const Context& ctx, const Tensor& x, const Runs& runs, const VideoGrid& grid,
                 std::int64_t batch) {
  if (runs.frames.size() == 1) return x;
  Tensor out = Tensor::empty({batch, grid.rows(), x.shape()[1]}, x.dtype(), ctx.device);
  for (std::int64_t frame = 0; frame < grid.frames; ++frame) {
    Tensor to = out.slice(1, frame * grid.frame_rows(), (frame + 1) * grid.frame_rows());
    copy(ctx.stream, x.slice(0, frame * batch, (frame + 1) * batch).unsqueeze(1).expand(to.shape()),
         to);
  }
  return out;
}

/// Cosines (0) or sines (1) of [1, rows, pairs, 2], each twice: [rows, head_dim].
Tensor twice(const Context& ctx, const Tensor& freqs, int which) {
  const Shape& s = freqs.shape();
  const Tensor one = freqs.slice(3, which, which + 1).expand({1, s[1], s[2], 2});
  return contiguous(ctx.stream, one).reshape({s[1], 2 * s[2]});
}

}  // namespace

Tensor on_device(const GoldenCase& golden, Workbench& bench, std::string_view name) {
  const Context& ctx = bench.context();
  const Tensor x = golden.input(name, bench.host());
  return to_device(ctx,
                   std::span<const float>(x.data<float>(), static_cast<std::size_t>(x.elements())),
                   x.shape(), ctx.wide);
}

void run_wan_transformer(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Checkpoint checkpoint = Checkpoint::open(golden.model_folder());
  const Transformer model = load_component(bench, checkpoint, "transformer", load_transformer);
  const Context& ctx = bench.context();
  const Tensor latents = on_device(golden, bench, "hidden_states");
  const Shape& s = latents.shape();
  const PatchSize& patch = model.config.patch_size;
  const VideoGrid grid = {s[2] / patch[0], s[3] / patch[1], s[4] / patch[2]};
  const Runs runs = runs_of_case(golden, bench, grid, s[0]);
  const Tap tap = [&](std::string_view name, const Tensor& value) {
    if (name == "rope") {
      comparison.add("rope.cos", twice(ctx, value, 0));
      comparison.add("rope.sin", twice(ctx, value, 1));
    } else if (name == "patch_embedding") {
      comparison.add(
          name, value.reshape({s[0], grid.frames, grid.height, grid.width, model.config.hidden()})
                    .permute({0, 4, 1, 2, 3}));
    } else if (golden.has_output(name)) {
      const bool timed = name == "temb" || name == "timestep_proj";
      comparison.add(name, timed ? as_stored(ctx, value, runs, grid, s[0]) : value);
    }
  };
  const Tensor image = golden.has_input("encoder_hidden_states_image")
                           ? on_device(golden, bench, "encoder_hidden_states_image")
                           : Tensor();
  const Prompt prompt =
      prepare_prompt(ctx, model, on_device(golden, bench, "encoder_hidden_states"), image, tap);
  const Placed video = place_video(ctx, model, grid, runs.frames);
  const Tensor rows = packed(ctx, latents, patch);
  const Tensor out =
      forward(ctx, model, prompt, video, {.latents = rows, .timesteps = runs.timesteps}, {}, tap);
  comparison.add("out", unpacked(ctx, out, patch, {s[2], s[3], s[4]}));
}

}  // namespace annulus::goldens
