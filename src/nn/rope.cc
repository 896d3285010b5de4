#include "nn/rope.h"

#include <cmath>
#include <vector>

#include "nn/transfer.h"

namespace annulus {

Tensor rope_table(const Context& ctx, std::span<const double> angles, std::int64_t seq,
                  std::int64_t pairs) {
  require(static_cast<std::int64_t>(angles.size()) == seq * pairs, ErrorCode::InvalidRequest,
          "rope_table: wanted ", seq, " x ", pairs, " angles, found ", angles.size());
  std::vector<double> table(angles.size() * 2);
  for (std::size_t i = 0; i < angles.size(); ++i) {
    table[2 * i] = std::cos(angles[i]);
    table[2 * i + 1] = std::sin(angles[i]);
  }
  return to_device(ctx, table, {1, seq, pairs, 2}, ctx.wide);
}

void norm_rope(const Context& ctx, Tensor& x, const Tensor& freqs, RopeLayout layout,
               const RmsNorm* norm) {
  const Shape &shape = x.shape(), &table = freqs.shape();
  require(
      shape.rank() == 4 && table.rank() == 4 && (table[0] == shape[0] || table[0] == 1) &&
          table[1] == shape[1] && table[3] == 2 && 2 * table[2] <= shape[3],
      ErrorCode::InvalidRequest,
      "rope: wanted x [batch, seq, heads, head_dim] and freqs [batch | 1, seq, pairs, 2], found ",
      shape, " and ", table);
  required_op(ctx.ops.rope, "rope")(ctx.stream, ctx.workspace,
                                    {.x = x,
                                     .freqs = freqs,
                                     .layout = layout,
                                     .norm_weight = norm != nullptr ? &norm->weight : nullptr,
                                     .eps = norm != nullptr ? norm->eps : 0.0f,
                                     .out = x});
}

}  // namespace annulus
