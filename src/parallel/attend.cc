#include "parallel/attend.h"

namespace annulus {

Tensor attend(const Lane& lane, const AttentionChoice& choice, const AttendArgs& args) {
  Tensor out = Tensor::empty(args.q.shape(), args.q.dtype(), lane.device);
  const AttentionArgs call = {.q = args.q,
                              .k = args.k,
                              .v = args.v,
                              .scale = args.scale,
                              .causal = args.causal,
                              .window = args.window,
                              .kv_lengths = args.kv_lengths,
                              .mask = args.mask};
  choice.backend->run(lane.stream, lane.workspace, call, out, nullptr);
  return out;
}

Tensor attend_packed(const Lane& lane, const AttentionChoice& choice, const Tensor& q,
                     const Tensor& k, const Tensor& v, const Tensor& cu_seqlens_q,
                     const Tensor& cu_seqlens_k) {
  Tensor out = Tensor::empty(q.shape(), q.dtype(), lane.device);
  const AttentionArgs call = {
      .q = q, .k = k, .v = v, .cu_seqlens_q = &cu_seqlens_q, .cu_seqlens_k = &cu_seqlens_k};
  choice.backend->run(lane.stream, lane.workspace, call, out, nullptr);
  return out;
}

}  // namespace annulus
