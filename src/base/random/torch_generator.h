// Random numbers that equal those of torch's CPU generator bit for bit, so that a seed gives the
// picture that diffusers gives. base/random also has numpy's two generators. Not here: tensors
// (callers pass spans). Built without fused contraction: see box_muller.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/half.h"
#include "base/random/mt19937.h"

namespace annulus {

/// torch.Generator("cpu") after manual_seed(seed). A value: a copy continues from the same state.
///
/// Normal numbers depend on how many are asked for: from 16 on they come in blocks of 16, and where
/// the last block is not whole the last 16 are drawn anew; below 16 they come one at a time in
/// double precision, the second of each pair kept for the next such call. So noise is drawn whole,
/// with the element count and dtype of the reference, and then sharded. Source:
/// at::CPUGeneratorImpl and the distribution kernels of torch, its AVX2 form.
class TorchGenerator {
 public:
  explicit TorchGenerator(std::uint64_t seed) noexcept;

  std::uint32_t bits32() noexcept { return engine_(); }
  std::uint64_t bits64() noexcept;  // the first of two words is the upper half

  /// torch.randn of contiguous tensors: standard normal.
  void randn(std::span<float> out) noexcept;
  void randn(std::span<double> out) noexcept;
  void randn(std::span<F16> out) noexcept;
  void randn(std::span<Bf16> out) noexcept;

  /// normal_() on a tensor that is not contiguous: one at a time, whatever the length.
  void randn_one_by_one(std::span<float> out) noexcept;

  /// torch.rand: uniform in [0, 1), 24 bits (f64: 53) rounded to the type.
  void rand(std::span<float> out) noexcept;
  void rand(std::span<double> out) noexcept;
  void rand(std::span<F16> out) noexcept;
  void rand(std::span<Bf16> out) noexcept;

  /// torch.randint(low, high): integers in [low, high). Throws InvalidRequest when there is none.
  void randint(std::int64_t low, std::int64_t high, std::span<std::int64_t> out);

  /// torch.randperm(out.size()). At most 2^31 - 1 elements, else InvalidRequest.
  void randperm(std::span<std::int64_t> out);

  /// bernoulli_(p): 1 with probability p in [0, 1], else 0. Throws InvalidRequest for another p.
  void bernoulli(double probability, std::span<float> out);

  /// torch.bernoulli(probabilities): one probability per element; the lengths are equal.
  void bernoulli(std::span<const float> probabilities, std::span<float> out);

 private:
  double one_normal() noexcept;  // the second of a pair is kept

  template <class T>
  void fill_uniform(std::span<T> out) noexcept;
  template <class T>
  void fill_normal(std::span<T> out) noexcept;
  template <class T>
  void fill_block(std::span<T> block) noexcept;

  Mt19937 engine_;
  std::optional<double> kept_normal_;  // next_double_normal_sample of torch's generator state
};

}  // namespace annulus
