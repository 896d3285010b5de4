#include "attention/backend.h"

#include <cmath>
#include <limits>

#include "base/parallel_for.h"
#include "tensor/host_device.h"

namespace annulus {

namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Running {
  View<float, 4> out;  // [batch, seq_q, heads, head_dim]
  View<float, 3> max, sum;

  explicit Running(RunningAttention& running)
      : out(running.out.view<float, 4>()),
        max(running.max.view<float, 3>()),
        sum(running.sum.view<float, 3>()) {}
};

// Calls row(b, h, i) for every query row, on `threads` threads.
template <class Row>
void for_each_row(int threads, const std::array<std::int64_t, 3>& batch_heads_seq, const Row& row) {
  const auto [batch, heads, seq_q] = batch_heads_seq;
  parallel_for(threads, batch * seq_q * heads, 64,
               [&, heads = heads, seq_q = seq_q](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t at = begin; at < end; ++at)
                   row(at / heads / seq_q, at % heads, at / heads % seq_q);
               });
}

void fold_part(int threads, const Running& to, View<const float, 4> part,
               View<const float, 3> part_lse) {
  for_each_row(threads, to.max.extent, [&](std::int64_t b, std::int64_t h, std::int64_t i) {
    const float lse = part_lse(b, h, i);
    float& most = to.max(b, h, i);
    float& sum = to.sum(b, h, i);
    const float before = most;
    if (lse == kNone) {  // no key, or only scores of -inf: then 0 / 0 unless other keys come
      const bool weightless = part.extent[3] > 0 && std::isnan(part(b, i, h, 0));
      if (weightless && before == kNone) sum = kNan;
      return;
    }
    most = before > lse ? before : lse;
    // Nothing seen before: what `out` holds is worth nothing, not even NaN.
    const float keep = before == kNone ? 0.0f : std::exp(before - most),
                take = std::exp(lse - most);
    sum = (before == kNone ? 0.0f : sum * keep) + take;
    for (std::int64_t d = 0; d < to.out.extent[3]; ++d) {
      float& x = to.out(b, i, h, d);
      x = (before == kNone ? 0.0f : x * keep) + part(b, i, h, d) * take;
    }
  });
}

template <class Out>
void finish_typed(int threads, View<const float, 4> from, View<const float, 3> max,
                  View<const float, 3> sum, View<Out, 4> out, View<float, 3> lse) {
  const bool dense = from.stride[3] == 1 && out.stride[3] == 1;  // a loop that compilers vectorise
  for_each_row(threads, max.extent, [&](std::int64_t b, std::int64_t h, std::int64_t i) {
    const float total = sum(b, h, i);
    const bool none = total == 0.0f && max(b, h, i) == kNone;
    const float inverse = 1.0f / total;  // NaN where all scores were -inf
    const std::int64_t head_dim = out.extent[3];
    if (none) {
      for (std::int64_t d = 0; d < head_dim; ++d) out(b, i, h, d) = convert<Out>(0.0f);
    } else if (dense && head_dim > 0) {
      const float* __restrict row = &from(b, i, h, 0);
      Out* __restrict to = &out(b, i, h, 0);
      for (std::int64_t d = 0; d < head_dim; ++d) to[d] = convert<Out>(row[d] * inverse);
    } else {
      for (std::int64_t d = 0; d < head_dim; ++d)
        out(b, i, h, d) = convert<Out>(from(b, i, h, d) * inverse);
    }
    if (lse.data != nullptr)
      lse(b, h, i) = max(b, h, i) == kNone ? kNone : max(b, h, i) + std::log(total);
  });
}

}  // namespace

void check(const RunningAttention& running) {
  require(running.out.defined() && running.max.defined() && running.sum.defined() &&
              running.out.shape().rank() == 4,
          ErrorCode::InvalidRequest,
          "running attention: wanted out [batch, seq_q, heads, head_dim], max and sum");
  const Shape& out = running.out.shape();
  const Shape rows{out[0], out[2], out[1]};
  require(running.max.shape() == rows && running.sum.shape() == rows, ErrorCode::InvalidRequest,
          "running attention: wanted max and sum of shape ", rows, ", found ", running.max.shape(),
          " and ", running.sum.shape());
  for (const Tensor* x : {&running.out, &running.max, &running.sum})
    require(x->dtype() == DType::F32, ErrorCode::InvalidRequest,
            "running attention: wanted f32, found ", name_of(x->dtype()));
  require(running.max.strides() == running.sum.strides(), ErrorCode::InvalidRequest,
          "running attention: wanted max and sum of the same strides");
}

RunningAttention nothing_seen(Stream& stream, std::int64_t batch, std::int64_t seq_q,
                              std::int64_t heads, std::int64_t head_dim) {
  Device& device = stream.device();
  RunningAttention running{Tensor::empty({batch, seq_q, heads, head_dim}, DType::F32, device),
                           Tensor::empty({batch, heads, seq_q}, DType::F32, device),
                           Tensor::empty({batch, heads, seq_q}, DType::F32, device)};
  // `out` is not read where nothing was seen: filling it would be a pass over memory for nothing.
  device.fill(stream, running.max, static_cast<double>(kNone));
  device.fill(stream, running.sum, 0);
  return running;
}

void finish(Stream& stream, const RunningAttention& running, Tensor& out, Tensor* lse) {
  check(running);
  require(out.defined() && out.shape() == running.out.shape(), ErrorCode::InvalidRequest,
          "finish: wanted out of shape ", running.out.shape());
  require(is_floating(out.dtype()), ErrorCode::InvalidRequest,
          "finish: wanted out of a floating dtype, found ", name_of(out.dtype()));
  require(lse == nullptr || (lse->defined() && lse->shape() == running.max.shape()),
          ErrorCode::InvalidRequest, "finish: wanted lse of shape ", running.max.shape());
  const int threads = host_threads(stream);
  const View<float, 3> to = lse == nullptr ? View<float, 3>{} : lse->view<float, 3>();
  with_floating(out.dtype(), [&](auto value) {
    using Out = decltype(value);
    finish_typed<Out>(threads, running.out.view<float, 4>(), running.max.view<float, 3>(),
                      running.sum.view<float, 3>(), out.view<Out, 4>(), to);
  });
}

void check(const AttentionArgs& args, const RunningAttention& running) {
  check(running);
  const bool packed = args.cu_seqlens_q != nullptr;
  require(!packed || running.out.shape()[0] == 1, ErrorCode::InvalidRequest,
          "running attention: wanted batch 1 for packed sequences, found ", running.out.shape()[0]);
  check(args, packed ? running.out.select(0, 0) : running.out, nullptr);
}

void AttentionBackend::finish(Stream& stream, Workspace&, const RunningAttention& running,
                              Tensor& out, Tensor* lse) const {
  annulus::finish(stream, running, out, lse);
}

void AttentionBackend::fold(Stream& stream, Workspace& workspace, const AttentionArgs& args,
                            RunningAttention& running) const {
  check(args, running);
  const bool packed = args.cu_seqlens_q != nullptr;
  const Tensor part = Tensor::empty(running.out.shape(), DType::F32, stream.device());
  const Tensor part_lse = Tensor::empty(running.max.shape(), DType::F32, stream.device());
  Tensor out = packed ? part.select(0, 0) : part;
  Tensor lse = packed ? part_lse.select(0, 0) : part_lse;
  run(stream, workspace, args, out, &lse);
  fold_part(host_threads(stream), Running(running), part.view<float, 4>(),
            part_lse.view<float, 3>());
}

}  // namespace annulus
