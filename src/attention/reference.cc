#include "attention/reference.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/parallel_for.h"
#include "tensor/host_device.h"

namespace annulus {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// One attention problem of its own: an entry of the batch, or a packed sequence.
struct Entry {
  std::int64_t batch;                // index along the batch axis; 0 when packed
  std::int64_t first_q, first_k;     // first token along the sequence axis; 0 when not packed
  std::int64_t seq_q, seq_kv, keys;  // keys: those within kv_lengths
  std::int64_t diagonal, causal;     // query 0 faces this key, for windows and for causal
};

// Which keys does a query see, and what is added to its score? i, j count from the start of the
// entry.
template <class T>
class Masks {
 public:
  explicit Masks(const AttentionArgs& args) : args_(args) {
    if (args.mask == nullptr) return;
    if (args.mask->dtype() == DType::Bool)
      seen_ = args.mask->view<bool, 4>();
    else if (args.mask->dtype() == DType::F32)
      added_f32_ = args.mask->view<float, 4>();
    else
      added_ = args.mask->view<T, 4>();
  }

  /// -inf: not seen.
  double added(const Entry& e, std::int64_t h, std::int64_t i, std::int64_t j) const {
    const std::int64_t diagonal = i + e.diagonal;
    if (j >= e.keys) return -kInfinity;
    if (args_.causal != Causal::No && j > i + e.causal) return -kInfinity;
    if (args_.window[0] >= 0 && diagonal - j > args_.window[0]) return -kInfinity;
    if (args_.window[1] >= 0 && j - diagonal > args_.window[1]) return -kInfinity;
    if (seen_.data != nullptr) return at(seen_, e, h, i, j) ? 0 : -kInfinity;
    if (added_f32_.data != nullptr) return static_cast<double>(at(added_f32_, e, h, i, j));
    if (added_.data != nullptr) return convert<double>(at(added_, e, h, i, j));
    return 0;
  }

 private:
  template <class M>
  static M at(const View<const M, 4>& mask, const Entry& e, std::int64_t h, std::int64_t i,
              std::int64_t j) {
    return mask(mask.extent[0] == 1 ? 0 : e.batch, mask.extent[1] == 1 ? 0 : h,
                mask.extent[2] == 1 ? 0 : e.first_q + i, e.first_k + j);
  }

  const AttentionArgs& args_;
  View<const bool, 4> seen_;
  View<const float, 4> added_f32_;
  View<const T, 4> added_;
};

template <class T>
struct Inputs {
  View<const T, 4> q, k, v;  // [batch, seq, heads, head_dim]; packed: batch 1
  double scale;
};

struct Row {
  std::vector<double> scores;      // of the keys that are seen
  std::vector<std::int64_t> keys;  // their places
  std::vector<double> out;         // [head_dim]
};

// Writes row.out; returns the log-sum-exp. Row has room for every key.
template <class T>
double attend_row(const Inputs<T>& in, const Masks<T>& masks, const Entry& e, std::int64_t h,
                  std::int64_t i, Row& row) noexcept {
  const std::int64_t kv_head = h / (in.q.extent[2] / in.k.extent[2]), head_dim = in.q.extent[3];
  auto& [scores, seen, out] = row;
  scores.clear();
  seen.clear();
  double most = -kInfinity;
  for (std::int64_t j = 0; j < e.seq_kv; ++j) {
    const double added = masks.added(e, h, i, j);
    if (added == -kInfinity) continue;
    double dot = 0;
    for (std::int64_t d = 0; d < head_dim; ++d)
      dot += convert<double>(in.q(e.batch, e.first_q + i, h, d)) *
             convert<double>(in.k(e.batch, e.first_k + j, kv_head, d));
    scores.push_back(dot * in.scale + added);
    seen.push_back(j);
    most = std::isnan(scores.back()) ? scores.back() : std::max(most, scores.back());
  }
  std::fill(out.begin(), out.end(), 0.0);
  if (seen.empty()) return -kInfinity;
  double sum = 0;
  for (std::size_t n = 0; n < seen.size(); ++n) {
    const double p = std::exp(scores[n] - most);
    sum += p;
    for (std::int64_t d = 0; d < head_dim; ++d)
      out[static_cast<std::size_t>(d)] +=
          p * convert<double>(in.v(e.batch, e.first_k + seen[n], kv_head, d));
  }
  for (double& x : out) x /= sum;
  // Only scores of -inf (from Inf in q or k): the sum of their exponents is 0, and 0 / 0 is NaN.
  return most == -kInfinity ? most : most + std::log(sum);
}

std::vector<Entry> entries_of(const AttentionArgs& args) {
  std::vector<Entry> entries;
  const bool packed = args.cu_seqlens_q != nullptr;
  const std::int64_t count = packed ? args.cu_seqlens_q->shape()[0] - 1 : args.q.shape()[0];
  for (std::int64_t n = 0; n < count; ++n) {
    Entry e{n, 0, 0, args.q.shape()[1], args.k.shape()[1], 0, 0, 0};
    if (packed) {
      const auto cu_q = args.cu_seqlens_q->view<std::int32_t, 1>();
      const auto cu_k = args.cu_seqlens_k->view<std::int32_t, 1>();
      e = {0, cu_q(n), cu_k(n), cu_q(n + 1) - cu_q(n), cu_k(n + 1) - cu_k(n), 0, 0, 0};
    }
    e.keys = e.seq_kv;
    if (args.kv_lengths != nullptr)
      e.keys = std::min<std::int64_t>(e.keys, args.kv_lengths->view<std::int32_t, 1>()(n));
    e.diagonal = args.diagonals != nullptr ? args.diagonals->view<std::int32_t, 1>()(n)
                                           : e.keys - e.seq_q;  // bottom-right
    const bool top_left = args.causal == Causal::TopLeft && args.diagonals == nullptr;
    e.causal = top_left ? 0 : e.diagonal;
    entries.push_back(e);
  }
  return entries;
}

Tensor with_batch(const Tensor& x, bool packed) {
  return packed ? x.unsqueeze(0) : x;
}

template <class T, class Out>
void run_typed(int threads, const AttentionArgs& args, Tensor& out, Tensor* lse) {
  const bool packed = args.cu_seqlens_q != nullptr;
  const std::int64_t heads = args.q.shape()[-2], head_dim = args.q.shape()[-1];
  const double scale = args.scale != 0 ? args.scale : 1 / std::sqrt(static_cast<double>(head_dim));
  const Inputs<T> in{with_batch(args.q, packed).view<const T, 4>(),
                     with_batch(args.k, packed).view<const T, 4>(),
                     with_batch(args.v, packed).view<const T, 4>(), scale};
  Tensor out4 = with_batch(out, packed);
  const View<Out, 4> to = out4.view<Out, 4>();
  Tensor lse3 = lse == nullptr ? Tensor() : with_batch(*lse, packed);
  const View<float, 3> lse_to = lse == nullptr ? View<float, 3>{} : lse3.view<float, 3>();
  const Masks<T> masks(args);

  std::vector<Row> rows(static_cast<std::size_t>(threads));
  for (Row& row : rows) {
    row.scores.reserve(static_cast<std::size_t>(in.k.extent[1]));
    row.keys.reserve(static_cast<std::size_t>(in.k.extent[1]));
    row.out.resize(static_cast<std::size_t>(head_dim));
  }

  for (const Entry& e : entries_of(args)) {
    parallel_for(threads, heads * e.seq_q, 1, [&](std::int64_t begin, std::int64_t end, int t) {
      Row& row = rows[static_cast<std::size_t>(t)];
      for (std::int64_t at = begin; at < end; ++at) {
        const std::int64_t h = at / e.seq_q, i = at % e.seq_q;
        const double log_sum = attend_row(in, masks, e, h, i, row);
        for (std::int64_t d = 0; d < head_dim; ++d)
          to(e.batch, e.first_q + i, h, d) = convert<Out>(row.out[static_cast<std::size_t>(d)]);
        if (lse != nullptr) lse_to(e.batch, h, e.first_q + i) = static_cast<float>(log_sum);
      }
    });
  }
}

class ReferenceAttention final : public AttentionBackend {
 public:
  std::string_view name() const noexcept override { return "reference"; }

  std::optional<std::string> refusal(const AttentionSpec&) const override { return std::nullopt; }

  void run(Stream& stream, Workspace&, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override {
    check(args, out, lse);
    const int threads = host_threads(stream);
    with_floating(args.q.dtype(), [&](auto value) {
      using T = decltype(value);
      if (out.dtype() == args.q.dtype())
        run_typed<T, T>(threads, args, out, lse);
      else
        run_typed<T, float>(threads, args, out, lse);
    });
  }
};

}  // namespace

const AttentionBackend& reference_attention() noexcept {
  static const ReferenceAttention backend;
  return backend;
}

}  // namespace annulus
