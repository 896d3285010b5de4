#include "models/wan/completion.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace annulus::wan {

namespace {

// Limits far above use, low enough that no count of bytes or operations overflows.
constexpr std::int64_t kMostSide = 8192, kMostPixels = std::int64_t{16} << 20;
constexpr std::int64_t kFramesPerLatent = 4;
constexpr std::size_t kMostVideos = 64, kMostPictures = 2;
constexpr int kMostSteps = 10000, kTextRows = 512;
constexpr float kMostScale = 1000;

[[noreturn]] void refuse(const std::string& what, std::string hint = {}) {
  throw Error(ErrorCode::InvalidRequest, what, std::move(hint));
}

std::int64_t number(const Json& json, std::string_view key, std::int64_t fallback,
                    std::int64_t most) {
  const auto value = json.get<std::int64_t>(key, fallback);
  if (value < 1 || value > most) json[key].fail(text_of("a whole number in 1 ... ", most));
  return value;
}

/// Pixels between two sizes that the model can make, along height and width.
std::array<std::int64_t, 2> size_units(const Components& c) {
  const std::int64_t ratio = c.vae.config.spatial_ratio();
  const auto& patch = c.transformer.config.patch_size;
  return {ratio * patch[1], ratio * patch[2]};
}

void check_size(const Components& c, const Request& request) {
  const std::int64_t width = request.width, height = request.height;
  const auto [rows, columns] = size_units(c);
  const std::int64_t most = c.transformer.config.rope_max_seq_len;
  const std::int64_t most_width = std::min(kMostSide, most * columns),
                     most_height = std::min(kMostSide, most * rows);
  if (width >= 1 && height >= 1 && width <= most_width && height <= most_height &&
      width * height <= kMostPixels && width % columns == 0 && height % rows == 0)
    return;
  const auto near = [](std::int64_t pixels, std::int64_t unit, std::int64_t limit, bool up) {
    const std::int64_t inside = std::clamp<std::int64_t>(pixels, unit, limit / unit * unit);
    return (up ? inside + unit - 1 : inside) / unit * unit;
  };
  const auto size = [&](bool up) {
    return text_of(near(width, columns, most_width, up), "x", near(height, rows, most_height, up));
  };
  const std::string what =
      text_of("size: wanted a width that is a multiple of ", columns, " and a height of ", rows,
              ", at most ", most_width, "x", most_height, " and together at most ", kMostPixels,
              " pixels, found ", width, "x", height);
  if (near(width, columns, most_width, false) * near(height, rows, most_height, false) >
      kMostPixels)
    refuse(what);
  refuse(what, text_of("nearest sizes: ", size(false),
                       size(true) != size(false) ? " and " + size(true) : std::string()));
}

void check_frames(const Components& c, const Request& request) {
  const std::int64_t most = (c.transformer.config.rope_max_seq_len - 1) * kFramesPerLatent + 1;
  const std::int64_t frames = request.frames;
  if (frames >= 1 && frames <= most && frames % kFramesPerLatent == 1) return;
  const std::int64_t inside = std::clamp<std::int64_t>(frames, 1, most);
  const std::int64_t below = (inside - 1) / kFramesPerLatent * kFramesPerLatent + 1;
  refuse(text_of("frames: wanted one more than a multiple of ", kFramesPerLatent, ", at most ",
                 most, ", found ", frames),
         below == inside ? text_of("nearest: ", below)
                         : text_of("nearest: ", below, " and ", below + kFramesPerLatent));
}

void complete_prompts(const Defaults& defaults, Request& request) {
  const std::size_t batch = request.prompts.size();
  require(batch >= 1 && batch <= kMostVideos, ErrorCode::InvalidRequest, "prompts: wanted 1 ... ",
          kMostVideos, " in a batch, found ", batch);
  std::vector<std::string>& negative = request.negative_prompts;
  require(negative.size() <= 1 || negative.size() == batch, ErrorCode::InvalidRequest,
          "negative prompts: wanted one, or one for each of ", batch, " prompts, found ",
          negative.size());
  if (*request.true_cfg_scale > 1) {
    if (negative.empty()) negative.push_back(defaults.negative_prompt);
    negative.resize(batch, std::string(negative.front()));
  }
  std::vector<std::uint64_t>& seeds = request.seeds;
  require(seeds.size() <= 1 || seeds.size() == batch, ErrorCode::InvalidRequest,
          "seeds: wanted one, or one for each of ", batch, " videos, found ", seeds.size());
  if (seeds.empty()) seeds.push_back(0);
  while (seeds.size() < batch) seeds.push_back(seeds.back() + 1);
}

/// Guidance is the same thing under both names; the engine looks at one.
void complete_scales(const Components& c, const Defaults& defaults, Request& request) {
  require(!request.guidance_scale || !request.true_cfg_scale ||
              *request.guidance_scale == *request.true_cfg_scale,
          ErrorCode::InvalidRequest,
          "guidance_scale and true_cfg_scale: wanted one of them, found two that differ");
  if (!request.true_cfg_scale)
    request.true_cfg_scale = request.guidance_scale.value_or(defaults.guidance_scale);
  request.guidance_scale.reset();
  require(c.transformer_2 || !request.guidance_scale_2, ErrorCode::InvalidRequest,
          "guidance_scale_2: wanted none (the model has one transformer), found ",
          request.guidance_scale_2.value_or(0));
  if (c.transformer_2 && !request.guidance_scale_2)
    request.guidance_scale_2 = request.true_cfg_scale;
  for (const std::optional<float>& scale : {request.true_cfg_scale, request.guidance_scale_2})
    require(!scale || (std::isfinite(*scale) && *scale >= 0 && *scale <= kMostScale),
            ErrorCode::InvalidRequest, "guidance scale: wanted 0 ... ", kMostScale, ", found ",
            scale.value_or(0));
  if (request.strength)
    refuse(text_of("strength: wanted none, found ", *request.strength,
                   " (the model starts from noise alone)"));
}

/// Every row is attended to, padding too: how many there are is part of what the model sees. Longer
/// prompts are cut, as diffusers does.
void complete_text(const Components& c, Request& request) {
  if (request.max_sequence_length == 0) request.max_sequence_length = kTextRows;
  const int most = request.max_sequence_length;
  require(most >= 1 && most <= kTextRows, ErrorCode::InvalidRequest,
          "max_sequence_length: wanted 1 ... ", kTextRows, " tokens, found ", most);
  require(!c.image_encoder || most == kTextRows, ErrorCode::InvalidRequest,
          "max_sequence_length: wanted ", kTextRows, " for a model that sees a picture, found ",
          most);
}

void complete_steps(const Defaults& defaults, Request& request) {
  require(request.sigmas.empty(), ErrorCode::InvalidRequest,
          "sigmas: wanted none (the scheduler chooses them), found ", request.sigmas.size());
  if (request.steps == 0) request.steps = defaults.steps;
  require(request.steps >= 1 && request.steps <= kMostSteps, ErrorCode::InvalidRequest,
          "steps: wanted 1 ... ", kMostSteps, ", found ", request.steps);
}

void check_pictures(const Components& c, const Request& request) {
  const std::size_t found = request.images.size(), least = c.from_image ? 1 : 0;
  const bool two = c.from_image && !c.expand_timesteps;  // a first and a last one
  const std::size_t most = two ? kMostPictures : c.from_image || c.expand_timesteps ? 1 : 0;
  require(found >= least && found <= most, ErrorCode::InvalidRequest, "pictures: wanted ",
          most == 0    ? "none (the model makes videos from text)"
          : two        ? "a first frame, or a first and a last"
          : least == 0 ? "none, or a first frame"
                       : "a first frame",
          ", found ", found);
  require(found < 2 || request.frames > 1, ErrorCode::InvalidRequest,
          "frames: wanted more than 1 between a first and a last picture");
  if (c.image_encoder && c.transformer.config.pos_embed_seq_len) {
    const std::int64_t wanted =
        *c.transformer.config.pos_embed_seq_len / c.image_encoder->config.rows();
    require(static_cast<std::int64_t>(found) == wanted, ErrorCode::InvalidRequest,
            "pictures: wanted ", wanted, " for this model, found ", found);
  }
  for (const auto& image : request.images)
    require(image != nullptr && image->width > 0 && image->height > 0 &&
                image->pixels.size() == std::size_t{3} * static_cast<std::size_t>(image->width) *
                                            static_cast<std::size_t>(image->height),
            ErrorCode::InvalidRequest, "picture: wanted width x height x 3 bytes");
}

void check_latents(const Components& c, const Request& request) {
  if (!request.latents) return;
  const LatentSize size = latent_size(c, request);
  const Shape want = {request.batch(), c.vae.config.z_dim, size.frames, size.height, size.width};
  require(request.latents->shape() == want && is_floating(request.latents->dtype()),
          ErrorCode::InvalidRequest, "latents: wanted ", want, " of a floating type, found ",
          request.latents->shape(), " of ", name_of(request.latents->dtype()));
}

}  // namespace

Defaults read_defaults(const Json& json) {
  Defaults d;
  if (json.is_null()) return d;
  d.width = number(json, "width", d.width, kMostSide);
  d.height = number(json, "height", d.height, kMostSide);
  d.frames = number(json, "frames", d.frames, 1 << 20);
  d.steps = static_cast<int>(number(json, "steps", d.steps, kMostSteps));
  d.fps = json.get<double>("fps", d.fps);
  if (!(d.fps > 0 && d.fps <= 1000)) json["fps"].fail("a number above 0, at most 1000");
  const char* key = json.has("guidance_scale") ? "guidance_scale" : "true_cfg_scale";
  d.guidance_scale = json.get<float>(key, d.guidance_scale);
  if (!(d.guidance_scale >= 0 && d.guidance_scale <= kMostScale))
    json[key].fail(text_of("0 ... ", kMostScale));
  d.negative_prompt = json.get<std::string>("negative_prompt", std::string(d.negative_prompt));
  return d;
}

LatentSize latent_size(const Components& components, const Request& request) {
  const std::int64_t ratio = components.vae.config.spatial_ratio();
  return {1 + (request.frames - 1) / kFramesPerLatent, request.height / ratio,
          request.width / ratio};
}

Request complete(const Components& components, const Defaults& defaults, Request request) {
  if (request.width == 0) request.width = defaults.width;
  if (request.height == 0) request.height = defaults.height;
  if (request.frames == 0) request.frames = defaults.frames;
  if (request.fps == 0) request.fps = defaults.fps;
  require(request.fps > 0 && request.fps <= 1000, ErrorCode::InvalidRequest,
          "fps: wanted a number above 0, at most 1000, found ", request.fps);
  complete_scales(components, defaults, request);
  complete_prompts(defaults, request);
  complete_text(components, request);
  complete_steps(defaults, request);
  check_size(components, request);
  check_frames(components, request);
  check_pictures(components, request);
  check_latents(components, request);
  require(
      request.checkpoint_every == 0 && !request.start, ErrorCode::Unsupported,
      "checkpoint: wanted a model of pictures (the solver of videos remembers its steps), found "
      "a model of videos");
  require(request.preview_every >= 0, ErrorCode::InvalidRequest,
          "preview_every: wanted 0 or more steps, found ", request.preview_every);
  request.task = request.images.empty() ? Task::TextToVideo : Task::ImageToVideo;
  return request;
}

}  // namespace annulus::wan
