#include "models/qwen_image/completion.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace annulus::qwen_image {

namespace {

// Limits far above use, low enough that no count of bytes or operations overflows.
constexpr std::int64_t kMostSide = 16384, kMostPixels = std::int64_t{64} << 20;
constexpr std::size_t kMostPictures = 256;
constexpr int kMostSteps = 10000;
constexpr float kMostScale = 1000;

[[noreturn]] void refuse(const std::string& what, std::string hint = {}) {
  throw Error(ErrorCode::InvalidRequest, what, std::move(hint));
}

std::int64_t side(const Json& json, std::string_view key, std::int64_t fallback) {
  const auto value = json.get<std::int64_t>(key, fallback);
  if (value < 1 || value > kMostSide) json[key].fail(text_of("pixels in 1 ... ", kMostSide));
  return value;
}

void check_size(const Request& request, std::int64_t unit) {
  const std::int64_t width = request.width, height = request.height;
  if (width >= 1 && height >= 1 && width <= kMostSide && height <= kMostSide &&
      width * height <= kMostPixels && width % unit == 0 && height % unit == 0)
    return;
  const auto near = [&](std::int64_t pixels, bool up) {
    const std::int64_t inside = std::clamp<std::int64_t>(pixels, unit, kMostSide);
    return (up ? inside + unit - 1 : inside) / unit * unit;
  };
  const std::string what =
      text_of("size: wanted sides that are multiples of ", unit, ", at most ", kMostSide,
              " and together at most ", kMostPixels, " pixels, found ", width, "x", height);
  const std::int64_t least = near(width, false), most = near(width, true);
  if (least * near(height, false) > kMostPixels) refuse(what);
  std::string hint = text_of("nearest sizes: ", least, "x", near(height, false));
  if (most * near(height, true) <= kMostPixels &&
      (most != least || near(height, true) != near(height, false)))
    hint += text_of(" and ", most, "x", near(height, true));
  refuse(what, hint);
}

void complete_prompts(const Defaults& defaults, Request& request) {
  const std::size_t batch = request.prompts.size();
  require(batch >= 1 && batch <= kMostPictures, ErrorCode::InvalidRequest, "prompts: wanted 1 ... ",
          kMostPictures, " in a batch, found ", batch);
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
          "seeds: wanted one, or one for each of ", batch, " pictures, found ", seeds.size());
  if (seeds.empty()) seeds.push_back(0);
  while (seeds.size() < batch) seeds.push_back(seeds.back() + 1);
}

void complete_steps(const Defaults& defaults, Request& request) {
  if (!request.sigmas.empty()) {
    const auto count = static_cast<std::int64_t>(request.sigmas.size());
    require(request.steps == 0 || request.steps == count, ErrorCode::InvalidRequest,
            "steps: wanted as many as sigmas, ", count, ", found ", request.steps);
    require(count <= kMostSteps, ErrorCode::InvalidRequest, "sigmas: wanted at most ", kMostSteps,
            ", found ", count);
    for (const float sigma : request.sigmas)
      require(sigma > 0 && sigma <= 1, ErrorCode::InvalidRequest,
              "sigmas: wanted levels above 0 and at most 1, found ", sigma);
    request.steps = static_cast<int>(count);
  }
  if (request.steps == 0) request.steps = defaults.steps;
  require(request.steps >= 1 && request.steps <= kMostSteps, ErrorCode::InvalidRequest,
          "steps: wanted 1 ... ", kMostSteps, ", found ", request.steps);
}

void check_scales(const Request& request) {
  const float scale = *request.true_cfg_scale;
  require(std::isfinite(scale) && scale >= 0 && scale <= kMostScale, ErrorCode::InvalidRequest,
          "true_cfg_scale: wanted 0 ... ", kMostScale, ", found ", scale);
  if (request.guidance_scale)
    refuse(text_of("guidance_scale: wanted none, found ", *request.guidance_scale,
                   " (the model was not distilled for it)"),
           "use true_cfg_scale");
  if (request.strength)
    refuse(text_of("strength: wanted none, found ", *request.strength,
                   " (the model starts from noise alone)"));
}

void check_latents(const Components& components, const Request& request, const Tensor& latents) {
  const std::int64_t unit = size_unit(components);
  const Shape want = {static_cast<std::int64_t>(request.prompts.size()),
                      request.height / unit * (request.width / unit),
                      components.transformer.config.in_channels};
  require(latents.shape() == want && is_floating(latents.dtype()), ErrorCode::InvalidRequest,
          "latents: wanted ", want, " of a floating type, found ", latents.shape(), " of ",
          name_of(latents.dtype()));
}

void check_start(const Request& request) {
  require(request.checkpoint_every >= 0, ErrorCode::InvalidRequest,
          "checkpoint_every: wanted 0 or more steps, found ", request.checkpoint_every);
  if (!request.start) return;
  require(request.start->steps >= 1 && request.start->steps < request.steps,
          ErrorCode::InvalidRequest, "start: wanted 1 ... ", request.steps - 1,
          " steps that were taken, found ", request.start->steps);
}

}  // namespace

Defaults read_defaults(const Json& json) {
  Defaults d;
  if (json.is_null()) return d;
  constexpr std::array<std::string_view, 5> kKeys = {"width", "height", "steps", "true_cfg_scale",
                                                     "negative_prompt"};
  for (const auto& [key, value] : json.members())
    if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end())
      json.fail("width, height, steps, true_cfg_scale and negative_prompt",
                text_of("\"", key, "\""));
  if (json.has("width")) d.width = side(json, "width", 0);
  if (json.has("height")) d.height = side(json, "height", 0);
  d.steps = json.get<int>("steps", d.steps);
  if (d.steps < 1 || d.steps > kMostSteps) json["steps"].fail(text_of("1 ... ", kMostSteps));
  d.true_cfg_scale = json.get<float>("true_cfg_scale", d.true_cfg_scale);
  if (!(d.true_cfg_scale >= 0 && d.true_cfg_scale <= kMostScale))
    json["true_cfg_scale"].fail(text_of("0 ... ", kMostScale));
  d.negative_prompt = json.get<std::string>("negative_prompt", d.negative_prompt);
  return d;
}

std::int64_t size_unit(const Components& components) {
  return components.vae.config.spatial_ratio() * components.transformer.config.patch_size;
}

Request complete_common(const Components& components, const Defaults& defaults,
                        PictureSize fallback, int max_sequence_length, Request request) {
  if (request.width == 0) request.width = defaults.width.value_or(fallback.width);
  if (request.height == 0) request.height = defaults.height.value_or(fallback.height);
  if (!request.true_cfg_scale) request.true_cfg_scale = defaults.true_cfg_scale;
  check_scales(request);
  if (request.max_sequence_length == 0) request.max_sequence_length = max_sequence_length;
  require(
      request.max_sequence_length >= 1 && request.max_sequence_length <= qwen2_5_vl::kMaxTextRows,
      ErrorCode::InvalidRequest, "max_sequence_length: wanted 1 ... ", qwen2_5_vl::kMaxTextRows,
      " tokens, found ", request.max_sequence_length);
  require(request.frames <= 1, ErrorCode::InvalidRequest,
          "frames: wanted 1 (the model makes pictures), found ", request.frames);
  request.frames = 1;
  complete_prompts(defaults, request);
  complete_steps(defaults, request);
  check_size(request, size_unit(components));
  if (request.latents) check_latents(components, request, *request.latents);
  check_start(request);
  if (request.start) check_latents(components, request, request.start->latents);
  require(request.preview_every >= 0, ErrorCode::InvalidRequest,
          "preview_every: wanted 0 or more steps, found ", request.preview_every);
  return request;
}

void check_prompts(const Components& components, qwen2_5_vl::PromptTemplate chat,
                   std::span<const qwen2_5_vl::ImageGrid> images, const Request& request) {
  std::int64_t picture_rows = 0;
  for (const qwen2_5_vl::ImageGrid& grid : images)
    picture_rows += grid.patches() / components.text_encoder.config.vision->merge_unit();
  const auto check = [&](const std::vector<std::string>& prompts, const char* what) {
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const std::int64_t rows =
          qwen2_5_vl::prompt_rows(components.text_encoder, *components.tokenizer, chat, prompts[i],
                                  images) -
          picture_rows;
      if (rows > request.max_sequence_length)
        refuse(text_of(what, " ", i + 1, ": wanted at most ", request.max_sequence_length,
                       " tokens, found ", rows),
               text_of("--max-sequence-length allows up to ", qwen2_5_vl::kMaxTextRows));
    }
  };
  check(request.prompts, "prompt");
  if (*request.true_cfg_scale > 1) check(request.negative_prompts, "negative prompt");
}

}  // namespace annulus::qwen_image
