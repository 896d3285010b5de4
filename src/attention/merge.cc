#include "attention/merge.h"

#include <cmath>
#include <limits>

#include "base/parallel_for.h"

namespace annulus {

namespace {

// out = out * keep + part * take over one row.
void blend(float* out, std::int64_t out_stride, const float* part, std::int64_t part_stride,
           std::int64_t count, float keep, float take) noexcept {
  if (out_stride == 1 && part_stride == 1) {
    for (std::int64_t d = 0; d < count; ++d) out[d] = out[d] * keep + part[d] * take;
    return;
  }
  for (std::int64_t d = 0; d < count; ++d)
    out[d * out_stride] = out[d * out_stride] * keep + part[d * part_stride] * take;
}

}  // namespace

void merge_partial(int threads, View<float, 4> out, View<float, 3> lse,
                   View<const float, 4> part_out, View<const float, 3> part_lse) noexcept {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  const auto [batch, seq_q, heads, head_dim] = out.extent;
  const std::int64_t rows = batch * seq_q * heads;
  const auto merge_rows = [&, heads = heads, seq_q = seq_q, head_dim = head_dim](std::int64_t begin,
                                                                                 std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t b = row / heads / seq_q, i = row / heads % seq_q, h = row % heads;
      float& a = lse(b, h, i);
      const float p = part_lse(b, h, i);
      if (p == kNone) continue;
      float* const to = &out(b, i, h, 0);
      const float* const from = &part_out(b, i, h, 0);
      if (a == kNone) {  // nothing seen so far: `out` may hold anything
        for (std::int64_t d = 0; d < head_dim; ++d)
          to[d * out.stride[3]] = from[d * part_out.stride[3]];
        a = p;
        continue;
      }
      const float most = a > p ? a : p;
      const float merged = most + std::log(std::exp(a - most) + std::exp(p - most));
      blend(to, out.stride[3], from, part_out.stride[3], head_dim, std::exp(a - merged),
            std::exp(p - merged));
      a = merged;
    }
  };
  parallel_for(threads, rows, 64, merge_rows);
}

}  // namespace annulus
