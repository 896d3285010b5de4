#include "attention/cpu/plan.h"

#include <algorithm>
#include <cmath>

namespace annulus::flash {

namespace {

constexpr std::int64_t kFar = std::int64_t{1} << 60;  // further than any key
constexpr std::int64_t kEnoughUnits = 64;             // keep the threads of a large host busy
constexpr std::int64_t kLeastSplit = 4;               // key blocks; less does not pay for the merge

struct Token {
  std::int64_t stride, head, inner;
};

// Strides of [batch, seq, heads, head_dim] or packed [tokens, heads, head_dim].
Token strides_of(const Tensor& x) noexcept {
  return {x.stride(-3), x.stride(-2), x.stride(-1)};
}

Rows rows_of(const Tensor& x) noexcept {
  const Token s = strides_of(x);
  return {x.address(), x.dtype(), s.stride, s.inner};
}

std::int64_t value_at(const Tensor& x, std::int64_t n) noexcept {  // [entries] i32
  return reinterpret_cast<const std::int32_t*>(x.address())[n * x.stride(0)];
}

bool packed(const AttentionArgs& args) noexcept {
  return args.cu_seqlens_q != nullptr;
}

void require_host(const Tensor& x, std::string_view name) {
  require(x.device().host_visible(), ErrorCode::InvalidRequest, name,
          ": wanted memory of the host, found ", x.device().name(), " (attention flash)");
}

Call inputs_of(const Kernel& kernel, const AttentionArgs& args) {
  require_host(args.q, "q");
  require_host(args.k, "k");
  require_host(args.v, "v");
  Call call;
  call.kernel = &kernel;
  call.heads = args.q.shape()[-2];
  call.kv_heads = args.k.shape()[-2];
  call.head_dim = args.q.shape()[-1];
  call.q = rows_of(args.q);
  call.k = rows_of(args.k);
  call.v = rows_of(args.v);
  call.q_head = args.q.stride(-2);
  call.k_head = args.k.stride(-2);
  call.v_head = args.v.stride(-2);
  call.entries = packed(args) ? args.cu_seqlens_q->shape()[0] - 1 : args.q.shape()[0];

  const float scale = args.scale != 0
                          ? args.scale
                          : static_cast<float>(1 / std::sqrt(static_cast<double>(call.head_dim)));
  call.negate = scale < 0;
  call.scale = std::fabs(scale);
  call.unit = call.scale;
  if (args.mask != nullptr) {
    const Tensor& mask = *args.mask;
    require_host(mask, "mask");
    const auto stride = [&](int axis) {
      return mask.shape()[axis] == 1 ? std::int64_t{0} : mask.stride(axis);
    };
    call.mask = {mask.address(), mask.dtype(), stride(1), stride(2), mask.stride(3)};
    if (mask.dtype() != DType::Bool) call.unit = 1;  // the scale is applied before the mask
  }
  constexpr double kLog2e = 1.4426950408889634;
  call.exp2_unit = static_cast<float>(static_cast<double>(call.unit) * kLog2e);

  call.in_place = kernel.attend_in_place != nullptr && rows_of_longest(args) <= kernel.rows;
  if (!call.in_place) {
    call.key_words = kernel.key_words(call.head_dim);
    call.value_words = kernel.value_words(call.head_dim);
  }
  return call;
}

}  // namespace

std::int64_t rows_of_longest(const AttentionArgs& args) noexcept {
  const std::int64_t kv_heads = args.k.shape()[-2];
  if (kv_heads == 0) return 0;
  std::int64_t longest = 0;
  if (!packed(args)) longest = args.q.shape()[1];
  for (std::int64_t n = 0; packed(args) && n + 1 < args.cu_seqlens_q->shape()[0]; ++n)
    longest = std::max<std::int64_t>(
        longest, value_at(*args.cu_seqlens_q, n + 1) - value_at(*args.cu_seqlens_q, n));
  return args.q.shape()[-2] / kv_heads * longest;
}

Call call_of(const Kernel& kernel, const AttentionArgs& args, Tensor& out, Tensor* lse) {
  Call call = inputs_of(kernel, args);
  require_host(out, "out");
  const Token s = strides_of(out);
  call.output.out = out.address();
  call.output.dtype = out.dtype();
  call.output.entry = out.stride(0);
  call.output.token = s.stride;
  call.output.head = s.head;
  call.output.inner = s.inner;
  if (lse != nullptr) {
    require_host(*lse, "lse");
    call.output.lse = reinterpret_cast<float*>(lse->address());
    call.output.lse_entry = lse->stride(0);
    call.output.lse_head = lse->stride(-2);
    call.output.lse_token = lse->stride(-1);
  }
  return call;
}

Call call_of(const Kernel& kernel, const AttentionArgs& args, RunningAttention& running) {
  Call call = call_of(kernel, args, running.out, nullptr);
  Output& output = call.output;
  output.max = reinterpret_cast<float*>(running.max.address());
  output.sum = reinterpret_cast<float*>(running.sum.address());
  output.lse_entry = running.max.stride(0);
  output.lse_head = running.max.stride(-2);
  output.lse_token = running.max.stride(-1);
  return call;
}

Entry entry_of(const Call& call, const AttentionArgs& args, std::int64_t n) noexcept {
  Entry e;
  std::int64_t all_keys = 0;
  if (packed(args)) {
    const std::int64_t first_q = value_at(*args.cu_seqlens_q, n),
                       first_k = value_at(*args.cu_seqlens_k, n);
    e.seq_q = value_at(*args.cu_seqlens_q, n + 1) - first_q;
    all_keys = value_at(*args.cu_seqlens_k, n + 1) - first_k;
    e.q = first_q * call.q.stride;
    e.k = first_k * call.k.stride;
    e.v = first_k * call.v.stride;
    e.out = first_q * call.output.token;
    e.lse = first_q * call.output.lse_token;
    e.mask = first_q * call.mask.row + first_k * call.mask.key;
  } else {
    e.seq_q = args.q.shape()[1];
    all_keys = args.k.shape()[1];
    e.q = n * args.q.stride(0);
    e.k = n * args.k.stride(0);
    e.v = n * args.v.stride(0);
    e.out = n * call.output.entry;
    e.lse = n * call.output.lse_entry;
    if (args.mask != nullptr && args.mask->shape()[0] != 1) e.mask = n * args.mask->stride(0);
  }
  e.keys = all_keys;
  if (args.kv_lengths != nullptr) e.keys = std::min(all_keys, value_at(*args.kv_lengths, n));
  const bool given = args.diagonals != nullptr;
  const std::int64_t diagonal =
      given ? value_at(*args.diagonals, n) : e.keys - e.seq_q;  // bottom-right
  e.band = {e.keys, -kFar, kFar};
  if (args.window[0] >= 0) e.band.from = diagonal - std::min(args.window[0], kFar);
  if (args.window[1] >= 0) e.band.to = diagonal + std::min(args.window[1], kFar);
  if (args.causal != Causal::No)
    e.band.to = std::min(e.band.to, args.causal == Causal::TopLeft && !given ? 0 : diagonal);

  const Kernel& kernel = *call.kernel;
  const std::int64_t rows = call.group() * e.seq_q;
  e.blocks = (rows + kernel.block_rows - 1) / kernel.block_rows;
  if (e.blocks > 0) {  // equal blocks: 256 rows are two of 128, not 192 and 64
    const std::int64_t even = (rows + e.blocks - 1) / e.blocks;
    e.block_rows =
        std::min((even + kernel.rows - 1) / kernel.rows * kernel.rows, kernel.block_rows);
    e.blocks = (rows + e.block_rows - 1) / e.block_rows;
  }
  e.key_blocks = (e.keys + kernel.key_block - 1) / kernel.key_block;
  e.split_blocks = std::max<std::int64_t>(e.key_blocks, 1);
  e.splits = 1;
  return e;
}

void split_keys(const Call& call, Entry* entries) noexcept {
  std::int64_t units = 0;
  for (std::int64_t n = 0; n < call.entries; ++n) units += entries[n].blocks * call.kv_heads;
  if (units == 0 || units >= kEnoughUnits) return;
  const std::int64_t wanted = (kEnoughUnits + units - 1) / units;
  for (std::int64_t n = 0; n < call.entries; ++n) {
    Entry& e = entries[n];
    const std::int64_t splits = std::min(wanted, e.key_blocks / kLeastSplit);
    if (splits <= 1) continue;
    e.split_blocks = (e.key_blocks + splits - 1) / splits;
    e.splits = (e.key_blocks + e.split_blocks - 1) / e.split_blocks;
  }
}

}  // namespace annulus::flash
