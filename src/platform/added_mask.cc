#include "platform/added_mask.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {

namespace {

constexpr int kTimeoutMs = 30000;
constexpr float kHidden = -std::numeric_limits<float>::infinity();

// Lengths may lie on the host whatever the device: then nothing is waited for.
std::vector<std::int32_t> to_host(Stream& stream, const Tensor& x) {
  if (x.device().host_visible()) {
    const View<const std::int32_t, 1> at = x.view<std::int32_t, 1>();
    std::vector<std::int32_t> values;
    for (std::int64_t i = 0; i < at.extent[0]; ++i) values.push_back(at(i));
    return values;
  }
  HostDevice host(1, "host");
  Tensor made = Tensor::empty(x.shape(), DType::I32, host);
  copy(stream, x, made);
  stream.device().synchronize(stream, kTimeoutMs);
  const std::int32_t* const values = made.data<std::int32_t>();
  return {values, values + made.elements()};
}

// The part of args.mask that the rows of an entry use, in f32 on the host: [heads | 1, rows | 1,
// keys].
Tensor given_mask(Stream& stream, const AttentionArgs& args, const AttentionEntry& e,
                  std::int64_t first, std::int64_t rows, Device& host) {
  const Tensor& mask = *args.mask;
  Tensor part = mask.select(0, mask.shape()[0] == 1 ? 0 : e.batch);
  if (part.shape()[1] != 1) part = part.slice(1, e.first_q + first, e.first_q + first + rows);
  part = part.slice(2, e.first_k, e.first_k + e.keys);
  Tensor made = Tensor::empty(part.shape(), DType::F32, host);
  copy(stream, part, made);
  stream.device().synchronize(stream, kTimeoutMs);
  return made;
}

// Keys [begin, end) that causal and window leave to query i.
struct Span {
  std::int64_t begin, end;
};

Span span_of(const AttentionArgs& args, const AttentionEntry& e, std::int64_t i) noexcept {
  const std::int64_t diagonal = i + e.diagonal;
  Span span{0, e.keys};
  if (args.causal != Causal::No) span.end = std::min(span.end, i + e.causal + 1);
  if (args.window[0] >= 0) span.begin = std::max(span.begin, diagonal - args.window[0]);
  if (args.window[1] >= 0) span.end = std::min(span.end, diagonal + args.window[1] + 1);
  return span;
}

}  // namespace

std::vector<AttentionEntry> entries_of(Stream& stream, const AttentionArgs& args) {
  std::vector<std::int32_t> lengths, diagonals, cu_q, cu_k;
  if (args.kv_lengths != nullptr) lengths = to_host(stream, *args.kv_lengths);
  if (args.diagonals != nullptr) diagonals = to_host(stream, *args.diagonals);
  const bool packed = args.cu_seqlens_q != nullptr;
  if (packed) {
    cu_q = to_host(stream, *args.cu_seqlens_q);
    cu_k = to_host(stream, *args.cu_seqlens_k);
  }
  const std::size_t count = packed ? cu_q.size() - 1 : static_cast<std::size_t>(args.q.shape()[0]);
  std::vector<AttentionEntry> entries;
  for (std::size_t n = 0; n < count; ++n) {
    AttentionEntry e{static_cast<std::int64_t>(n), 0, 0, args.q.shape()[1], args.k.shape()[1]};
    if (packed) e = {0, cu_q[n], cu_k[n], cu_q[n + 1] - cu_q[n], cu_k[n + 1] - cu_k[n]};
    if (!lengths.empty()) e.keys = std::min<std::int64_t>(e.keys, lengths[n]);
    e.diagonal = diagonals.empty() ? e.keys - e.seq_q : diagonals[n];  // bottom-right
    e.causal = diagonals.empty() && args.causal == Causal::TopLeft ? 0 : e.diagonal;
    entries.push_back(e);
  }
  return entries;
}

bool needs_added_mask(const AttentionArgs& args) noexcept {
  return args.causal != Causal::No || args.window[0] >= 0 || args.window[1] >= 0 ||
         args.mask != nullptr;
}

Tensor added_mask(Stream& stream, const AttentionArgs& args, const AttentionEntry& entry,
                  std::int64_t first, std::int64_t rows) {
  HostDevice host(1, "host");
  Tensor given;  // [heads | 1, rows | 1, keys]
  if (args.mask != nullptr) given = given_mask(stream, args, entry, first, rows, host);
  const bool boolean = args.mask != nullptr && args.mask->dtype() == DType::Bool;
  const std::int64_t heads = given.defined() ? given.shape()[0] : 1;
  const View<const float, 3> from =
      given.defined() ? std::as_const(given).view<float, 3>() : View<const float, 3>{};

  Tensor made = Tensor::empty({heads, rows, entry.keys}, DType::F32, host);
  float* const to = made.data<float>();
  for (std::int64_t line = 0; line < heads * rows; ++line) {
    const std::int64_t head = line / rows, row = line % rows;
    const Span span = span_of(args, entry, first + row);
    for (std::int64_t key = 0; key < entry.keys; ++key) {
      float added = 0;
      if (from.data != nullptr) added = from(head, from.extent[1] == 1 ? 0 : row, key);
      if (boolean) added = added != 0 ? 0 : kHidden;
      to[line * entry.keys + key] = key < span.begin || key >= span.end ? kHidden : added;
    }
  }
  Tensor sent = Tensor::empty(made.shape(), DType::F32, stream.device());
  copy(stream, made, sent);
  stream.device().synchronize(stream, kTimeoutMs);  // `made` must outlive the copy
  return sent;
}

}  // namespace annulus
