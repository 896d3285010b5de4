// For tests: attention over ranks against attention on one rank and against double precision, as
// functions that every rank calls with the same arguments. Threads run them in attend_test.cc,
// processes in tests/ranks.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "attention/cpu/flash.h"
#include "attention/reference.h"
#include "parallel/attend.h"
#include "parallel/shard.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {

/// An attention problem over a sequence, whole: the same on every rank.
struct AttendCase {
  std::int64_t batch = 1, heads = 4, kv_heads = 4, head_dim = 8;
  DType dtype = DType::F32;
  Sequence keys;
  std::optional<Sequence> queries;  // absent: the keys'
  Causal causal = Causal::No;
  std::array<std::int64_t, 2> window = {-1, -1};
  enum class Mask { None, Bool, Added } mask = Mask::None;
  bool mask_per_head = false, mask_per_query = true, mask_per_entry = true;
  std::uint64_t seed = 1;

  const Sequence& q_sequence() const { return queries ? *queries : keys; }
  std::string text() const {
    std::string parts;
    const auto add = [&parts](const Sequence& sequence) {
      for (const Segment& s : sequence.segments) {
        parts += text_of(" ", s.rows, s.replicated ? "r" : "");
        for (const auto n : s.lengths) parts += text_of(":", n);
      }
      for (const auto n : sequence.starts) parts += text_of(" @", n);
    };
    add(keys);
    if (queries) parts += "; queries", add(*queries);
    return text_of("seed ", seed, ": batch ", batch, ", heads ", heads, "/", kv_heads, " x ",
                   head_dim, " ", name_of(dtype), ", causal ", static_cast<int>(causal), " window ",
                   window[0], ",", window[1], " mask ", static_cast<int>(mask), mask_per_head,
                   mask_per_query, mask_per_entry, keys.deal == Deal::ZigZag ? ", zigzag" : "",
                   ", keys", parts);
  }
};

/// A rank as the laws need it: device, stream, mesh.
class LawRank {
 public:
  LawRank(Communicator& world, const ParallelPlan& plan)
      : device_(1), stream_(device_.make_stream()), workspace_(device_), mesh_(world, plan) {}
  Lane lane() { return {device_, *stream_, workspace_, mesh_}; }
  HostDevice& device() { return device_; }
  Stream& stream() { return *stream_; }
  Mesh& mesh() { return mesh_; }

 private:
  HostDevice device_;
  std::unique_ptr<Stream> stream_;
  Workspace workspace_;
  Mesh mesh_;
};

/// The whole problem on one rank.
struct WholeCase {
  Tensor q, k, v, mask;  // mask undefined where there is none

  WholeCase(LawRank& rank, const AttendCase& c) {
    std::mt19937_64 random(c.seed);
    std::normal_distribution<float> normal;
    const auto make = [&](std::int64_t rows, std::int64_t heads) {
      const Shape shape = c.keys.packed() ? Shape{rows, heads, c.head_dim}
                                          : Shape{c.batch, rows, heads, c.head_dim};
      Tensor x = Tensor::empty(shape, DType::F32, rank.device());
      for (std::int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] = normal(random);
      return cast(rank.stream(), x, c.dtype);
    };
    q = make(c.q_sequence().rows(), c.heads);
    k = make(c.keys.rows(), c.kv_heads);
    v = make(c.keys.rows(), c.kv_heads);
    if (c.mask == AttendCase::Mask::None) return;
    const Shape shape{c.mask_per_entry && !c.keys.packed() ? c.batch : 1,
                      c.mask_per_head ? c.heads : 1, c.mask_per_query ? c.q_sequence().rows() : 1,
                      c.keys.rows()};
    const bool boolean = c.mask == AttendCase::Mask::Bool;
    mask = Tensor::empty(shape, boolean ? DType::Bool : DType::F32, rank.device());
    for (std::int64_t i = 0; i < mask.elements(); ++i) {
      const bool seen = random() % 3 != 0;
      if (boolean)
        mask.data<bool>()[i] = seen;
      else
        mask.data<float>()[i] = seen ? normal(random) : -std::numeric_limits<float>::infinity();
    }
  }
};

/// The problem by its definition, in one call: padding inside the sequence becomes a mask.
/// `backend` in `dtype`, out in f32 (f64 for the oracle).
inline std::vector<double> one_rank(LawRank& rank, const AttendCase& c, const WholeCase& whole,
                                    const AttentionBackend& backend, DType dtype) {
  HostDevice& device = rank.device();
  const std::int64_t rows = c.keys.rows();
  Tensor lengths, mask = whole.mask, cu_q, cu_k;
  const auto ints = [&](const std::vector<std::int64_t>& values) {
    Tensor x = Tensor::empty({static_cast<std::int64_t>(values.size())}, DType::I32, device);
    for (std::size_t i = 0; i < values.size(); ++i)
      x.data<std::int32_t>()[i] = static_cast<std::int32_t>(values[i]);
    return x;
  };
  if (c.keys.packed()) {
    cu_q = ints(c.q_sequence().starts);
    cu_k = ints(c.keys.starts);
  } else if (!c.keys.segments.back().lengths.empty()) {
    std::vector<std::int64_t> real = c.keys.segments.back().lengths;
    for (std::int64_t& n : real) n += rows - c.keys.segments.back().rows;
    lengths = ints(real);
  }
  bool inner = false;
  for (std::size_t s = 0; s + 1 < c.keys.segments.size(); ++s)
    inner = inner || !c.keys.segments[s].lengths.empty();
  if (inner) {
    const bool added = mask.defined() && mask.dtype() != DType::Bool;
    const Shape shape{c.batch, mask.defined() ? mask.shape()[1] : 1,
                      mask.defined() ? mask.shape()[2] : 1, rows};
    Tensor wider = Tensor::empty(shape, added ? DType::F32 : DType::Bool, device);
    device.fill(rank.stream(), wider, added ? 0 : 1);
    if (mask.defined()) copy(rank.stream(), mask.expand(shape), wider);
    std::int64_t before = 0;
    for (const Segment& segment : c.keys.segments) {
      for (std::int64_t b = 0; b < c.batch && !segment.lengths.empty(); ++b) {
        Tensor padding = wider.slice(0, b, b + 1)
                             .slice(3, before + segment.lengths[static_cast<std::size_t>(b)],
                                    before + segment.rows);
        device.fill(rank.stream(), padding, added ? -std::numeric_limits<double>::infinity() : 0.0);
      }
      before += segment.rows;
    }
    mask = wider;
  }
  const Tensor q = cast(rank.stream(), whole.q, dtype), k = cast(rank.stream(), whole.k, dtype),
               v = cast(rank.stream(), whole.v, dtype);
  Tensor out = Tensor::empty(q.shape(), dtype, device);
  const auto or_null = [](const Tensor& x) { return x.defined() ? &x : nullptr; };
  Workspace workspace(device);
  backend.run(rank.stream(), workspace,
              {.q = q,
               .k = k,
               .v = v,
               .causal = c.causal,
               .window = c.window,
               .kv_lengths = or_null(lengths),
               .mask = or_null(mask),
               .cu_seqlens_q = or_null(cu_q),
               .cu_seqlens_k = or_null(cu_k)},
              out, nullptr);
  const Tensor wide = cast(rank.stream(), out, DType::F64);
  return {wide.data<double>(), wide.data<double>() + wide.elements()};
}

/// This rank's part of the result, by attend() over the mesh.
inline Tensor attend_ranks(LawRank& rank, const AttendCase& c, const WholeCase& whole,
                           const AttentionBackend& backend) {
  const Lane lane = rank.lane();
  const int axis = c.keys.packed() ? 0 : 1;
  const Tensor q = shard(lane, whole.q, axis, c.q_sequence()),
               k = shard(lane, whole.k, axis, c.keys), v = shard(lane, whole.v, axis, c.keys);
  Tensor mask = whole.mask;
  if (mask.defined() && c.mask_per_query) mask = shard(lane, mask, 2, c.q_sequence());
  AttentionChoice choice;
  choice.backend = &backend;
  return attend(lane, choice,
                {.q = q,
                 .k = k,
                 .v = v,
                 .causal = c.causal,
                 .window = c.window,
                 .mask = mask.defined() ? &mask : nullptr,
                 .sequence = &c.keys,
                 .queries = c.queries ? &*c.queries : nullptr,
                 .mask_per_query = c.mask_per_query});
}

/// RMS(N ranks - double) <= 2 x RMS(one rank - double); a second run gives the same bits; and what
/// gather() puts together is each rank's part.
inline void attend_law(LawRank& rank, const AttendCase& c, const AttentionBackend& backend) {
  const WholeCase whole(rank, c);
  const std::vector<double> exact = one_rank(rank, c, whole, reference_attention(), DType::F64),
                            alone = one_rank(rank, c, whole, backend, c.dtype);
  const Tensor part = attend_ranks(rank, c, whole, backend),
               again = attend_ranks(rank, c, whole, backend);
  ASSERT_EQ(part.bytes(), again.bytes());
  if (part.bytes() > 0) {
    EXPECT_EQ(std::memcmp(part.address(), again.address(), part.bytes()), 0)
        << "two runs differ; " << c.text();
  }
  const Tensor all =
      cast(rank.stream(), gather(rank.lane(), part, c.keys.packed() ? 0 : 1, c.q_sequence()),
           DType::F64);
  ASSERT_EQ(static_cast<std::size_t>(all.elements()), exact.size());
  double ranks_error = 0, alone_error = 0, largest = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double error = all.data<double>()[i] - exact[i];
    ranks_error += error * error;
    alone_error += (alone[i] - exact[i]) * (alone[i] - exact[i]);
    if (!(std::abs(error) <= largest)) largest = std::abs(error);
  }
  const auto count = static_cast<double>(std::max<std::size_t>(exact.size(), 1));
  EXPECT_LE(std::sqrt(ranks_error / count), 2 * std::sqrt(alone_error / count) + 1e-6)
      << c.text() << "; plan " << to_string(rank.mesh().plan()) << ", rank "
      << rank.mesh().world().rank() << ", largest error " << largest;
}

/// A random problem whose heads divide by `ulysses`.
inline AttendCase random_attend_case(std::uint64_t seed, int ulysses) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::int64_t n) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
  };
  const auto one_in = [&](std::int64_t n) { return below(n) == 0; };
  AttendCase c;
  c.seed = seed;
  c.batch = 1 + below(3);
  c.kv_heads = 1 + below(3);
  c.heads = std::lcm(c.kv_heads, static_cast<std::int64_t>(ulysses)) * (1 + below(2));
  c.head_dim = std::array{8, 16, 40}[static_cast<std::size_t>(below(3))];
  c.dtype = one_in(4) ? DType::BF16 : DType::F32;
  const bool packed = one_in(4);
  const auto rows = [&] {
    return std::array<std::int64_t, 10>{
        0, 1, 2, 3, 5, 7, 8, 13, 29, 64}[static_cast<std::size_t>(below(10))];
  };
  const auto sequence = [&](bool lengths) {
    Sequence s;
    for (std::int64_t n = packed ? 1 : 1 + below(3); n > 0; --n) {
      Segment segment{.rows = rows(), .replicated = !packed && one_in(4), .lengths = {}};
      if (lengths && !packed && one_in(3))
        for (std::int64_t b = 0; b < c.batch; ++b)
          segment.lengths.push_back(below(segment.rows + 1));
      s.segments.push_back(segment);
    }
    if (one_in(3)) s.deal = Deal::ZigZag;
    return s;
  };
  c.keys = sequence(true);
  if (one_in(3)) c.queries = sequence(false);
  if (packed) {
    const std::int64_t sequences = 1 + below(4);
    const auto cut = [&](Sequence& s) {
      s.starts = {0};
      for (std::int64_t n = 1; n < sequences; ++n) s.starts.push_back(below(s.rows() + 1));
      s.starts.push_back(s.rows());
      std::sort(s.starts.begin(), s.starts.end());
    };
    cut(c.keys);
    if (c.queries) cut(*c.queries);
    c.batch = 1;
  }
  c.causal = std::array{Causal::No, Causal::No, Causal::TopLeft,
                        Causal::BottomRight}[static_cast<std::size_t>(below(4))];
  if (one_in(4)) c.window = {below(9) - 1, below(9) - 1};
  if (one_in(3)) c.mask = one_in(2) ? AttendCase::Mask::Bool : AttendCase::Mask::Added;
  c.mask_per_head = one_in(2), c.mask_per_query = !one_in(3), c.mask_per_entry = one_in(2);
  return c;
}

/// `count` random problems over every plan of this many ranks.
inline void random_attend_laws(Communicator& world, std::uint64_t first_seed, int count) {
  for (int ulysses = 1; ulysses <= world.size(); ++ulysses) {
    if (world.size() % ulysses != 0) continue;
    LawRank rank(world, {.cfg = 1, .ulysses = ulysses, .ring = world.size() / ulysses});
    for (int n = 0; n < count; ++n) {
      const std::uint64_t seed = first_seed + static_cast<std::uint64_t>(n * 64 + ulysses);
      attend_law(rank, random_attend_case(seed, ulysses),
                 n % 4 == 3 ? reference_attention() : flash_attention(chosen_isa()));
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace annulus
