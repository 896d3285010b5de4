#include "attention/spec.h"

#include <sstream>
#include <string_view>

namespace annulus {

namespace {

constexpr std::string_view kWhere = " (attention)";

void require_shape(const Tensor& x, std::string_view name, const Shape& want) {
  require(x.shape() == want, ErrorCode::InvalidRequest, name, ": wanted shape ", want, ", found ",
          x.shape(), kWhere);
}

void require_dtype(const Tensor& x, std::string_view name, bool ok, std::string_view want) {
  require(ok, ErrorCode::InvalidRequest, name, ": wanted ", want, ", found ", name_of(x.dtype()),
          kWhere);
}

void require_writable(const Tensor& x, std::string_view name) {
  require(x.buffer()->writable, ErrorCode::InvalidRequest, name,
          ": wanted memory that may be written, found a mapped file", kWhere);
}

// Sizes that decide the shapes of everything else.
struct Sizes {
  bool packed;
  std::int64_t entries;        // batch, or packed sequences
  std::int64_t seq_q, seq_kv;  // packed: all tokens
  std::int64_t heads, kv_heads, head_dim;
};

Sizes sizes_of(const AttentionArgs& args) {
  require(args.q.defined() && args.k.defined() && args.v.defined(), ErrorCode::InvalidRequest,
          "q, k, v: wanted tensors, found an undefined one", kWhere);
  const bool packed = args.cu_seqlens_q != nullptr || args.cu_seqlens_k != nullptr;
  require(!packed || (args.cu_seqlens_q != nullptr && args.cu_seqlens_k != nullptr),
          ErrorCode::InvalidRequest, "cu_seqlens_q, cu_seqlens_k: wanted both or none, found one",
          kWhere);
  const int rank = packed ? 3 : 4;
  for (const Tensor* x : {&args.q, &args.k, &args.v})
    require(x->shape().rank() == rank, ErrorCode::InvalidRequest, "q, k, v: wanted ", rank,
            " axes (", packed ? "packed: tokens" : "batch, seq", ", heads, head_dim), found shape ",
            x->shape(), kWhere);

  const Shape& q = args.q.shape();
  const Shape& k = args.k.shape();
  std::int64_t entries = q[0];
  if (packed) {
    const Tensor& cu = *args.cu_seqlens_q;
    require(cu.defined() && cu.shape().rank() == 1 && cu.shape()[0] >= 1, ErrorCode::InvalidRequest,
            "cu_seqlens_q: wanted shape [sequences + 1]", kWhere);
    entries = cu.shape()[0] - 1;
  }
  return {packed, entries, q[rank - 3], k[rank - 3], q[rank - 2], k[rank - 2], q[rank - 1]};
}

void check_inputs(const AttentionArgs& args, const Sizes& s) {
  const DType dtype = args.q.dtype();
  require_dtype(args.q, "q", is_floating(dtype), "a floating dtype");
  require_dtype(args.k, "k", args.k.dtype() == dtype, text_of("q's dtype ", name_of(dtype)));
  require_dtype(args.v, "v", args.v.dtype() == dtype, text_of("q's dtype ", name_of(dtype)));
  require(s.heads > 0 && s.kv_heads > 0 && s.head_dim > 0 && s.heads % s.kv_heads == 0,
          ErrorCode::InvalidRequest,
          "q, k: wanted head_dim > 0 and heads a multiple of kv_heads, found q ", args.q.shape(),
          ", k ", args.k.shape(), kWhere);
  const Shape keys = s.packed ? Shape{s.seq_kv, s.kv_heads, s.head_dim}
                              : Shape{s.entries, s.seq_kv, s.kv_heads, s.head_dim};
  require_shape(args.k, "k", keys);
  require_shape(args.v, "v", keys);
  require(args.window[0] >= -1 && args.window[1] >= -1, ErrorCode::InvalidRequest,
          "window: wanted lengths >= 0, or -1 for all, found [", args.window[0], ", ",
          args.window[1], "]", kWhere);
  require(args.scale - args.scale == 0.0f, ErrorCode::InvalidRequest,
          "scale: wanted a finite number, found ", args.scale, kWhere);
}

// [sequences + 1] i32 that rises from 0 to `tokens`.
void check_cumulative(const Tensor& cu, std::string_view name, std::int64_t sequences,
                      std::int64_t tokens) {
  require(cu.defined(), ErrorCode::InvalidRequest, name, ": wanted a tensor", kWhere);
  require_shape(cu, name, {sequences + 1});
  require_dtype(cu, name, cu.dtype() == DType::I32, "i32");
  if (!cu.device().host_visible()) return;
  const View<const std::int32_t, 1> at = cu.view<std::int32_t, 1>();
  require(at(0) == 0 && at(sequences) == tokens, ErrorCode::InvalidRequest, name,
          ": wanted to go from 0 to ", tokens, ", found ", at(0), " to ", at(sequences), kWhere);
  for (std::int64_t i = 0; i < sequences; ++i)
    require(at(i) <= at(i + 1), ErrorCode::InvalidRequest, name, ": wanted rising values, found ",
            at(i), " before ", at(i + 1), " at ", i, kWhere);
}

void check_lengths(const Tensor& lengths, std::int64_t entries, std::int64_t seq_kv) {
  require(lengths.defined(), ErrorCode::InvalidRequest, "kv_lengths: wanted a tensor", kWhere);
  require_shape(lengths, "kv_lengths", {entries});
  require_dtype(lengths, "kv_lengths", lengths.dtype() == DType::I32, "i32");
  if (!lengths.device().host_visible()) return;
  const View<const std::int32_t, 1> at = lengths.view<std::int32_t, 1>();
  for (std::int64_t i = 0; i < entries; ++i)
    require(at(i) >= 0 && at(i) <= seq_kv, ErrorCode::InvalidRequest, "kv_lengths: wanted 0 to ",
            seq_kv, ", found ", at(i), " at ", i, kWhere);
}

void check_diagonals(const Tensor& diagonals, std::int64_t entries) {
  require(diagonals.defined(), ErrorCode::InvalidRequest, "diagonals: wanted a tensor", kWhere);
  require_shape(diagonals, "diagonals", {entries});
  require_dtype(diagonals, "diagonals", diagonals.dtype() == DType::I32, "i32");
}

void check_mask(const Tensor& mask, DType dtype, const Sizes& s) {
  require(mask.defined(), ErrorCode::InvalidRequest, "mask: wanted a tensor", kWhere);
  const Shape& found = mask.shape();
  const std::int64_t batch = s.packed ? 1 : s.entries;
  const auto fits = [&](int axis, std::int64_t extent) {
    return found[axis] == extent || found[axis] == 1;
  };
  require(found.rank() == 4 && fits(0, batch) && fits(1, s.heads) && fits(2, s.seq_q) &&
              found[3] == s.seq_kv,
          ErrorCode::InvalidRequest, "mask: wanted shape [", batch, " or 1, ", s.heads, " or 1, ",
          s.seq_q, " or 1, ", s.seq_kv, "], found ", found, kWhere);
  require_dtype(mask, "mask",
                mask.dtype() == DType::Bool || mask.dtype() == DType::F32 || mask.dtype() == dtype,
                text_of("bool, f32 or q's dtype ", name_of(dtype)));
}

}  // namespace

AttentionSpec AttentionSpec::resolved() const {
  AttentionSpec spec = *this;
  if (spec.kv_heads == 0) spec.kv_heads = spec.heads;
  require(spec.heads > 0 && spec.kv_heads > 0 && spec.head_dim > 0, ErrorCode::InvalidRequest,
          "attention spec: wanted heads, kv_heads and head_dim > 0, found ", heads, ", ", kv_heads,
          ", ", head_dim);
  require(spec.heads % spec.kv_heads == 0, ErrorCode::InvalidRequest,
          "attention spec: wanted heads to be a multiple of kv_heads, found ", heads, " and ",
          kv_heads);
  require(is_floating(spec.dtype), ErrorCode::InvalidRequest,
          "attention spec: wanted a floating dtype, found ", name_of(dtype));
  return spec;
}

std::string to_string(const AttentionSpec& spec) {
  std::ostringstream text;
  text << spec.heads << " heads";
  if (spec.kv_heads != 0 && spec.kv_heads != spec.heads) text << " (" << spec.kv_heads << " kv)";
  text << " x " << spec.head_dim << ' ' << name_of(spec.dtype);
  if (spec.causal == Causal::TopLeft) text << ", causal top-left";
  if (spec.causal == Causal::BottomRight) text << ", causal bottom-right";
  if (spec.window) text << ", window";
  if (spec.kv_lengths) text << ", kv_lengths";
  if (spec.bool_mask) text << ", bool mask";
  if (spec.additive_mask) text << ", additive mask";
  if (spec.varlen) text << ", varlen";
  if (spec.diagonals) text << ", diagonals";
  if (spec.lse) text << ", lse";
  return text.str();
}

void check(const AttentionArgs& args, const Tensor& out, const Tensor* lse) {
  const Sizes s = sizes_of(args);
  check_inputs(args, s);
  if (s.packed) {
    check_cumulative(*args.cu_seqlens_q, "cu_seqlens_q", s.entries, s.seq_q);
    check_cumulative(*args.cu_seqlens_k, "cu_seqlens_k", s.entries, s.seq_kv);
  }
  if (args.kv_lengths != nullptr) check_lengths(*args.kv_lengths, s.entries, s.seq_kv);
  if (args.diagonals != nullptr) check_diagonals(*args.diagonals, s.entries);
  if (args.mask != nullptr) check_mask(*args.mask, args.q.dtype(), s);

  require(out.defined(), ErrorCode::InvalidRequest, "out: wanted a tensor", kWhere);
  require_shape(out, "out", args.q.shape());
  require_dtype(out, "out", out.dtype() == args.q.dtype() || out.dtype() == DType::F32,
                text_of("f32 or q's dtype ", name_of(args.q.dtype())));
  require_writable(out, "out");
  if (lse == nullptr) return;
  require(lse->defined(), ErrorCode::InvalidRequest, "lse: wanted a tensor or none", kWhere);
  require_shape(*lse, "lse",
                s.packed ? Shape{s.heads, s.seq_q} : Shape{s.entries, s.heads, s.seq_q});
  require_dtype(*lse, "lse", lse->dtype() == DType::F32, "f32");
  require_writable(*lse, "lse");
}

AttentionSpec spec_of(const AttentionArgs& args, bool lse) {
  const Sizes s = sizes_of(args);
  return AttentionSpec{.heads = s.heads,
                       .kv_heads = s.kv_heads,
                       .head_dim = s.head_dim,
                       .dtype = args.q.dtype(),
                       .causal = args.causal,
                       .window = args.window[0] >= 0 || args.window[1] >= 0,
                       .kv_lengths = args.kv_lengths != nullptr,
                       .bool_mask = args.mask != nullptr && args.mask->dtype() == DType::Bool,
                       .additive_mask = args.mask != nullptr && args.mask->dtype() != DType::Bool,
                       .varlen = s.packed,
                       .diagonals = args.diagonals != nullptr,
                       .lse = lse}
      .resolved();
}

}  // namespace annulus
