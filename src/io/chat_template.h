// The texts that models wrap around a prompt before it is tokenised. Templates are constants here,
// not Jinja: each is fixed by the pipeline that trained or published the model, and drops a fixed
// number of its first tokens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace annulus {

/// Tokens at the start of the text whose hidden states the pipeline leaves out
/// (prompt_template_encode_start_idx), and the most tokens that may follow them
/// (tokenizer_max_length; the edit pipelines do not cut).
inline constexpr std::int64_t kQwenImageDroppedTokens = 34;
inline constexpr std::int64_t kQwenImageEditDroppedTokens = 64;
inline constexpr std::int64_t kQwenImageMaxTokens = 1024;

/// Source: QwenImagePipeline.prompt_template_encode in diffusers.
std::string qwen_image_text(std::string_view prompt);

/// For one picture. Source: QwenImageEditPipeline.prompt_template_encode.
std::string qwen_image_edit_text(std::string_view prompt);

/// For any number of pictures, each announced as "Picture N: ". Source:
/// QwenImageEditPlusPipeline._get_qwen_prompt_embeds.
std::string qwen_image_edit_plus_text(std::string_view prompt, int pictures);

/// Repeats the i-th `image_pad` of `ids` `tokens_of_picture[i]` times: a picture of grid [1, rows,
/// columns] of patches has rows x columns / merge_size^2 tokens. Source: Qwen2_5_VLProcessor.
///
/// Throws InvalidRequest when the number of image_pad in `ids` is not that of the pictures (a
/// prompt that writes the token itself).
std::vector<std::int32_t> expand_image_pads(std::span<const std::int32_t> ids,
                                            std::int32_t image_pad,
                                            std::span<const std::int64_t> tokens_of_picture);

}  // namespace annulus
