#include "models/wan/components.h"

namespace annulus::wan {

namespace {

constexpr std::int64_t kMaskChannels = 4;  // beside a picture's latents: a flag per frame of pixels

/// Classes are named in model_index.json; another one would be read with the wrong names.
void require_class(const Checkpoint& checkpoint, std::string_view component,
                   std::string_view wanted) {
  const std::string& found = checkpoint.component(component).class_name;
  require(found == wanted, ErrorCode::Unsupported, component, ": wanted class ", wanted, ", found ",
          found, " (", (checkpoint.folder() / "model_index.json").string(), ")");
}

Transformer load_checked_transformer(const Checkpoint& checkpoint, const LoadOptions& options,
                                     const Context& ctx, const char* component,
                                     std::shared_ptr<const LoraSet> adapters,
                                     std::vector<std::string>& unmatched) {
  // The causal one has the same weights under the same names.
  if (checkpoint.component(component).class_name != "CausalWanTransformer3DModel")
    require_class(checkpoint, component, "WanTransformer3DModel");
  const WeightScope w = checkpoint.weights(component, ctx.device, std::move(adapters));
  Transformer model = load_transformer(w, checkpoint.config(component),
                                       options.attention.for_component(component), ctx.dtype);
  w.check_all_used();
  unmatched = w.unmatched_lora();
  return model;
}

/// Of components whose attention sees whole sequences on every rank: no ring, so no need of LSE.
AttentionSelection whole(const LoadOptions& options, const char* component) {
  AttentionSelection selection = options.attention.for_component(component);
  selection.ring = false;
  return selection;
}

qwen_image::Vae load_checked_vae(const Checkpoint& checkpoint, const LoadOptions& options,
                                 const Context& ctx) {
  require_class(checkpoint, "vae", "AutoencoderKLWan");
  const WeightScope w = checkpoint.weights("vae", ctx.device);
  qwen_image::Vae vae =
      qwen_image::load_vae(w, checkpoint.config("vae"), whole(options, "vae"), ctx.dtype);
  w.check_all_used();
  return vae;
}

/// Channels beside the latents in the transformer's input.
std::int64_t condition_channels(const Components& c) {
  return c.from_image && !c.expand_timesteps ? c.vae.config.z_dim + kMaskChannels : 0;
}

/// The parts were made for each other.
void check_fit(const Checkpoint& checkpoint, const Components& c) {
  const auto fits = [&](std::string_view what, std::int64_t found, std::int64_t wanted) {
    require(found == wanted, ErrorCode::CorruptFile, what, ": wanted ", wanted, ", found ", found,
            " (", checkpoint.folder().string(), ")");
  };
  const auto transformer_fits = [&](const Transformer& model, const std::string& name) {
    const TransformerConfig& t = model.config;
    fits(name + " in_channels for the autoencoder", t.in_channels,
         c.vae.config.z_dim + condition_channels(c));
    fits(name + " out_channels for the autoencoder", t.out_channels, c.vae.config.z_dim);
    fits(name + " text_dim for the text encoder", t.text_dim, c.text_encoder.config.d_model);
    if (t.image_dim)
      fits(name + " image_dim for the image encoder", *t.image_dim,
           c.image_encoder ? c.image_encoder->config.hidden_size : 0);
    require(!t.image_dim || c.from_image, ErrorCode::Unsupported, name,
            ": wanted a pipeline from a picture for image_dim, found ",
            checkpoint.pipeline_class());
  };
  transformer_fits(c.transformer, "transformer");
  if (c.transformer_2) {
    transformer_fits(*c.transformer_2, "transformer_2");
    require(c.transformer_2->config.patch_size == c.transformer.config.patch_size,
            ErrorCode::CorruptFile, "transformer_2: wanted the first one's patch_size (",
            checkpoint.folder().string(), ")");
  }
  fits("vae pixel channels", c.vae.config.pixel_channels(), 3);
  require(c.tokenizer->vocabulary_size() <= c.text_encoder.config.vocab_size,
          ErrorCode::CorruptFile, "text_encoder vocab_size: wanted at least the tokenizer's ",
          c.tokenizer->vocabulary_size(), ", found ", c.text_encoder.config.vocab_size, " (",
          checkpoint.folder().string(), ")");
  std::int64_t halvings = 0;
  for (const bool temporal : c.vae.config.temperal_downsample) halvings += temporal ? 1 : 0;
  fits("vae frames per latent", std::int64_t{1} << halvings, 4);
}

}  // namespace

Components load_components(const Checkpoint& checkpoint, const LoadOptions& options) {
  const Context text_ctx = options.context_of("text_encoder"),
                image_ctx = options.context_of("image_encoder"),
                transformer_ctx = options.context_of("transformer"),
                vae_ctx = options.context_of("vae");
  require_class(checkpoint, "text_encoder", "UMT5EncoderModel");
  std::vector<std::string> unmatched, none;
  Components c = {
      .text_ctx = text_ctx,
      .image_ctx = image_ctx,
      .transformer_ctx = transformer_ctx,
      .vae_ctx = vae_ctx,
      .tokenizer = load_tokenizer(checkpoint.component("tokenizer").folder),
      .text_encoder = umt5::load(checkpoint.weights("text_encoder", text_ctx.device),
                                 checkpoint.config("text_encoder"), whole(options, "text_encoder"),
                                 text_ctx.dtype),
      .image_encoder = std::nullopt,
      .image_processor = std::nullopt,
      .transformer = load_checked_transformer(checkpoint, options, transformer_ctx, "transformer",
                                              options.adapters, unmatched),
      .transformer_2 = std::nullopt,
      .vae = load_checked_vae(checkpoint, options, vae_ctx),
      .scheduler_config = checkpoint.config("scheduler"),
      .boundary_ratio = std::nullopt,
      .expand_timesteps = checkpoint.index().get<bool>("expand_timesteps", false),
      .from_image = checkpoint.pipeline_class() == "WanImageToVideoPipeline",
      .unmatched_adapters = {},
  };
  c.unmatched_adapters = std::move(unmatched);
  if (const std::optional<Json> ratio = checkpoint.index().find("boundary_ratio")) {
    c.boundary_ratio = ratio->as<double>();
    if (!(*c.boundary_ratio >= 0 && *c.boundary_ratio <= 1)) ratio->fail("a number from 0 to 1");
    require(checkpoint.has_component("transformer_2"), ErrorCode::CorruptFile,
            "transformer_2: wanted a second expert beside boundary_ratio, found none (",
            (checkpoint.folder() / "model_index.json").string(), ")");
    c.transformer_2 = load_checked_transformer(checkpoint, options, transformer_ctx,
                                               "transformer_2", nullptr, none);
  }
  if (c.transformer.config.image_dim) {
    require_class(checkpoint, "image_encoder", "CLIPVisionModel");
    c.image_encoder = clip_vision::load(checkpoint.weights("image_encoder", image_ctx.device),
                                        checkpoint.config("image_encoder"),
                                        whole(options, "image_encoder"), image_ctx.dtype);
    c.image_processor = clip_vision::read_image_processor(checkpoint.config("image_processor"));
  }
  check_fit(checkpoint, c);
  require(!load_scheduler(c.scheduler_config)->needs_noise(), ErrorCode::Unsupported,
          "scheduler: wanted one that adds no noise, found stochastic_sampling (",
          checkpoint.component("scheduler").folder.string(), ")");
  return c;
}

std::vector<ComponentAttention> attention_of(const Components& components) {
  std::vector<ComponentAttention> list;
  const auto add_transformer = [&](const char* component, const Transformer& model) {
    for (std::size_t i = 0; i < model.blocks.size(); ++i) {
      list.push_back({component, text_of("blocks.", i, ".attn1"), model.blocks[i].attn1.attention});
      list.push_back({component, text_of("blocks.", i, ".attn2"), model.blocks[i].attn2.attention});
    }
  };
  for (std::size_t i = 0; i < components.text_encoder.blocks.size(); ++i)
    list.push_back(
        {"text_encoder", text_of("block.", i), components.text_encoder.blocks[i].attention});
  if (components.image_encoder)
    for (std::size_t i = 0; i < components.image_encoder->layers.size(); ++i)
      list.push_back(
          {"image_encoder", text_of("layers.", i), components.image_encoder->layers[i].attention});
  add_transformer("transformer", components.transformer);
  if (components.transformer_2) add_transformer("transformer_2", *components.transformer_2);
  const qwen_image::Vae& vae = components.vae;
  for (std::size_t i = 0; i < vae.encoder.down_blocks.size(); ++i)
    if (const auto* block = std::get_if<qwen_image::AttentionBlock>(&vae.encoder.down_blocks[i]))
      list.push_back({"vae", text_of("encoder.down_blocks.", i), block->attention});
  list.push_back({"vae", "encoder.mid_block", vae.encoder.mid_block.attention.attention});
  list.push_back({"vae", "decoder.mid_block", vae.decoder.mid_block.attention.attention});
  return list;
}

}  // namespace annulus::wan
