#include "models/qwen_image/memory.h"

#include <algorithm>

#include "models/vaes/qwen_image/cost.h"

namespace annulus::qwen_image {

namespace {

constexpr std::int64_t kWholeAtMost = 2048 * 2048;  // pixels that are decoded without tiles

}  // namespace

std::optional<Tiling> tiling_for(const Request& request) {
  const bool on = request.vae_tiling == Request::VaeTiling::On ||
                  (request.vae_tiling == Request::VaeTiling::Auto &&
                   request.width * request.height > kWholeAtMost);
  return on ? std::optional<Tiling>(Tiling{}) : std::nullopt;
}

MemoryPrediction predict(const Components& components, const Variant& variant,
                         const Request& request) {
  (void)components;
  (void)variant;
  (void)request;
  return {};
}

}  // namespace annulus::qwen_image
