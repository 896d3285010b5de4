#include "parallel/attend.h"

#include <algorithm>

#include "base/error.h"
#include "parallel/ring.h"
#include "parallel/shard.h"
#include "parallel/ulysses.h"
#include "tensor/host_device.h"

namespace annulus {

namespace {

void check_sharded(const Lane& lane, const AttendArgs& args, const Sequence& queries) {
  const Sequence& keys = *args.sequence;
  const ParallelPlan& plan = lane.mesh.plan();
  const int ranks = plan.ring * plan.ulysses, me = lane.mesh.sequence().rank();
  require(args.kv_lengths == nullptr, ErrorCode::InvalidRequest,
          "attend: wanted lengths in the sequence's segments, found kv_lengths beside it");
  require(keys.packed() == queries.packed() && keys.starts.size() == queries.starts.size(),
          ErrorCode::InvalidRequest,
          "attend: wanted as many packed sequences of queries as of keys");
  const int rank = keys.packed() ? 3 : 4;
  for (const Tensor* x : {&args.q, &args.k, &args.v})
    require(x->defined() && x->shape().rank() == rank, ErrorCode::InvalidRequest, "attend: wanted ",
            rank, " axes");
  const std::int64_t q_rows = rows_of(runs_of(queries, ranks, me)),
                     k_rows = rows_of(runs_of(keys, ranks, me));
  require(args.q.shape()[-3] == q_rows && args.k.shape()[-3] == k_rows, ErrorCode::InvalidRequest,
          "attend: wanted ", q_rows, " rows of queries and ", k_rows, " of keys on rank ", me,
          " of ", ranks, ", found q ", args.q.shape(), ", k ", args.k.shape());
  require(args.v.shape() == args.k.shape() && args.k.dtype() == args.q.dtype() &&
              args.v.dtype() == args.q.dtype(),
          ErrorCode::InvalidRequest, "attend: wanted v like k, of q's dtype, found k ",
          args.k.shape(), ", v ", args.v.shape());
  for (const Sequence* sequence : {&keys, &queries}) {
    for (const Segment& segment : sequence->segments) {
      require(segment.lengths.empty() ||
                  (!keys.packed() &&
                   static_cast<std::int64_t>(segment.lengths.size()) == args.q.shape()[0]),
              ErrorCode::InvalidRequest, "attend: wanted a length for each entry of the batch");
      for (const std::int64_t length : segment.lengths)
        require(length >= 0 && length <= segment.rows, ErrorCode::InvalidRequest,
                "attend: wanted lengths up to ", segment.rows, ", found ", length);
    }
    require(
        !sequence->packed() || (sequence->segments.size() == 1 && sequence->starts.front() == 0 &&
                                sequence->starts.back() == sequence->rows() &&
                                std::is_sorted(sequence->starts.begin(), sequence->starts.end())),
        ErrorCode::InvalidRequest,
        "attend: wanted one segment for packed sequences, whose starts rise from 0 to its rows");
  }
  if (args.mask == nullptr) return;
  const Shape& mask = args.mask->shape();
  require(
      mask.rank() == 4 && mask[2] == (args.mask_per_query ? q_rows : 1) && mask[3] == keys.rows(),
      ErrorCode::InvalidRequest, "attend: wanted a mask of ",
      args.mask_per_query ? q_rows : std::int64_t{1}, " rows and ", keys.rows(), " columns, found ",
      mask);
}

void run_ring(const Lane& lane, const AttentionChoice& choice, const RingArgs& args, Tensor& out) {
  if (moves_less_by_queries(lane.mesh.plan(), args))
    ring_pass_queries(lane, *choice.backend, args, out);
  else
    ring_pass_keys(lane, *choice.backend, args, out);
}

// The mask of all the group's queries and this rank's heads.
Tensor mask_of_group(const Lane& lane, const Tensor& mask, bool per_query, const Sequence& queries,
                     std::int64_t heads) {
  const int members = lane.mesh.plan().ulysses, me = lane.mesh.ulysses().rank();
  const bool per_head = mask.shape()[1] > 1;
  if (!per_query) {
    const std::int64_t own = heads / members;
    return per_head ? mask.slice(1, me * own, (me + 1) * own) : mask;
  }
  // [batch, rows, heads, keys] travels as queries do.
  return rows_to_heads(lane, {{.x = mask.permute({0, 2, 1, 3}),
                               .sequence = queries,
                               .heads = per_head ? heads : members}})[0]
      .permute({0, 2, 1, 3});
}

Tensor attend_sharded(const Lane& lane, const AttentionChoice& choice, const AttendArgs& args) {
  const Sequence& keys = *args.sequence;
  const Sequence& queries = args.queries == nullptr ? keys : *args.queries;
  check_sharded(lane, args, queries);
  const bool packed = keys.packed();
  const auto dense = [packed](const Tensor& x) { return packed ? x.unsqueeze(0) : x; };
  const Tensor q = dense(args.q), k = dense(args.k), v = dense(args.v);
  const auto given = [packed](const Tensor& x) { return packed ? x.select(0, 0) : x; };
  const Positions positions{args.causal, args.window};
  const int members = lane.mesh.plan().ulysses;
  if (members == 1) {
    Tensor out = Tensor::empty(q.shape(), q.dtype(), lane.device);
    run_ring(lane, choice,
             {q, k, v, args.scale, positions, args.mask, args.mask_per_query, queries, keys}, out);
    return given(out);
  }
  const std::int64_t heads = q.shape()[2], kv_heads = replicated_kv_heads(k.shape()[2], members);
  check_ulysses("attention", heads, members);
  const std::vector<Tensor> mine =
      rows_to_heads(lane, {{q, queries, heads}, {k, keys, kv_heads}, {v, keys, kv_heads}});
  Tensor mask;
  if (args.mask != nullptr)
    mask = mask_of_group(lane, *args.mask, args.mask_per_query, queries, heads);
  Tensor out = Tensor::empty(mine[0].shape(), q.dtype(), lane.device);
  run_ring(lane, choice,
           {mine[0], mine[1], mine[2], args.scale, positions, mask.defined() ? &mask : nullptr,
            args.mask_per_query, queries, keys},
           out);
  return given(heads_to_rows(lane, out, queries));
}

// Real keys per entry where some are padding; undefined where none is.
Tensor lengths_of(const Lane& lane, const Sequence& keys) {
  const std::vector<std::int64_t>& last = keys.segments.back().lengths;
  const std::int64_t rows = keys.rows(), before = rows - keys.segments.back().rows;
  if (std::all_of(last.begin(), last.end(), [&](std::int64_t n) { return before + n == rows; }))
    return {};
  HostDevice host(1);
  Tensor from = Tensor::empty({static_cast<std::int64_t>(last.size())}, DType::I32, host);
  for (std::size_t i = 0; i < last.size(); ++i)
    from.data<std::int32_t>()[i] = static_cast<std::int32_t>(before + last[i]);
  Tensor to = Tensor::empty(from.shape(), DType::I32, lane.device);
  lane.device.copy(lane.stream, from, to);
  return to;
}

Tensor attend_in_blocks(const Lane& lane, const AttentionChoice& choice, const AttendArgs& args) {
  require(args.mask == nullptr && args.causal == Causal::No && args.window[0] < 0 &&
              args.window[1] < 0 && args.q.shape().rank() == 4 && lane.mesh.plan().ulysses == 1,
          ErrorCode::Unsupported,
          "attend: wanted no mask and no Ulysses with blocks of queries, found one");
  Tensor k = args.k, v = args.v, lengths;
  const Tensor* kv_lengths = args.kv_lengths;
  if (args.sequence != nullptr) {
    const Sequence& keys = *args.sequence;
    check_sharded(lane, args, args.queries == nullptr ? keys : *args.queries);
    for (std::size_t i = 0; i + 1 < keys.segments.size(); ++i)
      require(keys.segments[i].lengths.empty(), ErrorCode::Unsupported,
              "attend: wanted padding in the last segment only, with blocks of queries");
    k = gather(lane, k, 1, keys);
    v = gather(lane, v, 1, keys);
    lengths = lengths_of(lane, keys);
    if (lengths.defined()) kv_lengths = &lengths;
  }
  const Shape& shape = args.q.shape();
  const std::int64_t rows = shape[1], block = args.query_block;
  Tensor out = Tensor::empty(shape, args.q.dtype(), lane.device);
  Tensor from = Tensor::empty(shape.with(1, block), args.q.dtype(), lane.device),
         to = Tensor::empty(shape.with(1, block), args.q.dtype(), lane.device);
  for (std::int64_t begin = 0; begin < rows; begin += block) {
    const std::int64_t end = std::min(rows, begin + block), count = end - begin;
    if (count < block) lane.device.fill(lane.stream, from, 0);
    Tensor filled = from.slice(1, 0, count), wanted = out.slice(1, begin, end);
    lane.device.copy(lane.stream, args.q.slice(1, begin, end), filled);
    choice.backend->run(lane.stream, lane.workspace,
                        {.q = from, .k = k, .v = v, .scale = args.scale, .kv_lengths = kv_lengths},
                        to, nullptr);
    lane.device.copy(lane.stream, to.slice(1, 0, count), wanted);
  }
  return out;
}

}  // namespace

Tensor attend(const Lane& lane, const AttentionChoice& choice, const AttendArgs& args) {
  if (args.query_block > 0) return attend_in_blocks(lane, choice, args);
  if (args.sequence != nullptr) return attend_sharded(lane, choice, args);
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
