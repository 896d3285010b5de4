#include "parallel/ring.h"

#include <algorithm>

#include "attention/merge.h"
#include "base/error.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"
#include "tensor/host_ints.h"

namespace annulus {

namespace {

// Makes a planned call: hands `use` the backend's arguments.
template <class Use>
void with_args(const RingArgs& args, const FoldCall& call, const Tensor& q, const Tensor& k,
               const Tensor& v, const Use& use) {
  const bool packed = args.keys.packed();
  const auto rows = [&](const Tensor& x, std::int64_t at, std::int64_t count) {
    const Tensor part = x.slice(1, at, at + count);
    return packed ? part.select(0, 0) : part;
  };
  const auto given = [&](const std::vector<std::int32_t>& values) {
    return values.empty() ? Tensor{} : host_ints(values);
  };
  const auto or_null = [](const Tensor& x) { return x.defined() ? &x : nullptr; };
  const Tensor q_rows = rows(q, call.q_at, call.q_rows), k_rows = rows(k, call.k_at, call.k_rows),
               v_rows = rows(v, call.k_at, call.k_rows);
  const Tensor lengths = given(call.kv_lengths), diagonals = given(call.diagonals),
               cu_q = given(call.cu_q), cu_k = given(call.cu_k);
  Tensor mask;
  if (args.mask != nullptr) {
    mask = args.mask->slice(3, call.column, call.column + call.k_rows);
    if (args.mask_per_query) mask = mask.slice(2, call.q_at, call.q_at + call.q_rows);
  }
  use(AttentionArgs{.q = q_rows,
                    .k = k_rows,
                    .v = v_rows,
                    .scale = args.scale,
                    .causal = call.positions.causal,
                    .window = call.positions.window,
                    .kv_lengths = or_null(lengths),
                    .mask = or_null(mask),
                    .diagonals = or_null(diagonals),
                    .cu_seqlens_q = or_null(cu_q),
                    .cu_seqlens_k = or_null(cu_k)});
}

// What one rank does in a ring, whichever way it passes.
class Ring {
 public:
  Ring(const Lane& lane, const AttentionBackend& backend, const RingArgs& args)
      : lane_(lane), backend_(backend), args_(args), plan_(lane.mesh.plan()) {
    const Shape& q = args.q.shape();
    entries_ = args.keys.packed() ? static_cast<std::int64_t>(args.keys.starts.size()) - 1 : q[0];
  }

  int size() const noexcept { return plan_.ring; }
  int rank() const noexcept { return lane_.mesh.ring().rank(); }

  std::vector<RowRun> query_runs(int owner) const {
    return group_runs(args_.queries, plan_.ring, plan_.ulysses, owner);
  }
  std::vector<RowRun> key_runs(int owner) const {
    return group_runs(args_.keys, plan_.ring, plan_.ulysses, owner);
  }

  std::vector<FoldCall> plan(const std::vector<RowRun>& q_runs,
                             const std::vector<RowRun>& k_runs) const {
    return plan_folds({args_.queries, q_runs}, {args_.keys, k_runs}, args_.positions,
                      args_.mask != nullptr, entries_);
  }

  RunningAttention nothing(std::int64_t rows) const {
    const Shape& q = args_.q.shape();
    return nothing_seen(lane_.stream, q[0], rows, q[2], q[3]);
  }

  void fold(const std::vector<FoldCall>& calls, const Tensor& q, const Tensor& k, const Tensor& v,
            RunningAttention& total) const {
    for (const FoldCall& call : calls)
      with_args(args_, call, q, k, v, [&](const AttentionArgs& args) {
        const std::int64_t end = call.q_at + call.q_rows;
        RunningAttention part{total.out.slice(1, call.q_at, end),
                              total.max.slice(2, call.q_at, end),
                              total.sum.slice(2, call.q_at, end)};
        backend_.fold(lane_.stream, lane_.workspace, args, part);
      });
  }

  const Lane& lane() const noexcept { return lane_; }
  const AttentionBackend& backend() const noexcept { return backend_; }
  const RingArgs& args() const noexcept { return args_; }

 private:
  const Lane& lane_;
  const AttentionBackend& backend_;
  const RingArgs& args_;
  const ParallelPlan& plan_;
  std::int64_t entries_ = 0;
};

// [rows of `shape`] of `dtype`, `offset` elements into the bytes of `place`.
Tensor view_of(const Tensor& place, std::int64_t offset, const Shape& shape, DType dtype) {
  const auto first = static_cast<std::size_t>(place.address() - place.buffer()->data);
  return Tensor::over(place.buffer(), first + static_cast<std::size_t>(offset) * size_of(dtype),
                      shape, dtype);
}

// Copies the runs of x that are dealt out, one after the other.
void pack(const Lane& lane, const Sequence& sequence, const std::vector<RowRun>& runs,
          const Tensor& x, Tensor& to) {
  std::int64_t at = 0;
  for (const RowRun& run : runs) {
    if (sequence.segments[run.segment].replicated) continue;
    Tensor part = to.slice(1, at, at + run.rows);
    lane.device.copy(lane.stream, x.slice(1, run.at, run.at + run.rows), part);
    at += run.rows;
  }
}

std::size_t bytes_of(const Shape& shape, DType dtype) {
  return static_cast<std::size_t>(shape.elements()) * size_of(dtype);
}

// One call that gives every query all it sees needs no running result.
bool is_whole(const std::vector<FoldCall>& calls, const Tensor& q) {
  return calls.size() == 1 && calls[0].q_rows == q.shape()[1];
}

}  // namespace

void ring_pass_keys(const Lane& lane, const AttentionBackend& backend, const RingArgs& args,
                    Tensor& out) {
  const Ring ring(lane, backend, args);
  const int me = ring.rank();
  const std::vector<RowRun> q_runs = ring.query_runs(me), own_runs = ring.key_runs(me);
  const std::vector<FoldCall> own = ring.plan(q_runs, own_runs);

  // K and V of a rank in one message: [2, batch, rows dealt out, kv_heads, head_dim].
  const DType dtype = args.k.dtype();
  std::vector<std::vector<RowRun>> shards;
  std::vector<std::size_t> bytes;
  std::size_t travels = 0;
  const auto shape_of = [&](int owner) {
    return args.k.shape().with(1, rows_of(shards[static_cast<std::size_t>(owner)]));
  };
  for (int owner = 0; owner < ring.size(); ++owner) {
    shards.push_back(dealt(args.keys, ring.key_runs(owner)));
    bytes.push_back(2 * bytes_of(shape_of(owner), dtype));
    travels += bytes.back();
  }

  if (ring.size() == 1 || travels == 0) {
    if (is_whole(own, args.q)) {
      with_args(args, own[0], args.q, args.k, args.v, [&](const AttentionArgs& call) {
        Tensor to = args.keys.packed() ? out.select(0, 0) : out;
        backend.run(lane.stream, lane.workspace, call, to, nullptr);
      });
      return;
    }
    RunningAttention total = ring.nothing(args.q.shape()[1]);
    ring.fold(own, args.q, args.k, args.v, total);
    backend.finish(lane.stream, lane.workspace, total, out, nullptr);
    return;
  }

  Communicator& group = lane.mesh.ring();
  const Tensor place = group.publishable(lane.stream, bytes);
  const Shape mine = shape_of(me);
  Tensor k_place = view_of(place, 0, mine, dtype),
         v_place = view_of(place, mine.elements(), mine, dtype);
  pack(lane, args.keys, own_runs, args.k, k_place);
  pack(lane, args.keys, own_runs, args.v, v_place);
  const auto epoch = group.publish(lane.stream);

  RunningAttention total = ring.nothing(args.q.shape()[1]);
  for (int hop = 0; hop < ring.size(); ++hop) {
    const int owner = (me - hop + ring.size()) % ring.size();
    const Tensor shard = epoch->shard(hop);  // later hops go on while this one is used
    if (hop == 0) {
      ring.fold(own, args.q, args.k, args.v, total);
      continue;
    }
    const Shape theirs = shape_of(owner);
    if (theirs.elements() == 0) continue;
    ring.fold(ring.plan(q_runs, shards[static_cast<std::size_t>(owner)]), args.q,
              view_of(shard, 0, theirs, dtype), view_of(shard, theirs.elements(), theirs, dtype),
              total);
  }
  backend.finish(lane.stream, lane.workspace, total, out, nullptr);
}

void ring_pass_queries(const Lane& lane, const AttentionBackend& backend, const RingArgs& args,
                       Tensor& out) {
  const Ring ring(lane, backend, args);
  Communicator& group = lane.mesh.ring();
  const int me = ring.rank(), size = ring.size();
  const std::vector<RowRun> own_keys = ring.key_runs(me);
  const std::vector<RowRun> dealt_keys = dealt(args.keys, own_keys);
  Tensor k = args.k, v = args.v;
  if (dealt_keys.size() != own_keys.size()) {  // replicated keys are the owner's affair
    const Shape shape = args.k.shape().with(1, rows_of(dealt_keys));
    k = Tensor::empty(shape, args.k.dtype(), lane.device);
    v = Tensor::empty(shape, args.k.dtype(), lane.device);
    pack(lane, args.keys, own_keys, args.k, k);
    pack(lane, args.keys, own_keys, args.v, v);
  }

  std::vector<std::vector<RowRun>> q_runs;
  std::vector<std::size_t> bytes;
  std::vector<std::int64_t> sent, received;  // parts: out and lse, f32
  const Shape& q = args.q.shape();
  const auto shape_of = [&](int owner) {
    return q.with(1, rows_of(q_runs[static_cast<std::size_t>(owner)]));
  };
  const auto part_elements = [&](int owner) {
    const Shape shape = shape_of(owner);
    return shape.elements() + shape[0] * shape[1] * shape[2];
  };
  for (int owner = 0; owner < size; ++owner) {
    q_runs.push_back(ring.query_runs(owner));
    bytes.push_back(bytes_of(shape_of(owner), args.q.dtype()));
  }
  for (int owner = 0; owner < size; ++owner) {
    sent.push_back(owner == me ? 0 : part_elements(owner));
    received.push_back(owner == me ? 0 : part_elements(me));
  }
  const auto total_of = [](const std::vector<std::int64_t>& counts) {
    std::int64_t sum = 0;
    for (const std::int64_t count : counts) sum += count;
    return sum;
  };
  Tensor send = Tensor::empty({total_of(sent)}, DType::F32, lane.device),
         receive = Tensor::empty({total_of(received)}, DType::F32, lane.device);
  // out [batch, rows, heads, head_dim] and lse [batch, heads, rows] at element `at` of `whole`.
  const auto part_of = [&](Tensor& whole, std::int64_t at, int owner) {
    const Shape shape = shape_of(owner);
    const Shape rows{shape[0], shape[2], shape[1]};
    const std::int64_t middle = at + shape.elements(), end = middle + rows.elements();
    return std::pair{whole.slice(0, at, middle).reshape(shape),
                     whole.slice(0, middle, end).reshape(rows)};
  };

  Tensor place = group.publishable(lane.stream, bytes);
  Tensor own_queries = view_of(place, 0, shape_of(me), args.q.dtype());
  lane.device.copy(lane.stream, args.q, own_queries);
  const auto epoch = group.publish(lane.stream);
  Tensor total_out = Tensor::empty(q, DType::F32, lane.device),
         total_lse = Tensor::empty({q[0], q[2], q[1]}, DType::F32, lane.device);
  for (int hop = 0; hop < size; ++hop) {
    const int owner = (me - hop + size) % size;
    const Tensor shard = epoch->shard(hop);
    const Shape shape = shape_of(owner);
    if (shape.elements() == 0) continue;
    RunningAttention part = ring.nothing(shape[1]);
    if (hop == 0) {
      ring.fold(ring.plan(q_runs[static_cast<std::size_t>(me)], own_keys), args.q, args.k, args.v,
                part);
      backend.finish(lane.stream, lane.workspace, part, total_out, &total_lse);
      continue;
    }
    ring.fold(ring.plan(q_runs[static_cast<std::size_t>(owner)], dealt_keys),
              view_of(shard, 0, shape, args.q.dtype()), k, v, part);
    std::int64_t at = 0;
    for (int other = 0; other < owner; ++other) at += sent[static_cast<std::size_t>(other)];
    auto [part_out, part_lse] = part_of(send, at, owner);
    backend.finish(lane.stream, lane.workspace, part, part_out, &part_lse);
  }
  group.all_to_all(lane.stream, send, sent, receive, received);

  const int threads = host_threads(lane.stream);
  for (int hop = 1; hop < size && q.elements() > 0; ++hop) {
    const int other = (me - hop + size) % size;
    const std::int64_t at = part_elements(me) * (other > me ? other - 1 : other);
    const auto [part_out, part_lse] = part_of(receive, at, me);
    merge_partial(threads, total_out.view<float, 4>(), total_lse.view<float, 3>(),
                  std::as_const(part_out).view<float, 4>(),
                  std::as_const(part_lse).view<float, 3>());
  }
  lane.device.copy(lane.stream, total_out, out);
}

bool queries_move_less(const Sequence& queries, const Sequence& keys, std::int64_t heads,
                       std::int64_t kv_heads, std::int64_t head_dim, std::size_t unit) {
  for (const Segment& segment : queries.segments)
    if (segment.replicated) return false;
  std::int64_t key_rows = 0;
  for (const Segment& segment : keys.segments) key_rows += segment.replicated ? 0 : segment.rows;
  const auto bytes = static_cast<std::int64_t>(unit);
  const std::int64_t by_keys = 2 * key_rows * kv_heads * head_dim * bytes;
  const std::int64_t by_queries = queries.rows() * heads * (head_dim * (bytes + 4) + 4);
  return by_queries < by_keys;
}

bool moves_less_by_queries(const ParallelPlan& plan, const RingArgs& args) {
  if (plan.ring == 1) return false;
  if (args.mask != nullptr && args.mask_per_query) return false;
  const Shape& q = args.q.shape();
  return queries_move_less(args.queries, args.keys, q[2], args.k.shape()[2], q[3],
                           size_of(args.q.dtype()));
}

}  // namespace annulus
