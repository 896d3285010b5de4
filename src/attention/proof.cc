#include "attention/proof.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "attention/reference.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {

namespace {

constexpr int kTimeoutMs = 60'000;

struct Lengths {
  std::int64_t q, kv;
};
// Around the sizes of blocks, and past those where masks were seen to be ignored.
constexpr std::array kLengths = {Lengths{1, 1},   Lengths{1, 17},  Lengths{15, 16}, Lengths{17, 15},
                                 Lengths{1, 513}, Lengths{3, 600}, Lengths{2, 2049}};

class Proof {
 public:
  Proof(Device& device, const AttentionBackend& backend, const AttentionSpec& spec)
      : device_(device),
        backend_(backend),
        spec_(spec.resolved()),
        stream_(device.make_stream()),
        workspace_(device) {}

  std::optional<std::string> run() {
    for (const Lengths& lengths : kLengths)
      if (auto wrong = run(lengths)) return wrong;
    return std::nullopt;
  }

 private:
  // Values in [-1, 1) that every floating dtype holds exactly.
  Tensor random(const Shape& shape) {
    Tensor made = Tensor::empty(shape, DType::F32, host_);
    for (std::int64_t i = 0; i < made.elements(); ++i)
      made.data<float>()[i] = static_cast<float>(static_cast<int>(random_() % 128) - 64) / 64.0f;
    return cast(*host_stream_, made, spec_.dtype);
  }

  Tensor ints(std::initializer_list<std::int64_t> values) {
    Tensor made = Tensor::empty({static_cast<std::int64_t>(values.size())}, DType::I32, host_);
    std::transform(values.begin(), values.end(), made.data<std::int32_t>(),
                   [](std::int64_t value) { return static_cast<std::int32_t>(value); });
    return made;
  }

  // Most keys are seen, but no row's first one: so that a mask which is ignored shows.
  Tensor mask(const Shape& shape, bool boolean) {
    Tensor made = Tensor::empty(shape, boolean ? DType::Bool : DType::F32, host_);
    for (std::int64_t i = 0; i < made.elements(); ++i) {
      const bool seen = random_() % 3 != 0 && (i % shape[3] != 0 || shape[3] == 1);
      if (boolean)
        made.data<bool>()[i] = seen;
      else
        made.data<float>()[i] = seen ? static_cast<float>(random_() % 64) / 64.0f - 0.5f
                                     : -std::numeric_limits<float>::infinity();
    }
    return made;
  }

  Tensor sent(const Tensor& x) {
    if (!x.defined()) return x;
    Tensor made = Tensor::empty(x.shape(), x.dtype(), device_);
    copy(*stream_, x, made);
    return made;
  }

  std::optional<std::string> run(const Lengths& lengths) {
    // Two entries, or two packed sequences of which the second is shorter.
    constexpr std::int64_t kBatch = 2;
    const std::int64_t ratio = spec_.heads / spec_.kv_heads,
                       kv_heads = ratio > 1 ? 1 : std::min<std::int64_t>(spec_.kv_heads, 2),
                       heads = kv_heads * ratio;
    const std::int64_t less_q = (lengths.q + 1) / 2, less_kv = (lengths.kv + 1) / 2;
    const std::int64_t all_q = lengths.q + less_q, all_kv = lengths.kv + less_kv;
    const Shape q_shape = spec_.varlen ? Shape{all_q, heads, spec_.head_dim}
                                       : Shape{kBatch, lengths.q, heads, spec_.head_dim};
    const Shape kv_shape = spec_.varlen ? Shape{all_kv, kv_heads, spec_.head_dim}
                                        : Shape{kBatch, lengths.kv, kv_heads, spec_.head_dim};
    const Tensor q = random(q_shape), k = random(kv_shape), v = random(kv_shape);
    Tensor cu_q, cu_k, kv_lengths, diagonals, masked;
    if (spec_.varlen) {
      cu_q = ints({0, lengths.q, all_q});
      cu_k = ints({0, lengths.kv, all_kv});
    }
    if (spec_.kv_lengths) kv_lengths = ints({lengths.kv, less_kv});
    if (spec_.diagonals) diagonals = ints({lengths.kv - lengths.q, 1});
    if (spec_.bool_mask || spec_.additive_mask) {
      const std::int64_t rows = spec_.varlen ? all_q : lengths.q,
                         columns = spec_.varlen ? all_kv : lengths.kv;
      masked = mask({1, 1, rows, columns}, spec_.bool_mask);
    }
    const auto given = [](const Tensor& x) { return x.defined() ? &x : nullptr; };
    AttentionArgs args{.q = q,
                       .k = k,
                       .v = v,
                       .scale = 0,
                       .causal = spec_.causal,
                       .window = {spec_.window ? 7 : -1, spec_.window ? 3 : -1},
                       .kv_lengths = given(kv_lengths),
                       .mask = given(masked),
                       .diagonals = given(diagonals),
                       .cu_seqlens_q = given(cu_q),
                       .cu_seqlens_k = given(cu_k)};
    const Shape lse_shape = spec_.varlen ? Shape{heads, all_q} : Shape{kBatch, heads, lengths.q};
    Tensor wanted = Tensor::empty(q_shape, DType::F32, host_),
           wanted_lse = Tensor::empty(lse_shape, DType::F32, host_);
    reference_attention().run(*host_stream_, host_workspace_, args, wanted, &wanted_lse);

    const Tensor q_sent = sent(q), k_sent = sent(k), v_sent = sent(v), mask_sent = sent(masked);
    Tensor out = Tensor::empty(q_shape, spec_.dtype, device_),
           lse = Tensor::empty(lse_shape, DType::F32, device_);
    device_.fill(*stream_, out, 0.75);  // must not be what is found there after
    device_.fill(*stream_, lse, 0.75);
    backend_.run(*stream_, workspace_,
                 {.q = q_sent,
                  .k = k_sent,
                  .v = v_sent,
                  .scale = args.scale,
                  .causal = args.causal,
                  .window = args.window,
                  .kv_lengths = args.kv_lengths,
                  .mask = given(mask_sent),
                  .diagonals = args.diagonals,
                  .cu_seqlens_q = args.cu_seqlens_q,
                  .cu_seqlens_k = args.cu_seqlens_k},
                 out, spec_.lse ? &lse : nullptr);
    const double unit = spec_.dtype == DType::BF16  ? 0x1p-8
                        : spec_.dtype == DType::F16 ? 0x1p-11
                                                    : 1e-6;
    if (auto wrong = compare("out", out, wanted, 4 * unit, lengths)) return wrong;
    if (!spec_.lse) return std::nullopt;
    return compare("lse", lse, wanted_lse, 1e-3, lengths);
  }

  std::optional<std::string> compare(std::string_view what, const Tensor& found,
                                     const Tensor& wanted, double bound, const Lengths& lengths) {
    Tensor got = Tensor::empty(found.shape(), DType::F32, host_);
    copy(*stream_, found, got);
    device_.synchronize(*stream_, kTimeoutMs);
    double error = 0;
    for (std::int64_t i = 0; i < got.elements(); ++i) {
      const double a = static_cast<double>(got.data<float>()[i]),
                   b = static_cast<double>(wanted.data<float>()[i]);
      if (a == b) continue;
      const double one = std::fabs(a - b);
      error = std::isnan(one) ? HUGE_VAL : std::max(error, one);
    }
    if (error <= bound) return std::nullopt;
    return text_of("wrong ", what, " for ", lengths.q, " queries and ", lengths.kv, " keys: error ",
                   error, ", bound ", bound);
  }

  Device& device_;
  const AttentionBackend& backend_;
  AttentionSpec spec_;
  std::unique_ptr<Stream> stream_;
  Workspace workspace_;
  HostDevice host_{1, "host"};
  std::unique_ptr<Stream> host_stream_ = host_.make_stream();
  Workspace host_workspace_{host_};
  std::mt19937 random_{1};
};

}  // namespace

std::optional<std::string> prove(Device& device, const AttentionBackend& backend,
                                 const AttentionSpec& spec) {
  try {
    return Proof(device, backend, spec).run();
  } catch (const Error& error) {
    return std::string(error.what());
  }
}

std::optional<std::string> ProvenAttention::refusal(const AttentionSpec& spec) const {
  if (auto refused = backend_.refusal(spec)) return refused;
  const AttentionSpec wanted = spec.resolved();
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = proofs_.try_emplace(to_string(wanted), std::nullopt);
  if (fresh) {
    if (auto wrong = prove(device_, backend_, wanted))
      at->second = std::string(kFailedProof) + *wrong;
  }
  return at->second;
}

}  // namespace annulus
