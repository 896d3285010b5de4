#pragma once

#include <cstdint>

namespace annulus::qwen2_5_vl {

/// A picture's patches: frames, height and width counted in patches, before merging.
struct ImageGrid {
  std::int64_t frames = 1, height = 0, width = 0;
  std::int64_t patches() const noexcept { return frames * height * width; }
  bool operator==(const ImageGrid&) const = default;
};

}  // namespace annulus::qwen2_5_vl
