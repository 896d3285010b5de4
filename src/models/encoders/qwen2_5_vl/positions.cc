#include "models/encoders/qwen2_5_vl/positions.h"

#include <algorithm>
#include <cmath>

#include "nn/transfer.h"

namespace annulus::qwen2_5_vl {

namespace {

using Place = std::array<std::int64_t, 3>;  // time, height, width

/// Writes the places of one row's real tokens.
class RowWriter {
 public:
  RowWriter(Positions& positions, std::int64_t row) noexcept
      : positions_(positions), at_(static_cast<std::size_t>(row * positions.seq)) {}

  void text() { write({next_, next_, next_}), ++next_; }

  void image(const ImageGrid& grid, std::int64_t merge) {
    const std::int64_t height = grid.height / merge, width = grid.width / merge;
    for (std::int64_t frame = 0; frame < grid.frames; ++frame)
      for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x) write({next_ + frame, next_ + y, next_ + x});
    next_ += std::max(height, width);
  }

 private:
  void write(const Place& place) {
    for (std::size_t axis = 0; axis < 3; ++axis) positions_.axes[axis][at_] = place[axis];
    ++at_;
  }

  Positions& positions_;
  std::size_t at_;
  std::int64_t next_ = 0;  // where the next token of text stands
};

}  // namespace

Positions line_positions(std::int64_t batch, std::int64_t seq) {
  Positions positions{batch, seq, {}};
  for (std::vector<std::int64_t>& axis : positions.axes)
    for (std::int64_t row = 0; row < batch; ++row)
      for (std::int64_t i = 0; i < seq; ++i) axis.push_back(i);
  return positions;
}

Positions grid_positions(std::span<const std::int32_t> ids, std::span<const std::int64_t> lengths,
                         std::span<const std::span<const ImageGrid>> images, std::int64_t merge,
                         std::int32_t image_token_id) {
  const auto batch = static_cast<std::int64_t>(lengths.size());
  Positions positions{batch, batch == 0 ? 0 : static_cast<std::int64_t>(ids.size()) / batch, {}};
  for (std::vector<std::int64_t>& axis : positions.axes) axis.assign(ids.size(), 0);
  for (std::int64_t row = 0; row < batch; ++row) {
    const std::span<const std::int32_t> tokens =
        ids.subspan(static_cast<std::size_t>(row * positions.seq),
                    static_cast<std::size_t>(lengths[static_cast<std::size_t>(row)]));
    const std::span<const ImageGrid> pictures = images[static_cast<std::size_t>(row)];
    RowWriter writer(positions, row);
    std::size_t picture = 0;
    for (std::size_t i = 0; i < tokens.size();) {
      if (tokens[i] != image_token_id) {
        writer.text(), ++i;
        continue;
      }
      const std::int64_t count =
          picture < pictures.size() ? pictures[picture].patches() / (merge * merge) : 0;
      const auto end = i + static_cast<std::size_t>(count);
      require(count > 0 && end <= tokens.size() &&
                  std::all_of(tokens.begin() + static_cast<std::ptrdiff_t>(i),
                              tokens.begin() + static_cast<std::ptrdiff_t>(end),
                              [&](std::int32_t id) { return id == image_token_id; }),
              ErrorCode::InvalidRequest, "prompt ", row, ": wanted ", count,
              " image tokens for picture ", picture, " of ", pictures.size(),
              ", found another number at token ", i);
      writer.image(pictures[picture++], merge);
      i = end;
    }
    require(picture == pictures.size(), ErrorCode::InvalidRequest, "prompt ", row, ": wanted ",
            pictures.size(), " pictures among the tokens, found ", picture);
  }
  return positions;
}

std::vector<float> inverse_frequencies(double theta, std::int64_t dim) {
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(dim);
    frequencies.push_back(1.0f /
                          static_cast<float>(std::pow(theta, static_cast<double>(exponent))));
  }
  return frequencies;
}

Tensor rope_freqs(const Context& ctx, const TextConfig& text, const Positions& positions) {
  const std::int64_t pairs = text.head_dim / 2;
  const std::vector<float> frequencies = inverse_frequencies(text.rope_theta, text.head_dim);
  std::vector<std::size_t> axis_of;  // per pair
  for (std::size_t section = 0; section < text.mrope_section.size(); ++section)
    axis_of.insert(axis_of.end(), static_cast<std::size_t>(text.mrope_section[section]),
                   section % 3);

  std::vector<double> table;
  table.reserve(static_cast<std::size_t>(positions.batch * positions.seq * pairs * 2));
  for (std::size_t row = 0; row < positions.axes[0].size(); ++row) {
    for (std::size_t pair = 0; pair < axis_of.size(); ++pair) {
      const float angle =
          static_cast<float>(positions.axes[axis_of[pair]][row]) * frequencies[pair];
      table.push_back(std::cos(static_cast<double>(angle)));
      table.push_back(std::sin(static_cast<double>(angle)));
    }
  }
  return to_device(ctx, table, {positions.batch, positions.seq, pairs, 2}, ctx.wide);
}

}  // namespace annulus::qwen2_5_vl
