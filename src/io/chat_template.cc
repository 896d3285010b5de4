#include "io/chat_template.h"

#include <algorithm>

#include "base/error.h"

namespace annulus {
namespace {

constexpr std::string_view kDescribeSystem =
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, "
    "quantity, text, spatial "
    "relationships of the objects and background:<|im_end|>\n";
constexpr std::string_view kEditSystem =
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, "
    "texture, objects, background), "
    "then explain how the user's text instruction should alter or modify the image. Generate a new "
    "image that meets the "
    "user's requirements while maintaining consistency with the original input where "
    "appropriate.<|im_end|>\n";
constexpr std::string_view kUser = "<|im_start|>user\n";
constexpr std::string_view kAnswer = "<|im_end|>\n<|im_start|>assistant\n";
constexpr std::string_view kPicture = "<|vision_start|><|image_pad|><|vision_end|>";

std::string wrap(std::string_view system, std::string_view pictures, std::string_view prompt) {
  std::string text(system);
  return text.append(kUser).append(pictures).append(prompt).append(kAnswer);
}

}  // namespace

std::string qwen_image_text(std::string_view prompt) {
  return wrap(kDescribeSystem, "", prompt);
}

std::string qwen_image_edit_text(std::string_view prompt) {
  return wrap(kEditSystem, kPicture, prompt);
}

std::string qwen_image_edit_plus_text(std::string_view prompt, int pictures) {
  std::string announced;
  for (int i = 1; i <= pictures; ++i) announced += text_of("Picture ", i, ": ", kPicture);
  return wrap(kEditSystem, announced, prompt);
}

std::vector<std::int32_t> expand_image_pads(std::span<const std::int32_t> ids,
                                            std::int32_t image_pad,
                                            std::span<const std::int64_t> tokens_of_picture) {
  const auto pads = static_cast<std::size_t>(std::count(ids.begin(), ids.end(), image_pad));
  require(pads == tokens_of_picture.size(), ErrorCode::InvalidRequest, "prompt: wanted ",
          tokens_of_picture.size(), " places for pictures (<|image_pad|>), found ", pads);
  std::vector<std::int32_t> expanded;
  std::size_t picture = 0;
  for (const std::int32_t id : ids) {
    const std::int64_t times = id == image_pad ? tokens_of_picture[picture++] : 1;
    expanded.insert(expanded.end(), static_cast<std::size_t>(std::max<std::int64_t>(times, 0)), id);
  }
  return expanded;
}

}  // namespace annulus
