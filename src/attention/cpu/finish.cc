#include "attention/cpu/finish.h"

#include <cmath>
#include <limits>

namespace annulus::flash {

namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// One row with its maximum in natural units: the true maximum is most + rest.
struct Row {
  const float* out;
  float most, rest, sum;
  bool none() const noexcept { return sum == 0.0f && most == kNone; }
  // Keys were seen, but every score is -inf: weights of 0 beside any other key, 0 / 0 alone.
  bool weightless() const noexcept { return sum != sum && most == kNone; }
};

bool masked_out(const Mask& mask, std::int64_t at) noexcept {
  switch (mask.dtype) {
    case DType::Bool:
      return reinterpret_cast<const std::uint8_t*>(mask.data)[at] == 0;
    case DType::F32:
      return reinterpret_cast<const float*>(mask.data)[at] == kNone;
    case DType::BF16:
      return to_float(reinterpret_cast<const Bf16*>(mask.data)[at]) == kNone;
    default:
      return to_float(reinterpret_cast<const F16*>(mask.data)[at]) == kNone;
  }
}

bool sees_a_key(const Call& call, const Entry& e, std::int64_t head, std::int64_t i) noexcept {
  const std::int64_t begin = e.band.begin(i), end = e.band.end(i);
  if (call.mask.data == nullptr) return begin < end;
  for (std::int64_t key = begin; key < end; ++key)
    if (!masked_out(call.mask,
                    e.mask + head * call.mask.head + i * call.mask.row + key * call.mask.key))
      return true;
  return false;
}

void store_divided(const Call& call, const Row& row, std::int64_t at) noexcept {
  const Output& to = call.output;
  const float inverse = row.none() ? 0.0f : 1.0f / row.sum;
  const auto size = static_cast<std::int64_t>(size_of(to.dtype));
  if (to.inner == 1)
    return call.kernel->store_scaled(row.out, inverse, to.out + at * size, to.dtype, call.head_dim);
  for (std::int64_t d = 0; d < call.head_dim; ++d)
    call.kernel->store_scaled(row.out + d, inverse, to.out + (at + d * to.inner) * size, to.dtype,
                              1);
}

void fold_row(const Row& row, float* __restrict out, std::int64_t inner, std::int64_t head_dim,
              float& max, float& sum) noexcept {
  if (row.none() || (row.weightless() && max != kNone)) return;
  const bool first = max == kNone;
  const float most = max > row.most ? max : row.most;
  const float keep = first ? 0.0f : std::exp(max - most);
  const float take = row.weightless() ? kNan : std::exp(row.most - most + row.rest);
  if (inner == 1 && first) {
    for (std::int64_t d = 0; d < head_dim; ++d) out[d] = row.out[d] * take;
  } else if (inner == 1) {
    for (std::int64_t d = 0; d < head_dim; ++d) out[d] = out[d] * keep + row.out[d] * take;
  } else {
    for (std::int64_t d = 0; d < head_dim; ++d) {
      float& x = out[d * inner];
      x = first ? row.out[d] * take : x * keep + row.out[d] * take;
    }
  }
  sum = first ? row.sum * take : sum * keep + row.sum * take;
  max = most;
}

}  // namespace

void merge_rows(const Call& call, std::int64_t rows, const Partial& total,
                const Partial& part) noexcept {
  for (std::int64_t r = 0; r < rows; ++r) {
    if (part.sum[r] == 0.0f && part.most[r] == kNone) continue;
    const bool first = total.sum[r] == 0.0f && total.most[r] == kNone;
    const float most = total.most[r] > part.most[r] ? total.most[r] : part.most[r];
    const float keep = first ? 0.0f : std::exp2((total.most[r] - most) * call.exp2_unit);
    const float take = std::exp2((part.most[r] - most) * call.exp2_unit);
    float* const to = total.out + r * total.stride;
    const float* const from = part.out + r * part.stride;
    for (std::int64_t d = 0; d < call.head_dim; ++d)
      to[d] = first ? from[d] * take : to[d] * keep + from[d] * take;
    total.sum[r] = first ? part.sum[r] * take : total.sum[r] * keep + part.sum[r] * take;
    total.most[r] = most;
  }
}

void store_rows(const Call& call, const Entry& entry, std::int64_t kv_head, std::int64_t first_row,
                std::int64_t rows, const Partial& from) noexcept {
  const Output& to = call.output;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t head = kv_head * call.group() + (first_row + r) / entry.seq_q;
    const std::int64_t i = (first_row + r) % entry.seq_q;
    Row row{from.out + r * from.stride, from.most[r] * call.unit, 0, from.sum[r]};
    if (row.most - row.most == 0.0f) row.rest = std::fma(from.most[r], call.unit, -row.most);
    if (row.weightless())
      row.most = kNan;  // a score was NaN
    else if (row.none() && sees_a_key(call, entry, head, i))
      row.sum = kNan;

    const std::int64_t at = entry.out + i * to.token + head * to.head;
    const std::int64_t lse_at = entry.lse + i * to.lse_token + head * to.lse_head;
    if (to.max != nullptr) {
      fold_row(row, reinterpret_cast<float*>(to.out) + at, to.inner, call.head_dim, to.max[lse_at],
               to.sum[lse_at]);
      continue;
    }
    store_divided(call, row, at);
    if (to.lse != nullptr)
      to.lse[lse_at] = row.most == kNone ? kNone : row.most + (row.rest + std::log(row.sum));
  }
}

}  // namespace annulus::flash
