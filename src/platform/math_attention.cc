#include "platform/math_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "attention/reference.h"
#include "platform/added_mask.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {

namespace {

constexpr std::int64_t kScoreBytes = std::int64_t{64} << 20;  // of the scores held at a time
constexpr float kNothing = -std::numeric_limits<float>::infinity();

// One entry of the batch, or one packed sequence.
struct Problem {
  Tensor q;     // [seq_q, heads, head_dim]
  Tensor k, v;  // [keys, kv_heads, head_dim]
  Tensor out;   // [seq_q, heads, head_dim]
  Tensor lse;   // [heads, seq_q], where wanted
};

Problem problem_of(const AttentionArgs& args, const AttentionEntry& e, const Tensor& out,
                   const Tensor* lse) {
  const bool packed = args.cu_seqlens_q != nullptr;
  const auto rows = [&](const Tensor& x, std::int64_t first, std::int64_t count) {
    const Tensor entry = packed ? x : x.select(0, e.batch);
    return entry.slice(0, first, first + count);
  };
  Problem p{rows(args.q, e.first_q, e.seq_q),
            rows(args.k, e.first_k, e.keys),
            rows(args.v, e.first_k, e.keys),
            rows(out, e.first_q, e.seq_q),
            {}};
  if (lse != nullptr) {
    const Tensor entry = packed ? *lse : lse->select(0, e.batch);
    p.lse = entry.slice(1, e.first_q, e.first_q + e.seq_q);
  }
  return p;
}

class Composer {
 public:
  Composer(Stream& stream, Workspace& workspace, const OpTable& ops, const AttentionArgs& args)
      : stream_(stream), workspace_(workspace), ops_(ops), args_(args) {}

  void run(const Problem& p, const AttentionEntry& e) {
    const std::int64_t heads = p.q.shape()[1], keys = p.k.shape()[0];
    if (p.q.elements() == 0) return;
    if (keys == 0) return nothing(p);
    const std::int64_t line = heads * keys * static_cast<std::int64_t>(sizeof(float));
    const std::int64_t block = std::clamp<std::int64_t>(kScoreBytes / line, 1, e.seq_q);
    for (std::int64_t first = 0; first < e.seq_q; first += block) {
      const std::int64_t last = std::min(first + block, e.seq_q);
      Problem part = p;
      part.q = p.q.slice(0, first, last);
      part.out = p.out.slice(0, first, last);
      if (p.lse.defined()) part.lse = p.lse.slice(1, first, last);
      run_block(part, e, first);
    }
  }

 private:
  void nothing(const Problem& p) {
    Tensor out = p.out, lse = p.lse;
    stream_.device().fill(stream_, out, 0);
    if (lse.defined()) stream_.device().fill(stream_, lse, static_cast<double>(kNothing));
  }

  void run_block(const Problem& p, const AttentionEntry& e, std::int64_t first) {
    const std::int64_t rows = p.q.shape()[0], heads = p.q.shape()[1], head_dim = p.q.shape()[2],
                       keys = p.k.shape()[0], group = heads / p.k.shape()[1];
    Device& device = stream_.device();
    Tensor scores = Tensor::empty({heads, rows, keys}, DType::F32, device);
    // In the input's precision, but for f16, whose range ends where small weights begin.
    const DType precision = p.q.dtype() == DType::BF16 ? DType::BF16 : DType::F32;
    Tensor weights = Tensor::empty(scores.shape(), precision, device);
    const float scale =
        args_.scale != 0 ? args_.scale : 1.0f / std::sqrt(static_cast<float>(head_dim));
    const Tensor q = p.q.permute({1, 0, 2});  // [heads, rows, head_dim]
    Tensor out = p.out.permute({1, 0, 2});
    over_groups(group, heads, [&](std::int64_t begin, std::int64_t end) {
      Tensor to = scores.slice(0, begin, end);
      product(q.slice(0, begin, end), keys_of(p.k, begin, end, group, {1, 2, 0}), scale, to);
    });
    Tensor mask;  // [heads, rows, keys]
    if (needs_added_mask(args_)) {
      mask = added_mask(stream_, args_, e, first, rows);
      mask = mask.expand({heads, rows, keys});
    }
    Tensor lse = p.lse;
    ops_.softmax(stream_, workspace_,
                 {.x = scores,
                  .mask = mask.defined() ? &mask : nullptr,
                  .out = weights,
                  .lse = lse.defined() ? &lse : nullptr});
    over_groups(group, heads, [&](std::int64_t begin, std::int64_t end) {
      Tensor to = out.slice(0, begin, end);
      product(weights.slice(0, begin, end), keys_of(p.v, begin, end, group, {1, 0, 2}), 1.0f, to);
    });
  }

  // Ranges of heads that one matmul can serve: all of them, or those that share a K/V head.
  template <class Body>
  static void over_groups(std::int64_t group, std::int64_t heads, const Body& body) {
    const std::int64_t step = group == 1 ? heads : group;
    for (std::int64_t begin = 0; begin < heads; begin += step) body(begin, begin + step);
  }

  // The K/V heads of heads [begin, end), one per head, axes as `order` of [keys, heads, head_dim].
  static Tensor keys_of(const Tensor& x, std::int64_t begin, std::int64_t end, std::int64_t group,
                        std::initializer_list<int> order) {
    const Tensor own = x.slice(1, begin / group, (end - 1) / group + 1).permute(order);
    return own.expand(own.shape().with(0, end - begin));
  }

  void product(const Tensor& a, const Tensor& b, float alpha, Tensor& out) {
    ops_.matmul(stream_, workspace_,
                {.a = a, .b = b, .alpha = alpha, .accumulate = false, .out = out});
  }

  Stream& stream_;
  Workspace& workspace_;
  const OpTable& ops_;
  const AttentionArgs& args_;
};

// A weight of 0 does not hide a V that is not finite from a product, and a score of -inf is not a
// key that is not seen: for such inputs the definition itself is evaluated, on the host.
void run_on_host(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
                 Tensor* lse) {
  if (stream.device().host_visible())
    return reference_attention().run(stream, workspace, args, out, lse);
  constexpr int kTimeoutMs = 30000;
  HostDevice host(1, "host");
  const std::unique_ptr<Stream> host_stream = host.make_stream();
  Workspace host_workspace(host);
  const auto fetched = [&](const Tensor* x) {
    if (x == nullptr) return Tensor();
    Tensor made = Tensor::empty(x->shape(), x->dtype(), host);
    copy(stream, *x, made);
    return made;
  };
  const Tensor q = fetched(&args.q), k = fetched(&args.k), v = fetched(&args.v),
               lengths = fetched(args.kv_lengths), mask = fetched(args.mask),
               diagonals = fetched(args.diagonals), cu_q = fetched(args.cu_seqlens_q),
               cu_k = fetched(args.cu_seqlens_k);
  const auto given = [](const Tensor& x) { return x.defined() ? &x : nullptr; };
  Tensor made = fetched(&out), made_lse = fetched(lse);
  stream.device().synchronize(stream, kTimeoutMs);
  reference_attention().run(*host_stream, host_workspace,
                            {.q = q,
                             .k = k,
                             .v = v,
                             .scale = args.scale,
                             .causal = args.causal,
                             .window = args.window,
                             .kv_lengths = given(lengths),
                             .mask = given(mask),
                             .diagonals = given(diagonals),
                             .cu_seqlens_q = given(cu_q),
                             .cu_seqlens_k = given(cu_k)},
                            made, lse != nullptr ? &made_lse : nullptr);
  copy(stream, made, out);
  if (lse != nullptr) copy(stream, made_lse, *lse);
  stream.device().synchronize(stream, kTimeoutMs);
}

}  // namespace

std::optional<std::string> MathAttention::refusal(const AttentionSpec& spec) const {
  if (spec.lse && !no_lse_.empty()) return no_lse_;
  if (ops_.matmul == nullptr || ops_.softmax == nullptr || ops_.all_finite == nullptr)
    return "the platform lacks matmul, softmax or all_finite";
  return std::nullopt;
}

void MathAttention::run(Stream& stream, Workspace& workspace, const AttentionArgs& args,
                        Tensor& out, Tensor* lse) const {
  check(args, out, lse);
  const std::optional<std::string> refused = refusal(spec_of(args, lse != nullptr));
  require(!refused, ErrorCode::Unsupported, "attention: wanted ", name_,
          ", found a refusal: ", refused.value_or(""));
  for (const Tensor* x : {&args.q, &args.k, &args.v})
    if (!ops_.all_finite(stream, workspace, {*x}))
      return run_on_host(stream, workspace, args, out, lse);
  Composer composer(stream, workspace, ops_, args);
  for (const AttentionEntry& entry : entries_of(stream, args))
    composer.run(problem_of(args, entry, out, lse), entry);
}

}  // namespace annulus
