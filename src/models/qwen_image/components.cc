#include "models/qwen_image/components.h"

namespace annulus::qwen_image {

namespace {

constexpr std::int64_t kPatch = 2;  // latents per side of a patch, in packing

/// Classes are named in model_index.json; another one would be read with the wrong names.
void require_class(const Checkpoint& checkpoint, std::string_view component,
                   std::string_view wanted) {
  const std::string& found = checkpoint.component(component).class_name;
  require(found == wanted, ErrorCode::Unsupported, component, ": wanted class ", wanted, ", found ",
          found, " (", (checkpoint.folder() / "model_index.json").string(), ")");
}

Transformer load_checked_transformer(const Checkpoint& checkpoint, const LoadOptions& options,
                                     const Context& ctx, std::vector<std::string>& unmatched) {
  require_class(checkpoint, "transformer", "QwenImageTransformer2DModel");
  const WeightScope w = checkpoint.weights("transformer", ctx.device, options.adapters);
  Transformer model = load_transformer(w, checkpoint.config("transformer"),
                                       options.attention.for_component("transformer"), ctx.dtype);
  w.check_all_used();
  unmatched = w.unmatched_lora();
  const auto refuse = [&](bool set, const char* option) {
    require(!set, ErrorCode::Unsupported, "transformer: wanted ", option, " = false, found true (",
            checkpoint.component("transformer").folder.string(), ")");
  };
  refuse(model.config.guidance_embeds,
         "guidance_embeds");  // diffusers has no weights for it either
  refuse(model.config.use_additional_t_cond, "use_additional_t_cond");  // Qwen-Image-Layered
  refuse(model.config.use_layer3d_rope, "use_layer3d_rope");            // likewise
  return model;
}

/// Of components whose attention sees whole sequences on every rank: no ring, so no need of LSE.
AttentionSelection whole(const LoadOptions& options, const char* component) {
  AttentionSelection selection = options.attention.for_component(component);
  selection.ring = false;
  return selection;
}

Vae load_checked_vae(const Checkpoint& checkpoint, const LoadOptions& options, const Context& ctx) {
  require_class(checkpoint, "vae", "AutoencoderKLQwenImage");
  const WeightScope w = checkpoint.weights("vae", ctx.device);
  Vae vae = load_vae(w, checkpoint.config("vae"), whole(options, "vae"), ctx.dtype);
  w.check_all_used();
  return vae;
}

/// The parts were made for each other.
void check_fit(const Checkpoint& checkpoint, const Components& c) {
  const TransformerConfig& t = c.transformer.config;
  const auto fits = [&](std::string_view what, std::int64_t found, std::int64_t wanted) {
    require(found == wanted, ErrorCode::CorruptFile, what, ": wanted ", wanted, ", found ", found,
            " (", checkpoint.folder().string(), ")");
  };
  fits("transformer patch_size", t.patch_size, kPatch);
  fits("transformer in_channels for the autoencoder", t.in_channels,
       kPatch * kPatch * c.vae.config.z_dim);
  fits("transformer out_channels for the autoencoder", t.out_channels, c.vae.config.z_dim);
  fits("transformer joint_attention_dim for the text encoder", t.joint_attention_dim,
       c.text_encoder.config.text.hidden_size);
  fits("vae input_channels", c.vae.config.input_channels, 3);
}

}  // namespace

Components load_components(const Checkpoint& checkpoint, const LoadOptions& options, bool edits) {
  const Context text_ctx = options.context_of("text_encoder"),
                transformer_ctx = options.context_of("transformer"),
                vae_ctx = options.context_of("vae");
  require_class(checkpoint, "text_encoder", "Qwen2_5_VLForConditionalGeneration");
  std::vector<std::string> unmatched;
  Components c = {
      .text_ctx = text_ctx,
      .transformer_ctx = transformer_ctx,
      .vae_ctx = vae_ctx,
      .tokenizer = load_tokenizer(checkpoint.component("tokenizer").folder),
      .text_encoder = qwen2_5_vl::load(checkpoint.weights("text_encoder", text_ctx.device),
                                       checkpoint.config("text_encoder"),
                                       whole(options, "text_encoder"), text_ctx.dtype),
      .image_processor = std::nullopt,
      .transformer = load_checked_transformer(checkpoint, options, transformer_ctx, unmatched),
      .vae = load_checked_vae(checkpoint, options, vae_ctx),
      .scheduler_config = checkpoint.config("scheduler"),
      .unmatched_adapters = {},
  };
  c.unmatched_adapters = std::move(unmatched);
  if (edits) {
    require(c.text_encoder.visual.has_value(), ErrorCode::CorruptFile,
            "text_encoder: wanted a vision tower, found none (", checkpoint.folder().string(), ")");
    c.image_processor = qwen2_5_vl::read_image_processor(checkpoint.config("processor"));
  }
  check_fit(checkpoint, c);
  require(!load_scheduler(c.scheduler_config)->needs_noise(), ErrorCode::Unsupported,
          "scheduler: wanted one that adds no noise, found stochastic_sampling (",
          checkpoint.component("scheduler").folder.string(), ")");
  return c;
}

std::vector<ComponentAttention> attention_of(const Components& components) {
  std::vector<ComponentAttention> list;
  const auto add = [&](const char* component, const std::string& layer,
                       const AttentionChoice& choice, bool shared = false) {
    list.push_back({component, layer, choice, shared});
  };
  const auto& language = components.text_encoder.language.layers;
  for (std::size_t i = 0; i < language.size(); ++i)
    add("text_encoder", text_of("layers.", i), language[i].attention);
  if (components.text_encoder.visual && components.image_processor) {
    const auto& vision = components.text_encoder.visual->blocks;
    for (std::size_t i = 0; i < vision.size(); ++i)
      add("text_encoder", text_of("visual.blocks.", i), vision[i].attention);
  }
  for (std::size_t i = 0; i < components.transformer.blocks.size(); ++i)
    add("transformer", text_of("transformer_blocks.", i),
        components.transformer.blocks[i].attention, true);
  for (std::size_t i = 0; i < components.vae.encoder.down_blocks.size(); ++i)
    if (const auto* block = std::get_if<AttentionBlock>(&components.vae.encoder.down_blocks[i]))
      add("vae", text_of("encoder.down_blocks.", i), block->attention);
  add("vae", "encoder.mid_block", components.vae.encoder.mid_block.attention.attention);
  add("vae", "decoder.mid_block", components.vae.decoder.mid_block.attention.attention);
  return list;
}

}  // namespace annulus::qwen_image
