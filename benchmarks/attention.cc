// Attention by Google Benchmark: build/release/benchmarks/attention --benchmark_filter=f32
//
// run/DTYPE/SHAPE and with the log-sum-exp, fold (a hop of a ring) and merge. Arguments: batch,
// heads, seq_q, seq_kv, head_dim, threads. Rates are of useful operations (4 * batch * heads *
// seq_q
// * seq_kv * head_dim) and of bytes read and written. Comparisons with peers:
// benchmarks/compare_attention.py.
#include <benchmark/benchmark.h>

#include <annulus/attention.hpp>
#include <random>
#include <vector>

namespace {

using annulus::attention::Arguments;
using annulus::attention::Attention;
using annulus::attention::DType;
using annulus::attention::Input;
using annulus::attention::Output;

struct Sizes {
  std::int64_t batch, heads, seq_q, seq_kv, head_dim;
  int threads;

  explicit Sizes(const benchmark::State& state)
      : batch(state.range(0)),
        heads(state.range(1)),
        seq_q(state.range(2)),
        seq_kv(state.range(3)),
        head_dim(state.range(4)),
        threads(static_cast<int>(state.range(5))) {}
  std::int64_t queries() const { return batch * heads * seq_q * head_dim; }
  std::int64_t keys() const { return batch * heads * seq_kv * head_dim; }
  std::int64_t rows() const { return batch * heads * seq_q; }
  std::vector<std::int64_t> query_shape() const { return {batch, seq_q, heads, head_dim}; }
  std::vector<std::int64_t> key_shape() const { return {batch, seq_kv, heads, head_dim}; }
  std::vector<std::int64_t> row_shape() const { return {batch, heads, seq_q}; }
  double flop() const { return 4.0 * static_cast<double>(queries()) * static_cast<double>(seq_kv); }
};

// Normal values as `dtype` holds them; bf16 by cutting, which does for timing.
class Array {
 public:
  Array(std::int64_t count, DType dtype, unsigned seed) : dtype_(dtype) {
    std::mt19937 random(seed);
    std::normal_distribution<float> draw;
    floats_.resize(static_cast<std::size_t>(count));
    for (float& value : floats_) value = draw(random);
    if (dtype == DType::F32) return;
    halves_.reserve(floats_.size());
    for (const float value : floats_)
      halves_.push_back(static_cast<std::uint16_t>(__builtin_bit_cast(std::uint32_t, value) >> 16));
  }
  void* data() {
    if (dtype_ == DType::F32) return floats_.data();
    return halves_.data();
  }
  DType dtype() const { return dtype_; }

 private:
  DType dtype_;
  std::vector<float> floats_;
  std::vector<std::uint16_t> halves_;
};

struct Case {
  Sizes sizes;
  Array q, k, v, out;
  std::vector<float> lse;

  Case(const benchmark::State& state, DType dtype)
      : sizes(state),
        q(sizes.queries(), dtype, 1),
        k(sizes.keys(), dtype, 2),
        v(sizes.keys(), dtype, 3),
        out(sizes.queries(), dtype, 4),
        lse(static_cast<std::size_t>(sizes.rows())) {}
  Arguments arguments() {
    return {.q = {q.data(), q.dtype(), sizes.query_shape()},
            .k = {k.data(), k.dtype(), sizes.key_shape()},
            .v = {v.data(), v.dtype(), sizes.key_shape()}};
  }
};

void count(benchmark::State& state, const Sizes& sizes) {
  state.counters["flop/s"] =
      benchmark::Counter(sizes.flop(), benchmark::Counter::kIsIterationInvariantRate);
}

void run(benchmark::State& state, DType dtype, bool with_lse) {
  Case c(state, dtype);
  Attention attention(c.sizes.threads);
  const Output out(c.out.data(), dtype, c.sizes.query_shape());
  const Output lse = with_lse ? Output(c.lse.data(), c.sizes.row_shape()) : Output();
  for (auto _ : state) attention.run(c.arguments(), out, lse);
  count(state, c.sizes);
}

void fold(benchmark::State& state, DType dtype) {
  Case c(state, dtype);
  Array total(c.sizes.queries(), DType::F32, 4);
  std::vector<float> max(c.lse.size()), sum(c.lse.size());
  Attention attention(c.sizes.threads);
  const annulus::attention::Running running = {
      {static_cast<float*>(total.data()), c.sizes.query_shape()},
      {max.data(), c.sizes.row_shape()},
      {sum.data(), c.sizes.row_shape()}};
  attention.start(running);
  for (auto _ : state) attention.fold(c.arguments(), running);
  count(state, c.sizes);
}

void merge(benchmark::State& state) {
  Case total(state, DType::F32), part(state, DType::F32);
  Attention attention(total.sizes.threads);
  const auto shape = total.sizes.query_shape(), rows = total.sizes.row_shape();
  const Output out(static_cast<float*>(total.out.data()), shape), lse(total.lse.data(), rows);
  const Input part_out(static_cast<const float*>(part.out.data()), shape),
      part_lse(part.lse.data(), rows);
  for (auto _ : state) attention.merge(out, lse, part_out, part_lse);
  state.SetBytesProcessed(state.iterations() * total.sizes.queries() * 12);
}

void shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"batch", "heads", "seq_q", "seq_kv", "head_dim", "threads"})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
  for (const std::int64_t threads : {1, 2})
    for (const std::vector<std::int64_t>& shape : {std::vector<std::int64_t>{1, 24, 256, 256, 128},
                                                   {1, 24, 1024, 1024, 128},
                                                   {2, 16, 2048, 2048, 64},
                                                   {1, 24, 4096, 512, 128}}) {
      std::vector<std::int64_t> all = shape;
      all.push_back(threads);
      benchmark->Args(all);
    }
}

BENCHMARK_CAPTURE(run, f32, DType::F32, false)->Apply(shapes);
BENCHMARK_CAPTURE(run, f32_lse, DType::F32, true)->Apply(shapes);
BENCHMARK_CAPTURE(run, bf16, DType::BF16, false)->Apply(shapes);
BENCHMARK_CAPTURE(run, bf16_lse, DType::BF16, true)->Apply(shapes);
BENCHMARK_CAPTURE(fold, f32, DType::F32)->Apply(shapes);
BENCHMARK_CAPTURE(fold, bf16, DType::BF16)->Apply(shapes);
BENCHMARK(merge)->Apply(shapes);

}  // namespace
