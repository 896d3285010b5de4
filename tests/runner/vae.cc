// Kind "vae": pixels to moments, latents to pixels; of one picture, a video, in tiles.
#include "models/vaes/qwen_image/vae.h"

#include "components.h"
#include "kinds.h"
#include "nn/transfer.h"
#include "tensor/copy.h"

namespace annulus::goldens {
namespace {

using namespace qwen_image;

/// [batch, channels, frames, height, width] of a file -> channels last, on the device.
Tensor channels_last(const Context& ctx, const Tensor& x) {
  const Tensor moved = contiguous(ctx.stream, x.permute({0, 2, 3, 4, 1}));
  return to_device(
      ctx, std::span<const float>(moved.data<float>(), static_cast<std::size_t>(moved.elements())),
      moved.shape(), ctx.wide);
}

Tensor channels_second(Workbench& bench, const HostTensor& x) {
  return contiguous(bench.host_stream(),
                    bench.host_tensor(x.values, x.shape).permute({0, 4, 1, 2, 3}));
}

}  // namespace

void run_vae(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Checkpoint checkpoint = Checkpoint::open(golden.model_folder());
  if (checkpoint.component("vae").class_name != "AutoencoderKLWan")
    require_class(checkpoint, "vae", "AutoencoderKLQwenImage");
  const Vae vae = load_component(bench, checkpoint, "vae", load_vae);
  const Context& ctx = bench.context();

  std::optional<Tiling> tiling;
  if (const std::optional<Json> sizes = golden.json().find("tiling")) {
    const auto n = sizes->as<std::vector<std::int64_t>>();
    if (n.size() != 4) sizes->fail("height and width of a tile, then of its stride");
    tiling = {n[0], n[1], n[2], n[3]};
  }
  if (golden.has_input("pixels")) {
    const Tensor pixels = channels_last(ctx, golden.input("pixels", bench.host()));
    const Tensor moments = channels_second(bench, encode(ctx, vae, pixels, tiling));
    comparison.add("moments", moments);
    comparison.add("mean", moments.slice(1, 0, vae.config.z_dim));
  }
  if (golden.has_input("latents")) {
    const Tensor latents = channels_last(ctx, golden.input("latents", bench.host()));
    Progress progress;
    progress.tap = [&](std::string_view name, const Tensor& value) {
      // Wan's cases name the last values by what their class does next.
      const std::string_view other = name == "dec.pre_clamp" ? "dec.pre_unpatchify_clamp" : name;
      for (const std::string_view stored : {name, other})
        if (golden.has_output(stored)) {
          comparison.add(stored, value.permute({0, 4, 1, 2, 3}));
          break;
        }
    };
    const HostTensor pixels = decode(ctx, vae, latents, tiling, progress);
    comparison.add("decoded", channels_second(bench, pixels));
  }
}

}  // namespace annulus::goldens
