#include "fia.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "memory.h"

namespace fake_cann {

namespace {

constexpr int kTiling = abi::ACLNN_ERR_INNER_TILING_ERROR;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLowest = -3.4028234663852886e38;  // f32
constexpr std::int64_t kSmallMask = 2048;

// Where the elements of one layout lie: strides of [batch, seq, heads, head_dim].
struct Layout {
  std::int64_t batch, seq, heads, head_dim;
  std::int64_t step_batch, step_seq, step_heads;

  std::size_t at(std::int64_t b, std::int64_t s, std::int64_t n) const {
    return static_cast<std::size_t>(b * step_batch + s * step_seq + n * step_heads);
  }
};

Layout by_seq(std::int64_t batch, std::int64_t seq, std::int64_t heads, std::int64_t dim) {
  return {batch, seq, heads, dim, seq * heads * dim, heads * dim, dim};
}
Layout by_head(std::int64_t batch, std::int64_t seq, std::int64_t heads, std::int64_t dim) {
  return {batch, seq, heads, dim, seq * heads * dim, dim, seq * dim};
}

enum class Kind { SeqFirst, HeadFirst, Packed };

struct Problem {
  FiaCall call;
  abi::aclTensor q, k, v, out, mask, lse;
  Layout q_at, k_at, out_at;
  bool packed = false, masked = false;
  std::int64_t kv_heads = 0;
  Dims starts_q, lengths_q, starts_k, lengths_k;  // of each entry
  std::set<std::string> defects;
  std::string no_keys;
};

// Which keys does a query see? Nothing said of lengths.
bool by_geometry(const Problem& p, std::int64_t i, std::int64_t j, std::int64_t shift) {
  switch (p.call.sparse_mode) {
    case 0:
      return !p.masked || (j >= i - p.call.before && j <= i + p.call.after);
    case 2:
      return j <= i;
    case 3:
      return j <= i + shift;
    case 4:
      return j >= i + shift - p.call.before && j <= i + shift + p.call.after;
    default:
      return true;
  }
}

class FullMask {
 public:
  explicit FullMask(const Problem& p) {
    if (!p.masked || p.call.sparse_mode > 1) return;
    values_ = gather(p.mask);
    const Dims& dims = p.mask.dims;
    columns_ = dims.back();
    rows_ = dims.size() == 2 && p.q_at.seq == 1 ? 1 : dims[dims.size() - 2];
    const bool batched = dims.size() > 2 || p.q_at.seq == 1;
    batch_ = batched ? dims[0] : 1;
    // Reported of real stacks: a mask that is repeated is not looked at past key 512.
    blind_ = p.defects.contains("bool_mask_512") && (batch_ == 1 || rows_ == 1) ? 512 : columns_;
  }

  bool hides(std::int64_t b, std::int64_t i, std::int64_t j) const {
    if (values_.empty() || j >= blind_) return false;
    const std::int64_t row = (batch_ == 1 ? 0 : b) * rows_ + (rows_ == 1 ? 0 : i);
    return values_[static_cast<std::size_t>(row * columns_ + j)] != 0;
  }

 private:
  Values values_;
  std::int64_t batch_ = 1, rows_ = 1, columns_ = 0, blind_ = 0;
};

void check_small_mask(const Problem& p) {
  if (!p.masked || p.call.sparse_mode < 2) return;
  const std::byte* const values = shadow_of(p.mask.data) + p.mask.offset;
  for (std::int64_t i = 0; i < kSmallMask; ++i)
    for (std::int64_t j = 0; j < kSmallMask; ++j)
      if ((values[i * kSmallMask + j] != std::byte{0}) != (j > i)) {
        problem("the 2048 x 2048 mask is not strictly upper triangular");
        return;
      }
}

struct Results {
  Values out, lse;
};

class Attention {
 public:
  Attention(const Problem& p, Results& to)
      : p_(p), q_(gather(p.q)), k_(gather(p.k)), v_(gather(p.v)), mask_(p), to_(to) {}

  void run() {
    for (std::size_t b = 0; b < p_.lengths_q.size(); ++b)
      for (std::int64_t n = 0; n < p_.q_at.heads; ++n)
        for (std::int64_t i = 0; i < p_.lengths_q[b]; ++i) row(static_cast<std::int64_t>(b), n, i);
  }

 private:
  void row(std::int64_t b, std::int64_t n, std::int64_t i) {
    const auto entry = static_cast<std::size_t>(b);
    const std::int64_t keys = p_.lengths_k[entry], shift = keys - p_.lengths_q[entry];
    const std::int64_t batch = p_.packed ? 0 : b, group = p_.q_at.heads / p_.kv_heads,
                       dim = p_.q_at.head_dim;
    const double* const q = q_.data() + p_.q_at.at(batch, p_.starts_q[entry] + i, n);
    Values scores;
    std::vector<std::int64_t> seen;
    bool any_by_geometry = false;
    for (std::int64_t j = 0; j < keys; ++j) {
      if (!by_geometry(p_, i, j, shift)) continue;
      any_by_geometry = true;
      if (mask_.hides(b, i, j)) continue;
      const double* const k = k_.data() + p_.k_at.at(batch, p_.starts_k[entry] + j, n / group);
      double score = 0;
      for (std::int64_t d = 0; d < dim; ++d) score += q[d] * k[d];
      scores.push_back(score * p_.call.scale);
      seen.push_back(j);
    }
    const bool fixes = (p_.call.inner_precise & 2) != 0 || !any_by_geometry;
    if (p_.defects.contains("fp16_tnd_mean") && p_.packed && p_.q.type == abi::ACL_FLOAT16 &&
        !p_.masked)
      std::fill(scores.begin(), scores.end(), 0.0);
    if (!seen.empty()) return weigh(entry, batch, n, i, scores, seen);
    if (fixes || keys == 0) return nothing(entry, batch, n, i, keys);
    // Every key hidden by the client's mask, and nobody was asked to care: uniform weights.
    for (std::int64_t j = 0; j < keys; ++j) seen.push_back(j);
    scores.assign(seen.size(), 0);
    weigh(entry, batch, n, i, scores, seen);
    lse_at(entry, batch, n, i) = kLowest;
  }

  void weigh(std::size_t entry, std::int64_t batch, std::int64_t n, std::int64_t i,
             const Values& scores, const std::vector<std::int64_t>& seen) {
    double most = -kInfinity, sum = 0;
    for (const double score : scores) most = std::isnan(score) ? score : std::max(most, score);
    double* const out = to_.out.data() + p_.out_at.at(batch, p_.starts_q[entry] + i, n);
    std::fill(out, out + p_.q_at.head_dim, 0.0);
    const std::int64_t group = p_.q_at.heads / p_.kv_heads;
    for (std::size_t s = 0; s < seen.size(); ++s) {
      const double weight = std::exp(scores[s] - most);
      const double* const v =
          v_.data() + p_.k_at.at(batch, p_.starts_k[entry] + seen[s], n / group);
      sum += weight;
      for (std::int64_t d = 0; d < p_.q_at.head_dim; ++d) out[d] += weight * v[d];
    }
    for (std::int64_t d = 0; d < p_.q_at.head_dim; ++d) out[d] /= sum;
    const double lse = std::log(sum) + most;
    lse_at(entry, batch, n, i) = p_.defects.contains("wrong_lse") ? lse / std::log(2.0) : lse;
  }

  void nothing(std::size_t entry, std::int64_t batch, std::int64_t n, std::int64_t i,
               std::int64_t keys) {
    double* const out = to_.out.data() + p_.out_at.at(batch, p_.starts_q[entry] + i, n);
    std::fill(out, out + p_.q_at.head_dim, 0.0);
    const bool decode = p_.q_at.seq == 1 && !p_.packed && keys == 0;
    lse_at(entry, batch, n, i) = decode || p_.no_keys == "lowest" ? kLowest : kInfinity;
  }

  double& lse_at(std::size_t entry, std::int64_t batch, std::int64_t n, std::int64_t i) {
    const std::int64_t s = p_.starts_q[entry] + i;
    return to_.lse[static_cast<std::size_t>(
        p_.packed ? s * p_.q_at.heads + n : (batch * p_.q_at.heads + n) * p_.q_at.seq + s)];
  }

  const Problem& p_;
  Values q_, k_, v_;
  FullMask mask_;
  Results& to_;
};

void compute(const Problem& p) {
  check_small_mask(p);
  const auto rows =
      static_cast<std::size_t>(p.q_at.heads * p.q_at.seq * (p.packed ? 1 : p.q_at.batch));
  Results results{Values(static_cast<std::size_t>(p.out.elements()), 0), Values(rows, kInfinity)};
  const bool written = p.k.elements() > 0 || p.no_keys != "unwritten";
  if (p.k.elements() > 0)
    Attention(p, results).run();
  else if (p.no_keys == "lowest")
    std::fill(results.lse.begin(), results.lse.end(), kLowest);
  if (!p.defects.contains("stale_out")) scatter(p.out, results.out);
  if (p.call.lse_flag && written) scatter(p.lse, results.lse);
}

// ---- Checks ----

void check_inputs(Plan& plan, Problem& p) {
  const FiaCall& call = p.call;
  p.q = plan.tensor(call.query);
  for (const abi::List list : {call.key, call.value}) {
    plan.require(list != nullptr, abi::ACLNN_ERR_PARAM_NULLPTR, "key or value is NULL");
    if (plan.failed()) return;
    plan.require(is_live(list), abi::ACLNN_ERR_PARAM_INVALID, "a tensor list was destroyed");
    if (plan.failed()) return;
    plan.require(list->members.size() == 1, kTiling, "lists of several tensors are not emulated");
    if (plan.failed()) return;
  }
  p.k = plan.tensor(call.key->members[0]);
  p.v = plan.tensor(call.value->members[0]);
  p.out = plan.tensor(call.out);
  if (plan.failed()) return;
  plan.require(p.q.type == abi::ACL_FLOAT16 || p.q.type == abi::ACL_BF16,
               abi::ACLNN_ERR_PARAM_INVALID, "query is neither FLOAT16 nor BFLOAT16");
  for (const abi::aclTensor* x : {&p.k, &p.v, &p.out})
    plan.require(x->type == p.q.type, abi::ACLNN_ERR_PARAM_INVALID,
                 "key, value or attentionOut is not of query's dtype");
  for (const abi::aclTensor* x : {&p.q, &p.k, &p.v, &p.out})
    plan.require(x->contiguous(), kTiling, "a tensor is not contiguous");
  plan.require(p.v.dims == p.k.dims, kTiling, "value is not of key's shape");
  for (const void* given : call.quantised)
    plan.require(given == nullptr, kTiling, "a quantised or paged argument is not emulated");
  for (const std::int64_t number : call.quantisation)
    plan.require(number == 0, kTiling, "a quantisation mode is not 0");
  plan.require(call.block_size == 0, kTiling, "blockSize without paged keys");
}

void check_layout(Plan& plan, Problem& p) {
  if (plan.failed()) return;
  const std::string layout = p.call.layout != nullptr ? p.call.layout : "";
  const Dims &q = p.q.dims, &k = p.k.dims;
  const std::int64_t heads = p.call.heads;
  plan.require(heads > 0, kTiling, "numHeads is not positive");
  if (plan.failed()) return;
  p.kv_heads = p.call.kv_heads == 0 ? heads : p.call.kv_heads;
  plan.require(p.kv_heads > 0 && heads % p.kv_heads == 0, kTiling,
               "numHeads is not a multiple of numKeyValueHeads");
  if (plan.failed()) return;
  Dims wanted_out = q;
  bool ranks = q.size() == 4 && k.size() == 4;
  if (layout == "BNSD" || layout == "BNSD_BSND") {
    if (ranks) {
      p.q_at = p.out_at = by_head(q[0], q[2], q[1], q[3]);
      p.k_at = by_head(k[0], k[2], k[1], k[3]);
      if (layout == "BNSD_BSND") {
        p.out_at = by_seq(q[0], q[2], q[1], q[3]);
        wanted_out = {q[0], q[2], q[1], q[3]};
        plan.require(q[2] > 1, kTiling, "BNSD_BSND with one query");
      }
    }
  } else if (layout == "BSND") {
    if (ranks) {
      p.q_at = p.out_at = by_seq(q[0], q[1], q[2], q[3]);
      p.k_at = by_seq(k[0], k[1], k[2], k[3]);
    }
  } else if (layout == "BSH") {
    ranks = q.size() == 3 && k.size() == 3 && q[2] % heads == 0 && k[2] % p.kv_heads == 0;
    if (ranks) {
      p.q_at = p.out_at = by_seq(q[0], q[1], heads, q[2] / heads);
      p.k_at = by_seq(k[0], k[1], p.kv_heads, k[2] / p.kv_heads);
    }
  } else if (layout == "TND") {
    ranks = q.size() == 3 && k.size() == 3;
    p.packed = true;
    if (ranks) {
      p.q_at = p.out_at = by_seq(1, q[0], q[1], q[2]);
      p.k_at = by_seq(1, k[0], k[1], k[2]);
    }
  } else {
    plan.require(false, kTiling, "inputLayout \"" + layout + "\" is unknown, or not emulated");
  }
  plan.require(ranks, kTiling, "shapes do not fit inputLayout " + layout);
  plan.require(p.out.dims == wanted_out, kTiling,
               "attentionOut is not of shape " + text_of(wanted_out));
}

void check_sizes(Plan& plan, Problem& p, bool newest) {
  if (plan.failed()) return;
  const std::int64_t dim = p.q_at.head_dim;
  plan.require(p.q_at.heads == p.call.heads && p.k_at.heads == p.kv_heads, kTiling,
               "numHeads or numKeyValueHeads is not that of the tensors");
  plan.require(p.q_at.batch == p.k_at.batch && p.q_at.batch <= 65536, kTiling,
               "batches differ, or are too many");
  plan.require(p.k_at.head_dim == dim && dim > 0 && dim <= 512 && dim % 16 == 0, kTiling,
               "head_dim is not a multiple of 16 up to 512, the same in all");
  plan.require(newest || (p.call.heads <= 256 && p.call.heads / p.kv_heads <= 64), kTiling,
               "more than 256 heads, or more than 64 for each of the keys'");
  plan.require(p.q_at.seq <= 20971520 && p.k_at.seq <= 20971520, kTiling, "sequence too long");
  plan.require(p.call.sparse_mode >= 0 && p.call.sparse_mode <= 4, kTiling, "sparseMode");
  const bool two_modes = p.packed || p.q_at.seq == 1;
  plan.require(p.call.inner_precise >= 0 && p.call.inner_precise <= (two_modes ? 1 : 3), kTiling,
               "innerPrecise " + std::to_string(p.call.inner_precise));
  plan.require(p.q.elements() > 0, kTiling, "empty query");
  if (!p.packed) return;
  const bool tolerated = p.defects.contains("fp16_tnd_mean") && p.q.type == abi::ACL_FLOAT16;
  plan.require(p.q.type == abi::ACL_BF16 || tolerated, kTiling,
               "TND: inputDataType should be bf16");
  plan.require(dim == 64 || dim == 128 || dim == 192, kTiling,
               "TND: head_dim is not 64, 128 or 192");
  plan.require(dim != 192 || p.kv_heads == p.call.heads, kTiling, "TND: head_dim 192 with GQA");
}

void check_lengths(Plan& plan, Problem& p) {
  if (plan.failed()) return;
  const auto given = [&](abi::Ints array) {
    plan.require(array == nullptr || is_live(array), abi::ACLNN_ERR_PARAM_INVALID,
                 "an array of lengths was destroyed");
    return plan.failed() || array == nullptr ? Dims() : array->values;
  };
  const Dims q = given(p.call.lengths), k = given(p.call.lengths_kv);
  if (plan.failed()) return;
  if (p.packed) {
    plan.require(!q.empty() && q.size() == k.size() && q.size() <= 4096, kTiling,
                 "TND: lengths of queries and keys are not given alike");
    const auto cumulative = [&](const Dims& ends, std::int64_t total, Dims& starts, Dims& lengths) {
      std::int64_t before = 0;
      for (const std::int64_t end : ends) {
        plan.require(end >= before, kTiling, "TND: lengths are not cumulative");
        starts.push_back(before);
        lengths.push_back(end - before);
        before = end;
      }
      plan.require(before == total, kTiling, "TND: lengths do not end at the number of tokens");
    };
    if (plan.failed()) return;
    cumulative(q, p.q_at.seq, p.starts_q, p.lengths_q);
    cumulative(k, p.k_at.seq, p.starts_k, p.lengths_k);
    return;
  }
  const auto batch = static_cast<std::size_t>(p.q_at.batch);
  const auto each = [&](const Dims& array, std::int64_t all, Dims& starts, Dims& lengths) {
    starts.assign(batch, 0);
    lengths.assign(batch, all);
    if (array.empty()) return;
    plan.require(array.size() == 1 || array.size() >= batch, kTiling, "wrong number of lengths");
    for (std::size_t b = 0; !plan.failed() && b < batch; ++b) {
      lengths[b] = array[array.size() == 1 ? 0 : b];
      plan.require(lengths[b] >= 0 && lengths[b] <= all, kTiling, "a length beyond the sequence");
    }
  };
  each(p.q_at.seq == 1 ? Dims() : q, p.q_at.seq, p.starts_q, p.lengths_q);
  each(k, p.k_at.seq, p.starts_k, p.lengths_k);
}

void check_mask(Plan& plan, Problem& p, bool newest) {
  plan.optional(p.call.mask);
  if (plan.failed()) return;
  p.masked = p.call.mask != nullptr;
  const std::int64_t mode = p.call.sparse_mode;
  const bool decode = p.q_at.seq == 1 && !p.packed;
  if (decode) p.call.sparse_mode = p.call.sparse_mode > 1 ? 1 : p.call.sparse_mode;  // ignored
  if (!p.masked) {
    plan.require(mode == 0 || decode, kTiling, "sparseMode without a mask");
    return;
  }
  p.mask = *p.call.mask;
  plan.require(
      p.mask.type == abi::ACL_BOOL || p.mask.type == abi::ACL_INT8 || p.mask.type == abi::ACL_UINT8,
      abi::ACLNN_ERR_PARAM_INVALID, "attenMask is not BOOL, INT8 or UINT8");
  plan.require(p.mask.contiguous(), kTiling, "attenMask is not contiguous");
  Dims dims = p.mask.dims;
  plan.require(dims.size() >= 2 && dims.size() <= 4, kTiling, "attenMask is not of rank 2 to 4");
  if (plan.failed()) return;
  if (p.packed) {
    plan.require(mode == 3, kTiling, "TND: a mask in another mode than 3");
    for (std::size_t b = 0; !plan.failed() && b < p.lengths_q.size(); ++b)
      plan.require(p.lengths_q[b] <= p.lengths_k[b], kTiling,
                   "TND: more queries than keys in mode 3");
  }
  if (mode >= 2 && !decode) {
    while (dims.size() > 2 && dims.front() == 1) dims.erase(dims.begin());
    plan.require(dims == Dims{kSmallMask, kSmallMask}, kTiling, "attenMask is not 2048 x 2048");
    if (mode == 4)
      plan.require(p.call.before + p.call.after >= 0 && (p.call.before >= 0 || p.call.after >= 0),
                   kTiling, "preTokens and nextTokens leave nothing");
    return;
  }
  plan.require(!newest || dims.size() > 2, kTiling, "attenMask of rank 2");
  if (dims.size() == 4) {
    plan.require(dims[1] == 1, kTiling, "attenMask per head");
    dims.erase(dims.begin() + 1);
  }
  const std::int64_t rows = dims.size() == 2 && decode ? 1 : dims[dims.size() - 2];
  plan.require(dims.back() >= p.k_at.seq && rows >= p.q_at.seq, kTiling,
               "attenMask is smaller than [queries, keys]");
  const bool batched = dims.size() == 3 || decode;
  plan.require(!batched || dims[0] == 1 || dims[0] == p.q_at.batch, kTiling,
               "attenMask's batch is neither 1 nor the query's");
}

void check_lse(Plan& plan, Problem& p) {
  if (!p.call.lse_flag) return;
  p.lse = plan.tensor(p.call.lse);
  if (plan.failed()) return;
  const Dims wanted = p.packed ? Dims{p.q_at.seq, p.q_at.heads, 1}
                               : Dims{p.q_at.batch, p.q_at.heads, p.q_at.seq, 1};
  plan.require(p.lse.type == abi::ACL_FLOAT && p.lse.dims == wanted && p.lse.contiguous(), kTiling,
               "softmaxLse is not FLOAT of " + text_of(wanted));
}

}  // namespace

int plan_fia(const FiaCall& call, std::uint64_t* workspace, abi::aclOpExecutor** executor) {
  Plan plan(call.name, workspace, executor);
  const Settings now = settings();
  const bool newest = now.soc.starts_with("Ascend950"),
             middle = now.soc.starts_with("Ascend910B") || now.soc.starts_with("Ascend910_93");
  plan.require(newest ? call.version == 5 : middle && call.version < 5 && now.soc != "Ascend910B",
               561003, "no kernel of this version for " + now.soc);
  Problem p{.call = call};
  p.defects = now.defects;
  p.no_keys = now.no_keys;
  check_inputs(plan, p);
  check_layout(plan, p);
  check_sizes(plan, p, newest);
  check_lengths(plan, p);
  check_mask(plan, p, newest);
  check_lse(plan, p);
  return plan.done([p] { compute(p); }, 4096);
}

}  // namespace fake_cann
