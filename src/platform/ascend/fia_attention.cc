#include <algorithm>
#include <cmath>
#include <limits>

#include "platform/added_mask.h"
#include "platform/ascend/ascend_attention.h"
#include "tensor/host_device.h"

namespace annulus::ascend {

namespace {

constexpr std::int64_t kHeadUnit = 16, kMostHeadDim = 512, kMostHeads = 256, kMostRatio = 64;
constexpr std::int64_t kSmallMask = 2048;
constexpr float kNoKeys = 1e38f;  // an LSE beyond it, either way, says that no key was seen

// The keys a query may see by its place: lower <= j - i <= upper.
struct Band {
  std::int64_t lower = -kAllTokens, upper = kAllTokens;

  bool all(std::int64_t seq_q, std::int64_t keys) const noexcept {
    return lower <= -(seq_q - 1) && upper >= keys - 1;
  }
  bool operator==(const Band&) const = default;
};

Band band_of(const AttentionArgs& args, const AttentionEntry& e) noexcept {
  Band band;
  if (args.causal != Causal::No) band.upper = e.causal;
  if (args.window[0] >= 0) band.lower = e.diagonal - args.window[0];
  if (args.window[1] >= 0) band.upper = std::min(band.upper, e.diagonal + args.window[1]);
  return band;
}

// A call's worth: entries of a batch that share their band.
struct Piece {
  Tensor q;     // [batch, seq_q, heads, head_dim]
  Tensor k, v;  // [batch, seq_kv, kv_heads, head_dim]
  Tensor out;   // [batch, seq_q, heads, head_dim]
  Tensor lse;   // [batch, heads, seq_q], where wanted
  Tensor mask;  // [batch | 1, heads | 1, seq_q | 1, seq_kv] bool, true = seen; where given
  std::vector<std::int64_t> keys;  // [batch] of the entries
  Band band;                       // i, j from the piece's first query and key
};

// Queries and keys of the piece that are left when those beyond `first` and `last` keys are gone.
void keep_keys(Piece& p, std::int64_t first, std::int64_t last) {
  p.k = p.k.slice(1, first, last);
  p.v = p.v.slice(1, first, last);
  if (p.mask.defined()) p.mask = p.mask.slice(3, first, last);
  for (std::int64_t& count : p.keys)
    count = std::clamp<std::int64_t>(count - first, 0, last - first);
  p.band.lower -= first;
  p.band.upper -= first;
}

// From the host: bytes, 1 = hidden.
Tensor uploaded(const Aclnn& aclnn, const Shape& shape, const std::vector<std::uint8_t>& hidden) {
  HostDevice host(1, "mask");
  Tensor made = Tensor::empty(shape, DType::Bool, host);
  std::transform(hidden.begin(), hidden.end(), made.data<bool>(),
                 [](std::uint8_t value) { return value != 0; });
  Tensor sent = aclnn.empty(shape, DType::Bool);
  aclnn.device().copy(aclnn.stream(), made, sent);
  return sent;
}

class Caller {
 public:
  Caller(Stream& stream, int version, const SmallMask& small_mask, float scale)
      : aclnn_(stream), version_(version), small_mask_(small_mask), scale_(scale) {}

  void run(Piece p) const {
    if (p.out.elements() == 0) return;
    const std::int64_t seq_q = p.q.shape()[1];
    // Nobody sees keys outside of the band of the first and the last query.
    const std::int64_t most = *std::max_element(p.keys.begin(), p.keys.end());
    const std::int64_t last = std::min(most, p.band.upper + seq_q),
                       first = std::clamp<std::int64_t>(p.band.lower, 0,
                                                        std::max<std::int64_t>(last, 0));
    if (last <= first || p.band.upper < p.band.lower) return nothing(p);
    keep_keys(p, first, last);
    if (p.mask.defined() && p.mask.shape()[1] > 1) return by_heads(p);
    call(p);
  }

 private:
  void nothing(Piece& p) const {
    aclnn_.device().fill(aclnn_.stream(), p.out, 0);
    if (p.lse.defined())
      aclnn_.device().fill(aclnn_.stream(), p.lse, -std::numeric_limits<double>::infinity());
  }

  // The operator's masks are the same for all heads.
  void by_heads(const Piece& p) const {
    const std::int64_t heads = p.q.shape()[2], group = heads / p.k.shape()[2];
    for (std::int64_t head = 0; head < heads; ++head) {
      Piece one = p;
      one.q = p.q.slice(2, head, head + 1);
      one.k = p.k.slice(2, head / group, head / group + 1);
      one.v = p.v.slice(2, head / group, head / group + 1);
      one.out = p.out.slice(2, head, head + 1);
      if (p.lse.defined()) one.lse = p.lse.slice(1, head, head + 1);
      one.mask = p.mask.slice(1, head, head + 1);
      call(one);
    }
  }

  // [batch, heads, seq, head_dim rounded up], contiguous.
  Tensor prepared(const Tensor& x) const {
    const Tensor turned = x.permute({0, 2, 1, 3});
    const std::int64_t head_dim = x.shape()[3],
                       wide = (head_dim + kHeadUnit - 1) / kHeadUnit * kHeadUnit;
    if (wide == head_dim) return aclnn_.contiguous(turned);
    Tensor padded = aclnn_.empty(turned.shape().with(3, wide), x.dtype());
    aclnn_.device().fill(aclnn_.stream(), padded, 0);
    Tensor inner = padded.slice(3, 0, head_dim);
    aclnn_.copy(turned, inner);
    return padded;
  }

  // The boolean mask in the operator's sense and in full shape (repeated ones were seen to go
  // wrong), with the band.
  Tensor full_mask(const Piece& p) const {
    const std::int64_t batch = p.q.shape()[0], seq_q = p.q.shape()[1], keys = p.k.shape()[1];
    Tensor hidden = aclnn_.empty({1}, DType::Bool), seen = aclnn_.empty({1}, DType::Bool);
    aclnn_.fill(hidden, 1);
    aclnn_.fill(seen, 0);
    if (!p.band.all(seq_q, keys)) {
      std::vector<std::uint8_t> outside(static_cast<std::size_t>(seq_q * keys));
      for (std::int64_t i = 0; i < seq_q; ++i)
        for (std::int64_t j = 0; j < keys; ++j)
          outside[static_cast<std::size_t>(i * keys + j)] =
              j - i < p.band.lower || j - i > p.band.upper ? 1 : 0;
      seen = uploaded(aclnn_, {1, 1, seq_q, keys}, outside);
    }
    Tensor made = aclnn_.empty({batch, 1, seq_q, keys}, DType::Bool);
    aclnn_.where(p.mask, seen, hidden, made);
    return made;
  }

  void call(const Piece& p) const {
    const std::int64_t batch = p.q.shape()[0], seq_q = p.q.shape()[1], heads = p.q.shape()[2],
                       head_dim = p.q.shape()[3], keys = p.k.shape()[1];
    const bool whole =
        std::all_of(p.keys.begin(), p.keys.end(), [&](std::int64_t n) { return n == keys; });
    std::int64_t mode = 0, before = kAllTokens, after = kAllTokens;
    Tensor mask;
    if (p.mask.defined()) {
      mask = full_mask(p);
      mode = 1;
    } else if (!p.band.all(seq_q,
                           keys)) {  // seq_q > 1: keys of a single query were cut to its band
      // All entries share the band, and so its place relative to the bottom-right diagonal.
      const std::int64_t shift = p.keys.front() - seq_q;
      mask = small_mask_.on(aclnn_.stream());
      mode = 4;
      if (p.band.lower > -kAllTokens / 2) before = shift - p.band.lower;
      if (p.band.upper < kAllTokens / 2) after = p.band.upper - shift;
      if (before == kAllTokens && after == 0) mode = 3;
    }
    // Bit 1: rows without a key get zeros. Only kernels of several queries have it.
    const std::int64_t precise = mask.defined() && seq_q > 1 ? 2 : 0;
    const Tensor q = prepared(p.q), k = prepared(p.k), v = prepared(p.v),
                 out = aclnn_.empty(q.shape(), q.dtype()),
                 lse = aclnn_.empty({batch, heads, seq_q, 1}, DType::F32);
    call_fia(aclnn_, version_,
             {.query = q,
              .key = k,
              .value = v,
              .mask = mask.defined() ? &mask : nullptr,
              .kv_lengths = whole ? std::vector<std::int64_t>() : p.keys,
              .scale = static_cast<double>(scale_),
              .sparse_mode = mode,
              .pre_tokens = before,
              .next_tokens = after,
              .inner_precise = precise,
              .attention_out = out,
              .softmax_lse = lse});
    const Tensor result = out.slice(3, 0, head_dim).permute({0, 2, 1, 3});
    if (mask.defined() || !whole) return neutralised(p, result, lse);
    Tensor to = p.out, to_lse = p.lse;
    aclnn_.copy(result, to);
    if (to_lse.defined()) aclnn_.copy(lse.reshape({batch, heads, seq_q}), to_lse);
  }

  // Rows without a key become out 0 and LSE -inf; NaN stays.
  void neutralised(const Piece& p, const Tensor& result, const Tensor& lse) const {
    const Shape rows{lse.shape()[0], lse.shape()[1], lse.shape()[2]};
    const Tensor flat = lse.reshape(rows);
    Tensor zero = aclnn_.empty({1}, result.dtype()), none = aclnn_.empty({1}, DType::F32),
           out = aclnn_.empty(result.shape(), result.dtype()),
           marked = aclnn_.empty(rows, DType::F32);
    aclnn_.fill(zero, 0);
    aclnn_.fill(none, -std::numeric_limits<double>::infinity());
    aclnn_.where(aclnn_.greater(flat, kNoKeys), none, flat, marked);
    const Tensor dead = aclnn_.less(marked, -kNoKeys);
    aclnn_.where(dead.permute({0, 2, 1}).unsqueeze(3), zero, result, out);
    Tensor to = p.out, to_lse = p.lse;
    aclnn_.copy(out, to);
    if (to_lse.defined()) aclnn_.where(dead, none, marked, to_lse);
  }

  Aclnn aclnn_;
  int version_;
  const SmallMask& small_mask_;
  float scale_;
};

Piece piece_of(const AttentionArgs& args, const AttentionEntry& e, const Tensor& out,
               const Tensor* lse) {
  const bool packed = args.cu_seqlens_q != nullptr;
  const auto rows = [&](const Tensor& x, std::int64_t first, std::int64_t count) {
    const Tensor entry = packed ? x.unsqueeze(0) : x.slice(0, e.batch, e.batch + 1);
    return entry.slice(1, first, first + count);
  };
  Piece p{.q = rows(args.q, e.first_q, e.seq_q),
          .k = rows(args.k, e.first_k, e.keys),
          .v = rows(args.v, e.first_k, e.keys),
          .out = rows(out, e.first_q, e.seq_q),
          .lse = {},
          .mask = {},
          .keys = {e.keys},
          .band = band_of(args, e)};
  if (lse != nullptr)
    p.lse = (packed ? lse->unsqueeze(0) : lse->slice(0, e.batch, e.batch + 1))
                .slice(2, e.first_q, e.first_q + e.seq_q);
  if (args.mask == nullptr) return p;
  p.mask = *args.mask;
  if (p.mask.shape()[0] > 1) p.mask = p.mask.slice(0, e.batch, e.batch + 1);
  if (p.mask.shape()[2] > 1) p.mask = p.mask.slice(2, e.first_q, e.first_q + e.seq_q);
  p.mask = p.mask.slice(3, e.first_k, e.first_k + e.keys);
  return p;
}

// The whole batch in one piece, where every entry's band lies alike: relative to its own last key
// for the sparse modes, absolutely for a mask in full.
std::optional<Piece> whole_piece(const AttentionArgs& args,
                                 const std::vector<AttentionEntry>& entries, const Tensor& out,
                                 const Tensor* lse) {
  if (args.cu_seqlens_q != nullptr || entries.empty()) return std::nullopt;
  Piece p{.q = args.q,
          .k = args.k,
          .v = args.v,
          .out = out,
          .lse = lse != nullptr ? *lse : Tensor(),
          .mask = args.mask != nullptr ? *args.mask : Tensor(),
          .keys = {},
          .band = band_of(args, entries.front())};
  for (const AttentionEntry& e : entries) {
    if (band_of(args, e) != p.band) return std::nullopt;
    p.keys.push_back(e.keys);
  }
  const bool one_length = std::all_of(p.keys.begin(), p.keys.end(),
                                      [&](std::int64_t n) { return n == p.keys.front(); });
  const bool banded = p.band != Band{};
  if (banded && !one_length) return std::nullopt;
  return p;
}

}  // namespace

Tensor SmallMask::on(Stream& stream) const {
  constexpr int kTimeoutMs = 600'000;
  const std::lock_guard lock(mutex_);
  if (mask_.defined()) return mask_;
  std::vector<std::uint8_t> hidden(kSmallMask * kSmallMask);
  for (std::int64_t i = 0; i < kSmallMask; ++i)
    for (std::int64_t j = i + 1; j < kSmallMask; ++j)
      hidden[static_cast<std::size_t>(i * kSmallMask + j)] = 1;
  Tensor made = uploaded(Aclnn(stream), {kSmallMask, kSmallMask}, hidden);
  stream.device().synchronize(stream, kTimeoutMs);  // other streams use it without waiting
  mask_ = made;
  return made;
}

FiaAttention::FiaAttention(std::shared_ptr<const Cann> cann)
    : cann_(std::move(cann)), version_(fia_version(*cann_)) {}

std::optional<std::string> FiaAttention::refusal(const AttentionSpec& wanted) const {
  if (version_.number == 0) return version_.refusal;
  const AttentionSpec spec = wanted.resolved();
  if (spec.dtype != DType::F16 && spec.dtype != DType::BF16)
    return text_of("aclnnFusedInferAttentionScore takes f16 and bf16, not ", name_of(spec.dtype));
  if (spec.head_dim > kMostHeadDim)
    return text_of("head_dim is at most ", kMostHeadDim, ", not ", spec.head_dim);
  if (spec.additive_mask) return "takes boolean masks, not additive ones";
  if (cann_->soc().family == SocFamily::Ascend950) return std::nullopt;
  if (spec.heads > kMostHeads)
    return text_of("takes at most ", kMostHeads, " heads, not ", spec.heads);
  if (spec.heads / spec.kv_heads > kMostRatio)
    return text_of("takes at most ", kMostRatio, " heads for each of the keys', not ",
                   spec.heads / spec.kv_heads);
  return std::nullopt;
}

void FiaAttention::run(Stream& stream, Workspace&, const AttentionArgs& args, Tensor& out,
                       Tensor* lse) const {
  check(args, out, lse);
  const std::optional<std::string> refused = refusal(spec_of(args, lse != nullptr));
  require(!refused, ErrorCode::Unsupported,
          "attention: wanted fia, found a refusal: ", refused.value_or(""));
  const float scale =
      args.scale != 0 ? args.scale : 1.0f / std::sqrt(static_cast<float>(args.q.shape()[-1]));
  const Caller caller(stream, version_.number, small_mask_, scale);
  const std::vector<AttentionEntry> entries = entries_of(stream, args);
  if (const auto whole = whole_piece(args, entries, out, lse)) return caller.run(*whole);
  for (const AttentionEntry& entry : entries) caller.run(piece_of(args, entry, out, lse));
}

}  // namespace annulus::ascend
