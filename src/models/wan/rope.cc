#include "models/wan/rope.h"

#include <cmath>

#include "base/error.h"

namespace annulus::wan {

namespace {

constexpr double kTheta = 10000;

/// Radians per position of each pair of `channels` channels.
std::vector<double> frequencies(std::int64_t channels) {
  std::vector<double> made;
  for (std::int64_t i = 0; i < channels; i += 2)
    made.push_back(1 / std::pow(kTheta, static_cast<double>(i) / static_cast<double>(channels)));
  return made;
}

void append(std::vector<double>& angles, std::int64_t position,
            const std::vector<double>& frequencies) {
  for (const double frequency : frequencies)
    angles.push_back(static_cast<double>(position) * frequency);
}

}  // namespace

std::vector<double> video_angles(const TransformerConfig& config, const VideoGrid& grid) {
  const std::int64_t most = config.rope_max_seq_len;
  require(grid.frames >= 1 && grid.height >= 1 && grid.width >= 1 && grid.first_frame >= 0 &&
              grid.first_frame + grid.frames <= most && grid.height <= most && grid.width <= most,
          ErrorCode::InvalidRequest, "video: wanted 1 ... ", most,
          " patches along frames, height and width, found ", grid.first_frame + grid.frames, " x ",
          grid.height, " x ", grid.width);
  const std::int64_t side = 2 * (config.attention_head_dim / 6);
  const std::vector<double> by_frame = frequencies(config.attention_head_dim - 2 * side),
                            by_side = frequencies(side);
  std::vector<double> angles;
  angles.reserve(static_cast<std::size_t>(grid.rows() * config.attention_head_dim / 2));
  for (std::int64_t frame = 0; frame < grid.frames; ++frame)
    for (std::int64_t y = 0; y < grid.height; ++y)
      for (std::int64_t x = 0; x < grid.width; ++x) {
        append(angles, grid.first_frame + frame, by_frame);
        append(angles, y, by_side);
        append(angles, x, by_side);
      }
  return angles;
}

}  // namespace annulus::wan
