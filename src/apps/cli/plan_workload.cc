#include <sstream>

#include "apps/cli/default_model.h"
#include "apps/cli/plan.h"
#include "io/checkpoint.h"
#include "models/qwen_image/completion.h"
#include "models/qwen_image/pipeline.h"
#include "models/qwen_image/transformer_config.h"

namespace annulus::cli {

namespace {

constexpr std::string_view kReleased = "qwen-image";
constexpr std::int64_t kUsualText = 128, kUsualSide = 1024;
constexpr std::int64_t kLatent = 8;  // pixels along each side of a latent, in every released VAE

struct Model {
  std::string name;
  qwen_image::TransformerConfig config;
  qwen_image::Defaults defaults;
  DType weights = DType::BF16;
  double weight_bytes = 0;
};

// What a row costs in one block, beside attention: q, k, v, out (4) and the MLP (8), hidden x
// hidden each; modulation of both branches comes once.
double square(const qwen_image::TransformerConfig& config) {
  const auto hidden = static_cast<double>(config.hidden());
  return hidden * hidden;
}

Model released() {
  Model model{.name = "Qwen-Image as released, by its sizes"};
  model.weight_bytes = 2.0 * model.config.num_layers * 2 * (12 + 6) * square(model.config);
  return model;
}

Model read_model(const std::filesystem::path& folder) {
  const Checkpoint checkpoint = Checkpoint::open(folder);
  require(qwen_image::recognises(checkpoint), ErrorCode::Unsupported,
          "plan: wanted a Qwen-Image pipeline, or --tokens, --heads and --head-dim, found ",
          checkpoint.pipeline_class(), " (", folder.string(), ")");
  Model model{.name = checkpoint.pipeline_class()};
  model.config = qwen_image::read_transformer_config(checkpoint.config("transformer"));
  model.weights = checkpoint.weights_dtype("transformer");
  model.weight_bytes =
      static_cast<double>(checkpoint.weight_files("transformer").statistics().bytes);
  const std::filesystem::path own = folder / "annulus.json";
  if (std::filesystem::exists(own))
    model.defaults = qwen_image::read_defaults(
        Json::read(own, ErrorCode::CorruptFile).get<Json>("defaults", Json{}));
  return model;
}

Model the_model(const PlanOptions& options) {
  if (options.model == kReleased && !std::filesystem::exists(options.model)) return released();
  const bool usual = options.model.empty() || (options.model == kDefaultModelName &&
                                               !std::filesystem::exists(options.model));
  return read_model(usual ? default_model() : options.model);
}

DType compute_dtype(const PlanOptions& options, const Platform& platform, DType weights) {
  const DType dtype = options.dtype.value_or(platform.default_dtype(weights));
  require(platform.supports(dtype), ErrorCode::Unsupported, "--dtype: wanted one that ",
          platform.name(), " computes in, found ", name_of(dtype));
  return dtype;
}

PlannedWork work_of_model(const PlanOptions& options, const Platform& platform) {
  const Model model = the_model(options);
  const qwen_image::TransformerConfig& config = model.config;
  const std::int64_t unit = kLatent * config.patch_size;
  const std::int64_t width = options.width.value_or(model.defaults.width.value_or(kUsualSide)),
                     height = options.height.value_or(model.defaults.height.value_or(kUsualSide));
  require(width % unit == 0 && height % unit == 0, ErrorCode::InvalidRequest,
          "--size: wanted multiples of ", unit, " pixels, found ", width, "x", height);
  const std::int64_t tokens = width / unit * (height / unit),
                     text = options.text_tokens.value_or(kUsualText);
  const DType dtype = compute_dtype(options, platform, model.weights);
  const auto hidden = static_cast<double>(config.hidden()),
             bytes = static_cast<double>(size_of(dtype)),
             wide = static_cast<double>(size_of(platform.wide_dtype()));
  const double scale = options.true_cfg_scale.value_or(model.defaults.true_cfg_scale);
  PlannedWork planned;
  planned.dtype = dtype;
  planned.work = {
      .batch = options.batch,
      .heads = config.num_attention_heads,
      .kv_heads = config.num_attention_heads,
      .head_dim = config.attention_head_dim,
      .unit = size_of(dtype),
      .keys = {.segments = {{.rows = tokens}, {.rows = text}}},
      .layers = config.num_layers,
      .steps = options.steps.value_or(model.defaults.steps),
      .branches = scale > 1 ? 2 : 1,
      .row_flop = 2 * 12 * square(config),
      .layer_flop = 2 * 2 * 6 * square(config) * static_cast<double>(options.batch),
      // The residual stream; in the MLP also its input, the 4 x hidden between, and its result.
      .row_bytes = hidden * wide,
      .row_bytes_elsewhere = hidden * (wide + 6 * bytes),
      .row_result = static_cast<double>(config.packed_out()) * wide,
      .weight_bytes = model.weight_bytes};
  planned.title = text_of(model.name, ", ", width, "x", height, " pixels: ", tokens, " + ", text,
                          " tokens, ", config.num_attention_heads, " heads x ",
                          config.attention_head_dim, ", ", config.num_layers, " layers, ",
                          planned.work.steps, planned.work.steps == 1 ? " step" : " steps",
                          scale > 1 ? ", guidance" : "", ", ", name_of(dtype));
  return planned;
}

PlannedWork any_work(const PlanOptions& options, const Platform& platform) {
  PlannedWork planned;
  planned.dtype = compute_dtype(options, platform, DType::F32);
  const std::int64_t text = options.text_tokens.value_or(0);
  planned.work = {.batch = options.batch,
                  .heads = *options.heads,
                  .kv_heads = options.kv_heads.value_or(*options.heads),
                  .head_dim = *options.head_dim,
                  .unit = size_of(planned.dtype),
                  .keys = {.segments = {{.rows = *options.tokens}}},
                  .causal = options.causal ? Causal::BottomRight : Causal::No,
                  .layers = options.layers.value_or(1),
                  .steps = options.steps.value_or(1),
                  .branches = options.true_cfg_scale.value_or(1) > 1 ? 2 : 1};
  if (text > 0) planned.work.keys.segments.push_back({.rows = text});
  if (options.causal && !options.queries) planned.work.keys.deal = Deal::ZigZag;
  if (options.queries) planned.work.queries = Sequence{.segments = {{.rows = *options.queries}}};
  std::ostringstream title;
  title << "attention: ";
  if (options.queries) title << *options.queries << " queries over ";
  title << *options.tokens;
  if (text > 0) title << " + " << text;
  title << " tokens, " << planned.work.heads << " heads";
  if (planned.work.kv_heads != planned.work.heads) title << " (" << planned.work.kv_heads << " kv)";
  title << " x " << planned.work.head_dim << ", " << planned.work.layers
        << (planned.work.layers == 1 ? " layer" : " layers") << (options.causal ? ", causal" : "")
        << ", " << name_of(planned.dtype);
  planned.title = title.str();
  return planned;
}

}  // namespace

PlannedWork planned_work(const PlanOptions& options, const Platform& platform) {
  return options.tokens ? any_work(options, platform) : work_of_model(options, platform);
}

}  // namespace annulus::cli
