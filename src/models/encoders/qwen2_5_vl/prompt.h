// Prompts to conditioning with Qwen2.5-VL, as the Qwen-Image pipelines do it: what models outside
// this folder call, after load() of encoder.h and, for pictures, encode_images of images.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/chat_template.h"
#include "io/tokenizer.h"
#include "models/encoders/qwen2_5_vl/encoder.h"
#include "models/encoders/qwen2_5_vl/images.h"
#include "pipeline/conditioning.h"

namespace annulus::qwen2_5_vl {

/// The chat around a prompt (io/chat_template.h).
enum class PromptTemplate : std::uint8_t {
  TextToImage,  // drops 34 tokens; at most 1024 remain
  Edit,         // one picture before the prompt; drops 64 tokens
  EditPlus      // any number of pictures, each with its number; drops 64 tokens
};

/// Rows that TextToImage gives the transformer at most; longer prompts are cut, as diffusers does.
inline constexpr std::int64_t kMaxTextRows = kQwenImageMaxTokens;

/// Token ids of the whole chat, every picture's placeholder repeated once per merged patch; never
/// cut. Throws InvalidRequest when the number of placeholders (a prompt may contain some) is not
/// that of the pictures.
std::vector<std::int32_t> prompt_ids(const Encoder& encoder, const Tokenizer& tokenizer,
                                     PromptTemplate chat, std::string_view prompt,
                                     std::span<const ImageGrid> images = {});

/// Rows of conditioning that `prompt` needs, before any cut: for Pipeline::complete, which refuses
/// more than kMaxTextRows, and for sizes.
std::int64_t prompt_rows(const Encoder& encoder, const Tokenizer& tokenizer, PromptTemplate chat,
                         std::string_view prompt, std::span<const ImageGrid> images = {});

/// One entry per prompt, all beside the same pictures.
///
///   images     of encode_images; null where there are none
///   positions  see ImagePositions
///
/// Throws InvalidRequest as prompt_ids; NonFinite when weights or arithmetic gave NaN or Inf.
Conditioning encode_prompts(const Context& ctx, const Encoder& encoder, const Tokenizer& tokenizer,
                            PromptTemplate chat, std::span<const std::string> prompts,
                            const ImageFeatures* images = nullptr,
                            ImagePositions positions = ImagePositions::Grid);

/// Floating-point operations of encode_prompts for conditioning of those lengths: what the model
/// needs, padding not counted. encode_images has its own (vision_flop of encoder.h).
double encode_flop(const Encoder& encoder, PromptTemplate chat,
                   std::span<const std::int64_t> lengths);

}  // namespace annulus::qwen2_5_vl
