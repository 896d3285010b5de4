#include "parallel/ulysses.h"

#include "base/error.h"

namespace annulus {

namespace {

// Where a run of one rank lies in the tensor of its group.
std::int64_t place_in(const std::vector<RowRun>& group, const RowRun& run) {
  for (const RowRun& whole : group)
    if (whole.segment == run.segment && whole.first <= run.first &&
        run.first + run.rows <= whole.first + whole.rows)
      return whole.at + run.first - whole.first;
  throw Error(ErrorCode::InvalidRequest, "ulysses: wanted a run within its group's");
}

// Tensors that lie one after the other in a flat one.
class Flat {
 public:
  explicit Flat(Tensor flat) : flat_(std::move(flat)) {}
  Tensor next(const Shape& shape) {
    const std::int64_t begin = at_;
    at_ += shape.elements();
    return flat_.slice(0, begin, at_).reshape(shape);
  }

 private:
  Tensor flat_;
  std::int64_t at_ = 0;
};

std::int64_t sum(const std::vector<std::int64_t>& counts) {
  std::int64_t total = 0;
  for (const std::int64_t count : counts) total += count;
  return total;
}

// What both directions know.
struct Exchange {
  const Lane& lane;
  const ParallelPlan& plan;
  Communicator& group;
  int ring_rank;

  explicit Exchange(const Lane& l)
      : lane(l), plan(l.mesh.plan()), group(l.mesh.ulysses()), ring_rank(l.mesh.ring().rank()) {}

  std::vector<RowRun> runs(const Sequence& sequence, int member) const {
    return runs_of(sequence, plan.ring * plan.ulysses, ring_rank * plan.ulysses + member);
  }
  std::vector<RowRun> all(const Sequence& sequence) const {
    return group_runs(sequence, plan.ring, plan.ulysses, ring_rank);
  }
  void copy(const Tensor& from, Tensor to) const { lane.device.copy(lane.stream, from, to); }
};

// Heads [first, first + count) of x after each of its heads is repeated to make `heads` of them,
// copied to `to`.
void copy_heads(const Exchange& exchange, const Tensor& x, std::int64_t heads, std::int64_t first,
                std::int64_t count, Tensor to) {
  const std::int64_t repeats = heads / x.shape()[2];
  if (repeats == 1) {
    exchange.copy(x.slice(2, first, first + count), std::move(to));
    return;
  }
  for (std::int64_t h = 0; h < count; ++h) {
    const std::int64_t from = (first + h) / repeats;
    exchange.copy(x.slice(2, from, from + 1), to.slice(2, h, h + 1));
  }
}

}  // namespace

std::vector<Tensor> rows_to_heads(const Lane& lane, const std::vector<HeadsItem>& items) {
  const Exchange exchange(lane);
  const int members = exchange.group.size(), me = exchange.group.rank();
  const DType dtype = items.front().x.dtype();
  const auto message = [&](const HeadsItem& item, int rows_of_member) {
    return item.x.shape()
        .with(1, rows_of(dealt(item.sequence, exchange.runs(item.sequence, rows_of_member))))
        .with(2, item.heads / members);
  };
  std::vector<std::int64_t> sent, received;
  for (int u = 0; u < members; ++u) {
    sent.push_back(0), received.push_back(0);
    for (const HeadsItem& item : items) {
      if (u != me) sent.back() += message(item, me).elements();
      if (u != me) received.back() += message(item, u).elements();
    }
  }
  const Tensor out = Tensor::empty({sum(sent)}, dtype, lane.device);
  Tensor in = Tensor::empty({sum(received)}, dtype, lane.device);

  std::vector<Tensor> results;
  for (const HeadsItem& item : items)
    results.push_back(Tensor::empty(
        item.x.shape().with(1, rows_of(exchange.all(item.sequence))).with(2, item.heads / members),
        dtype, lane.device));
  Flat to_send(out);
  for (int u = 0; u < members; ++u)
    for (std::size_t i = 0; i < items.size(); ++i) {
      const HeadsItem& item = items[i];
      const std::int64_t count = item.heads / members;
      const std::vector<RowRun> group = exchange.all(item.sequence);
      const Tensor message_rows = u == me ? Tensor{} : to_send.next(message(item, me));
      std::int64_t at = 0;
      for (const RowRun& run : exchange.runs(item.sequence, me)) {
        const Tensor rows = item.x.slice(1, run.at, run.at + run.rows);
        if (u == me) {
          const std::int64_t place = place_in(group, run);
          copy_heads(exchange, rows, item.heads, u * count, count,
                     results[i].slice(1, place, place + run.rows));
        } else if (!item.sequence.segments[run.segment].replicated) {
          copy_heads(exchange, rows, item.heads, u * count, count,
                     message_rows.slice(1, at, at + run.rows));
          at += run.rows;
        }
      }
    }
  exchange.group.all_to_all(lane.stream, out, sent, in, received);
  Flat arrived(in);
  for (int u = 0; u < members; ++u) {
    if (u == me) continue;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::vector<RowRun> group = exchange.all(items[i].sequence);
      const Tensor rows = arrived.next(message(items[i], u));
      for (const RowRun& run : dealt(items[i].sequence, exchange.runs(items[i].sequence, u))) {
        const std::int64_t place = place_in(group, run);
        exchange.copy(rows.slice(1, run.at, run.at + run.rows),
                      results[i].slice(1, place, place + run.rows));
      }
    }
  }
  return results;
}

Tensor heads_to_rows(const Lane& lane, const Tensor& x, const Sequence& sequence) {
  const Exchange exchange(lane);
  const int members = exchange.group.size(), me = exchange.group.rank();
  const std::int64_t heads = x.shape()[2];
  const std::vector<RowRun> group = exchange.all(sequence);
  const auto message = [&](int to) {
    return x.shape().with(1, rows_of(exchange.runs(sequence, to)));
  };
  std::vector<std::int64_t> sent, received;
  for (int u = 0; u < members; ++u) {
    sent.push_back(u == me ? 0 : message(u).elements());
    received.push_back(u == me ? 0 : message(me).elements());
  }
  const Tensor out = Tensor::empty({sum(sent)}, x.dtype(), lane.device);
  Tensor in = Tensor::empty({sum(received)}, x.dtype(), lane.device);
  Tensor result = Tensor::empty(message(me).with(2, heads * members), x.dtype(), lane.device);
  Flat to_send(out);
  for (int u = 0; u < members; ++u) {
    const Tensor to =
        u == me ? result.slice(2, me * heads, (me + 1) * heads) : to_send.next(message(u));
    for (const RowRun& run : exchange.runs(sequence, u)) {
      const std::int64_t place = place_in(group, run);
      exchange.copy(x.slice(1, place, place + run.rows), to.slice(1, run.at, run.at + run.rows));
    }
  }
  exchange.group.all_to_all(lane.stream, out, sent, in, received);
  Flat arrived(in);
  for (int u = 0; u < members; ++u)
    if (u != me)
      exchange.copy(arrived.next(message(me)), result.slice(2, u * heads, (u + 1) * heads));
  return result;
}

}  // namespace annulus
