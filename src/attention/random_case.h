// For tests: a small random attention call over all options, made from a seed, and the comparison
// of a backend's answer with the reference's.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "attention/backend.h"
#include "tensor/host_device.h"

namespace annulus {

/// out [.., heads, head_dim] and lse, row-major, as f32.
struct AttentionResult {
  std::vector<float> out, lse;
  bool wrote_outside = false;  // of the tensors it was given
};

class RandomCase {
 public:
  RandomCase(HostDevice& device, std::uint64_t seed) : device_(&device), random_(seed) {
    draw_sizes();
    q_ = make(q_shape(), dtype_);
    k_ = make(kv_shape(), dtype_);
    v_ = make(kv_shape(), dtype_);
    fill(q_, gain_), fill(k_, gain_), fill(v_, 1);
    draw_masks();
    if (one_in(6)) poison();
    out_dtype_ = one_in(2) ? dtype_ : DType::F32;
  }

  DType dtype() const { return dtype_; }
  DType out_dtype() const { return out_dtype_; }
  bool packed() const { return packed_; }

  AttentionArgs args() const {
    return {.q = q_,
            .k = k_,
            .v = v_,
            .scale = scale_,
            .causal = causal_,
            .window = window_,
            .kv_lengths = lengths_ ? &*lengths_ : nullptr,
            .mask = mask_ ? &*mask_ : nullptr,
            .diagonals = diagonals_ ? &*diagonals_ : nullptr,
            .cu_seqlens_q = packed_ ? &cu_q_ : nullptr,
            .cu_seqlens_k = packed_ ? &cu_k_ : nullptr};
  }

  /// `threads` 0: those of the case's device.
  AttentionResult run(const AttentionBackend& backend, DType out_dtype, int threads = 0) const {
    HostDevice other(std::max(threads, 1));
    HostDevice& device = threads == 0 ? *device_ : other;
    const auto stream = device.make_stream();
    Workspace workspace(device);
    Held held = hold(q_shape(), out_dtype, out_layout_);
    Tensor lse = Tensor::empty(lse_shape(), DType::F32, *device_);
    backend.run(*stream, workspace, args(), held.view, &lse);
    return result(held, lse);
  }

  /// The keys in `parts` pieces, folded one after the other and finished. Only where
  /// splits_by_key().
  AttentionResult fold(const AttentionBackend& backend, int parts) const {
    const auto stream = device_->make_stream();
    Workspace workspace(*device_);
    RunningAttention running = nothing_seen(*stream, batch_, seq_q_, heads_, head_dim_);
    // Without meaning until a key was seen: nobody may read it.
    device_->fill(*stream, running.out, std::numeric_limits<double>::quiet_NaN());
    for (int part = 0; part < parts; ++part) {
      const std::int64_t begin = seq_kv_ * part / parts, end = seq_kv_ * (part + 1) / parts;
      const Tensor k = k_.slice(1, begin, end), v = v_.slice(1, begin, end);
      std::optional<Tensor> mask, lengths;
      if (mask_) mask = mask_->slice(3, begin, end);
      if (lengths_) {
        lengths = Tensor::empty({batch_}, DType::I32, *device_);
        for (std::int64_t b = 0; b < batch_; ++b)
          lengths->data<std::int32_t>()[b] = static_cast<std::int32_t>(std::clamp<std::int64_t>(
              std::as_const(*lengths_).data<std::int32_t>()[b] - begin, 0, end - begin));
      }
      backend.fold(*stream, workspace,
                   {.q = q_,
                    .k = k,
                    .v = v,
                    .scale = scale_,
                    .kv_lengths = lengths ? &*lengths : nullptr,
                    .mask = mask ? &*mask : nullptr},
                   running);
    }
    Held held = hold(q_shape(), DType::F32, 0);
    Tensor lse = Tensor::empty(lse_shape(), DType::F32, *device_);
    finish(*stream, running, held.view, &lse);
    return result(held, lse);
  }

  bool splits_by_key() const {
    return !packed_ && causal_ == Causal::No && window_[0] < 0 && window_[1] < 0;
  }

  /// The error that rounding q and k to int8 leaves in a score: some deviations of a sum of
  /// head_dim products of independent errors.
  double int8_score_error() const {
    const double scale =
        scale_ != 0 ? std::fabs(scale_) : 1 / std::sqrt(static_cast<double>(head_dim_));
    return 0.12 * scale * static_cast<double>(gain_) * gain_ *
           std::sqrt(static_cast<double>(head_dim_));
  }

  /// Nothing, or what is wrong: how many, the largest error, its place. `score_error`: what a score
  /// may be off beside rounding to f32.
  std::string compare(const AttentionResult& got, const AttentionResult& expected, DType out_dtype,
                      double score_error = 0) const {
    if (got.wrote_outside) return "wrote outside of its tensors";
    const double half = dtype_ == DType::BF16 ? 0x1p-7 : 0;  // rounded weights, twice
    const double rounding = out_dtype == DType::BF16  ? 0x1p-8
                            : out_dtype == DType::F16 ? 0x1p-10
                                                      : 0;
    const double score = 4e-6 * (1 + largest_score()) + score_error;
    const double most = 6;  // values are drawn below
    std::string wrong = compare("out", got.out, expected.out, (score + half + rounding) * most);
    return wrong.empty() ? compare("lse", got.lse, expected.lse, score) : wrong;
  }

  std::string text() const {
    return text_of("q ", q_.shape(), " strides ", q_.stride(-3), ", ", q_.stride(-2), ", ",
                   q_.stride(-1), "; k ", k_.shape(), "; scale ", scale_, "; window ", window_[0],
                   ", ", window_[1], mask_ ? text_of("; mask ", mask_->shape()) : "", "; ",
                   to_string(spec_of(args(), true)), poisoned_ ? "; with NaN or Inf" : "");
  }

 private:
  struct Held {
    Tensor view, whole;
  };
  static constexpr float kGuard = 12288;  // exact in every floating dtype; no result is as large

  bool one_in(int n) { return random_() % static_cast<std::uint64_t>(n) == 0; }
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n));
  }
  std::int64_t pick(std::initializer_list<std::int64_t> from) {
    return from.begin()[below(static_cast<std::int64_t>(from.size()))];
  }
  // Mean 0, variance 1, within 3.5: a sum of four uniform parts of one number.
  float normal() {
    const std::uint64_t bits = random_();
    const std::uint64_t sum =
        (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
    return (static_cast<float>(sum) * 0x1p-16f - 2.0f) * 1.7320508f;
  }

  std::int64_t draw_length() {
    if (one_in(20)) return 0;
    if (one_in(50)) return pick({255, 256, 257, 300, 513});
    return one_in(2) ? 1 + below(40)
                     : pick({1, 3, 4, 5, 7, 8, 9, 12, 13, 15, 16, 17, 24, 31, 32, 33, 47, 64});
  }

  void draw_sizes() {
    dtype_ = one_in(2) ? DType::F32 : one_in(3) ? DType::F16 : DType::BF16;
    packed_ = one_in(5);
    kv_heads_ = pick({1, 1, 2, 3});
    heads_ = kv_heads_ * pick({1, 1, 2, 3});
    head_dim_ = one_in(8) ? pick({1, 2, 3, 7, 33, 65, 100, 257, 264, 300})
                          : pick({8, 16, 24, 32, 40, 64, 72, 80, 96, 128, 136, 192, 256});
    out_layout_ = static_cast<int>(below(4));
    scale_ = one_in(3) ? 0 : one_in(8) ? -0.2f : one_in(8) ? 1.0f : 0.1f;
    gain_ = one_in(8) ? 4.0f : 1.0f;
    if (packed_) {
      batch_ = below(5);
      cu_q_ = cumulative(seq_q_);
      cu_k_ = cumulative(seq_kv_);
    } else {
      batch_ = pick({1, 1, 2, 3});
      seq_q_ = draw_length();
      seq_kv_ = one_in(3) ? seq_q_ : draw_length();
    }
  }

  Tensor cumulative(std::int64_t& total) {
    Tensor cu = Tensor::empty({batch_ + 1}, DType::I32, *device_);
    total = 0;
    for (std::int64_t n = 0; n <= batch_; ++n) {
      cu.data<std::int32_t>()[n] = static_cast<std::int32_t>(total);
      if (n < batch_) total += draw_length();
    }
    return cu;
  }

  void draw_masks() {
    causal_ = one_in(2) ? Causal::No : one_in(2) ? Causal::TopLeft : Causal::BottomRight;
    if (one_in(5))
      window_ = {below(3) - 1 + below(2) * below(20), below(3) - 1 + below(2) * below(20)};
    if (one_in(4)) {
      lengths_ = Tensor::empty({batch_}, DType::I32, *device_);
      for (std::int64_t b = 0; b < batch_; ++b)
        lengths_->data<std::int32_t>()[b] = static_cast<std::int32_t>(below(seq_kv_ + 1));
    }
    if (one_in(6)) {
      diagonals_ = Tensor::empty({batch_}, DType::I32, *device_);
      for (std::int64_t b = 0; b < batch_; ++b)
        diagonals_->data<std::int32_t>()[b] = static_cast<std::int32_t>(below(40) - 20);
    }
    if (!one_in(3)) return;
    const Shape shape{packed_ || one_in(3) ? 1 : batch_, one_in(2) ? 1 : heads_,
                      one_in(4) ? 1 : seq_q_, seq_kv_};
    const bool boolean = one_in(2);
    const DType dtype = boolean ? DType::Bool : one_in(2) ? dtype_ : DType::F32;
    mask_ = make(shape, dtype);
    const std::int64_t rows = shape[0] * shape[1] * shape[2];
    for (std::int64_t row = 0; row < rows; ++row) {
      const bool dead = one_in(6), lowest = one_in(6);
      for (std::int64_t j = 0; j < seq_kv_; ++j) {
        const bool seen = !dead && !one_in(3);
        const float low =
            dtype == DType::F16 ? -60000.0f : -3.3e38f;  // "minus infinity" of some models
        put(*mask_, row * seq_kv_ + j,
            boolean ? (seen ? 1.0f : 0.0f)
                    : (seen     ? normal()
                       : lowest ? low
                                : -std::numeric_limits<float>::infinity()));
      }
      lowest_f16_ = lowest_f16_ || (lowest && dtype == DType::F16);
    }
  }

  // NaN or Inf in a few places of q, k or v.
  void poison() {
    poisoned_ = true;
    const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                         std::numeric_limits<float>::infinity(),
                         -std::numeric_limits<float>::infinity()};
    for (std::int64_t n = 1 + below(4); n > 0; --n) {
      Tensor& x = one_in(4) ? q_ : one_in(2) ? k_ : v_;
      if (x.elements() > 0) put(x, below(x.elements()), bad[below(3)]);
    }
  }

  Shape q_shape() const {
    return packed_ ? Shape{seq_q_, heads_, head_dim_} : Shape{batch_, seq_q_, heads_, head_dim_};
  }
  Shape kv_shape() const {
    return packed_ ? Shape{seq_kv_, kv_heads_, head_dim_}
                   : Shape{batch_, seq_kv_, kv_heads_, head_dim_};
  }
  Shape lse_shape() const {
    return packed_ ? Shape{heads_, seq_q_} : Shape{batch_, heads_, seq_q_};
  }

  // 0: contiguous, 1: heads before seq, 2: part of a larger tensor, 3: elements of a row apart.
  Held hold(const Shape& shape, DType dtype, int layout) const {
    const int rank = shape.rank();
    const auto with_swapped = [&](int a, int b) {
      Held held;
      held.whole = Tensor::empty(shape.with(a, shape[b]).with(b, shape[a]), dtype, *device_);
      if (rank == 3)
        held.view = held.whole.permute(a == 0 ? std::initializer_list<int>{1, 0, 2}
                                              : std::initializer_list<int>{0, 2, 1});
      else
        held.view = held.whole.permute(a == 1 ? std::initializer_list<int>{0, 2, 1, 3}
                                              : std::initializer_list<int>{0, 1, 3, 2});
      return held;
    };
    Held held;
    if (layout == 1) {
      held = with_swapped(rank - 3, rank - 2);
    } else if (layout == 3) {
      held = with_swapped(rank - 2, rank - 1);
    } else if (layout == 2) {
      held.whole = Tensor::empty(shape.with(rank - 1, shape[rank - 1] * 3), dtype, *device_);
      held.view = held.whole.slice(rank - 1, shape[rank - 1], 2 * shape[rank - 1]);
    } else {
      held.view = held.whole = Tensor::empty(shape, dtype, *device_);
    }
    const auto stream = device_->make_stream();
    device_->fill(*stream, held.whole, static_cast<double>(kGuard));
    return held;
  }

  Tensor make(const Shape& shape, DType dtype) {
    Held held = hold(shape, dtype, one_in(3) ? 0 : static_cast<int>(below(4)));
    if (!is_floating(dtype)) return held.view;
    const auto stream = device_->make_stream();  // what lies between the elements must not be read
    device_->fill(*stream, held.whole, std::numeric_limits<double>::quiet_NaN());
    return held.view;
  }

  // Element `index`, counted row-major.
  static void put(Tensor& x, std::int64_t index, float value) {
    std::int64_t at = 0;
    for (int axis = x.shape().rank() - 1; axis >= 0; --axis) {
      at += index % x.shape()[axis] * x.stride(axis);
      index /= x.shape()[axis];
    }
    if (x.dtype() == DType::Bool)
      reinterpret_cast<bool*>(x.address())[at] = value != 0;
    else
      with_floating(x.dtype(), [&](auto type) {
        using T = decltype(type);
        reinterpret_cast<T*>(x.address())[at] = convert<T>(value);
      });
  }

  void fill(Tensor& x, float gain) {
    for (std::int64_t n = 0; n < x.elements(); ++n) put(x, n, normal() * gain);
  }

  static std::vector<float> values_of(const Tensor& x) {  // contiguous, f32
    const float* const values = x.data<float>();
    return {values, values + x.elements()};
  }

  AttentionResult result(Held& held, const Tensor& lse) const {
    const auto stream = device_->make_stream();
    const auto copied = [&](const Tensor& from) {
      Tensor to = Tensor::empty(from.shape(), DType::F32, *device_);
      device_->copy(*stream, from, to);
      return values_of(to);
    };
    AttentionResult r;
    r.out = copied(held.view);
    r.lse = values_of(lse);
    if (held.view.elements() == held.whole.elements()) return r;
    device_->fill(*stream, held.view, static_cast<double>(kGuard));
    for (const float x : copied(held.whole)) r.wrote_outside = r.wrote_outside || x != kGuard;
    return r;
  }

  // A bound by Cauchy and Schwarz, not the largest that occurs.
  double largest_score() const {
    const double scale =
        scale_ != 0 ? std::fabs(scale_) : 1 / std::sqrt(static_cast<double>(head_dim_));
    return scale * static_cast<double>(gain_) * gain_ * 2 * static_cast<double>(head_dim_) +
           (lowest_f16_ ? 60000.0 : 0.0);
  }

  static std::string compare(std::string_view name, const std::vector<float>& got,
                             const std::vector<float>& expected, double bound) {
    std::size_t bad = 0, first = 0;
    double largest = 0;
    for (std::size_t n = 0; n < expected.size(); ++n) {
      const double a = static_cast<double>(got[n]), b = static_cast<double>(expected[n]);
      const bool none = b == -std::numeric_limits<double>::infinity() && name == "lse";
      const double error = std::isfinite(a) && std::isfinite(b) ? std::fabs(a - b)
                           : none                               ? (a == b ? 0 : HUGE_VAL)
                                  : (std::isfinite(a) == std::isfinite(b) ? 0 : HUGE_VAL);
      if (error > bound && bad++ == 0) first = n;
      largest = std::max(largest, error);
    }
    if (bad == 0) return {};
    return text_of(name, ": ", bad, " of ", expected.size(), " wrong, largest error ", largest,
                   ", bound ", bound, ", first at ", first, ": wanted ", expected[first],
                   ", found ", got[first]);
  }

  HostDevice* device_;
  std::mt19937_64 random_;
  DType dtype_ = DType::F32, out_dtype_ = DType::F32;
  bool packed_ = false, poisoned_ = false, lowest_f16_ = false;
  std::int64_t batch_ = 0, seq_q_ = 0, seq_kv_ = 0, heads_ = 0, kv_heads_ = 0, head_dim_ = 0;
  int out_layout_ = 0;
  float scale_ = 0, gain_ = 1;
  Causal causal_ = Causal::No;
  std::array<std::int64_t, 2> window_ = {-1, -1};
  Tensor q_, k_, v_, cu_q_, cu_k_;
  std::optional<Tensor> lengths_, diagonals_, mask_;
};

}  // namespace annulus
