#include "models/encoders/qwen2_5_vl/prompt.h"

#include <algorithm>

#include "base/error.h"
#include "io/chat_template.h"
#include "tensor/copy.h"

namespace annulus::qwen2_5_vl {

namespace {

/// Tokens of the template before the user's text.
std::int64_t dropped(PromptTemplate chat) noexcept {
  return chat == PromptTemplate::TextToImage ? kQwenImageDroppedTokens
                                             : kQwenImageEditDroppedTokens;
}

std::string chat_text(PromptTemplate chat, std::string_view prompt, std::size_t pictures) {
  switch (chat) {
    case PromptTemplate::Edit:
      return qwen_image_edit_text(prompt);
    case PromptTemplate::EditPlus:
      return qwen_image_edit_plus_text(prompt, static_cast<int>(pictures));
    default:
      return qwen_image_text(prompt);
  }
}

}  // namespace

std::vector<std::int32_t> prompt_ids(const Encoder& encoder, const Tokenizer& tokenizer,
                                     PromptTemplate chat, std::string_view prompt,
                                     std::span<const ImageGrid> images) {
  require(chat != PromptTemplate::Edit || images.size() == 1, ErrorCode::InvalidRequest,
          "pictures to edit: wanted one, found ", images.size());
  require(images.empty() || encoder.visual, ErrorCode::Unsupported,
          "pictures as conditions: wanted a text encoder with a vision tower, found none");
  std::vector<std::int32_t> ids = tokenizer.encode(chat_text(chat, prompt, images.size()));
  // Without pictures the placeholder is a token like any other, as in the reference.
  if (images.empty()) return ids;
  std::vector<std::int64_t> merged;  // patches per picture
  for (const ImageGrid& grid : images)
    merged.push_back(grid.patches() / encoder.config.vision->merge_unit());
  return expand_image_pads(ids, encoder.config.image_token_id, merged);
}

std::int64_t prompt_rows(const Encoder& encoder, const Tokenizer& tokenizer, PromptTemplate chat,
                         std::string_view prompt, std::span<const ImageGrid> images) {
  const std::vector<std::int32_t> ids = prompt_ids(encoder, tokenizer, chat, prompt, images);
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(ids.size()) - dropped(chat));
}

Conditioning encode_prompts(const Context& ctx, const Encoder& encoder, const Tokenizer& tokenizer,
                            PromptTemplate chat, std::span<const std::string> prompts,
                            const ImageFeatures* images, ImagePositions positions) {
  require(!prompts.empty(), ErrorCode::InvalidRequest, "prompts: wanted at least one, found none");
  const std::int64_t drop = dropped(chat);
  const std::span<const ImageGrid> grids =
      images != nullptr ? std::span<const ImageGrid>(images->grids) : std::span<const ImageGrid>();
  std::vector<std::vector<std::int32_t>> rows;
  TokenRows tokens;
  for (const std::string& prompt : prompts) {
    std::vector<std::int32_t> ids = prompt_ids(encoder, tokenizer, chat, prompt, grids);
    if (chat == PromptTemplate::TextToImage)
      ids.resize(std::min(ids.size(), static_cast<std::size_t>(drop + kMaxTextRows)));
    const auto length = static_cast<std::int64_t>(ids.size());
    require(length > drop, ErrorCode::CorruptFile, "tokenizer: wanted more than the ", drop,
            " tokens of the template's start for a prompt, found ", length);
    tokens.lengths.push_back(length);
    tokens.seq = std::max(tokens.seq, length);
    rows.push_back(std::move(ids));
  }
  tokens.batch = static_cast<std::int64_t>(rows.size());
  for (std::vector<std::int32_t>& ids : rows) {
    ids.resize(static_cast<std::size_t>(tokens.seq), 0);  // any token: padding is never seen
    tokens.ids.insert(tokens.ids.end(), ids.begin(), ids.end());
  }

  std::vector<const ImageFeatures*> of_rows;
  if (images != nullptr) of_rows.assign(rows.size(), images);
  const Tensor last = encode_tokens(ctx, encoder, tokens, of_rows, positions);
  Conditioning made;
  made.embeds = clone(ctx.stream, last.slice(1, drop, tokens.seq));
  for (std::int64_t row = 0; row < tokens.batch; ++row) {
    const std::int64_t length = tokens.lengths[static_cast<std::size_t>(row)] - drop;
    made.lengths.push_back(length);
    Tensor padding = made.embeds.select(0, row).slice(0, length, made.embeds.shape()[1]);
    if (padding.elements() > 0) ctx.device.fill(ctx.stream, padding, 0);
  }
  return made;
}

double encode_flop(const Encoder& encoder, PromptTemplate chat,
                   std::span<const std::int64_t> lengths) {
  std::vector<std::int64_t> tokens(lengths.begin(), lengths.end());
  for (std::int64_t& count : tokens) count += dropped(chat);
  return language_flop(encoder.config.text, tokens);
}

}  // namespace annulus::qwen2_5_vl
