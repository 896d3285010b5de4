// oneDNN behind plain types: products of matrices and convolutions. Primitives are made once per
// shape and kept; making one costs 0.1 to 2 ms (machine code is generated), running one a few
// microseconds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "attention/cpu/flash.h"
#include "platform/op_table.h"

namespace annulus::cpu {

/// out = alpha * a b + bias (+ out where it accumulates) for each matrix of the batch. Activations
/// are not oneDNN's business: its own cost several times ours (2.5 to 3.6 ns an element against
/// 0.3, oneDNN 2.6.3, gelu_tanh on a Xeon with AMX).
struct Product {
  DType factors = DType::F32;  // of a and b: f32 or bf16
  DType out = DType::F32;      // f32, or bf16 with bf16 factors
  std::int64_t batch = 1, m = 0, k = 0, n = 0;
  // Elements between neighbours along batch, rows, columns. 0 along batch repeats a matrix; of the
  // other two one must be 1, in out the last.
  std::array<std::int64_t, 3> a_stride{}, b_stride{}, out_stride{};
  bool bias = false;  // [n] f32
  float alpha = 1;
  bool accumulate = false;
  auto operator<=>(const Product&) const = default;
};

/// A convolution over dense [batch, frames, height, width, channels]; arrays are frames, height,
/// width.
struct Convolution {
  DType data = DType::F32;    // of x and of the arithmetic: f32 or bf16
  DType out = DType::F32;     // f32, or bf16 with bf16 data
  DType weight = DType::F32;  // f32 or bf16
  std::int64_t batch = 1, in = 0, out_channels = 0;
  std::array<std::int64_t, 3> x_extent{}, kernel{}, out_extent{}, stride{}, pad_before{},
      pad_after{};
  std::array<std::int64_t, 5> weight_stride{};  // of [out, in, kt, kh, kw], elements
  bool bias = false;                            // [out_channels] f32
  auto operator<=>(const Convolution&) const = default;
};

class MadeProduct;
class MadeConvolution;

/// oneDNN with the primitives made so far, those used last first. Any thread may call it.
class OneDnn {
 public:
  explicit OneDnn(int threads);
  ~OneDnn();
  OneDnn(const OneDnn&) = delete;
  OneDnn& operator=(const OneDnn&) = delete;

  /// The primitive for that description, made now or before. Throws Unsupported, OutOfMemory or
  /// DeviceFailure as oneDNN does.
  std::shared_ptr<const MadeProduct> product(const Product& wanted);
  std::shared_ptr<const MadeConvolution> convolution(const Convolution& wanted);

  /// `scratch`: scratch_bytes() of the primitive. `bias` is null where the description has none.
  void run(const MadeProduct& made, const void* a, const void* b, const float* bias, void* out,
           std::byte* scratch) const;

  /// Brings the weight from the checkpoint's order into the one that the primitive wants.
  void arrange_weight(const MadeConvolution& made, const void* weight, std::byte* arranged) const;
  void run(const MadeConvolution& made, const void* x, const std::byte* arranged, const float* bias,
           void* out, std::byte* scratch) const;

  /// out = softmax of each row of x; [rows, columns], dense, f32.
  void softmax(std::int64_t rows, std::int64_t columns, const float* x, float* out);

 private:
  struct Primitives;
  std::unique_ptr<Primitives> primitives_;
  int threads_;
};

std::size_t scratch_bytes(const MadeProduct& made) noexcept;
std::size_t scratch_bytes(const MadeConvolution& made) noexcept;
std::size_t arranged_bytes(const MadeConvolution& made) noexcept;
/// Do both want the weight in the same order?
bool same_arrangement(const MadeConvolution& a, const MadeConvolution& b) noexcept;

/// oneDNN's name of the code that runs ("brg:avx512_core", "ref:any").
std::string implementation(const MadeProduct& made);
std::string implementation(const MadeConvolution& made);

/// "2.6.3"
std::string onednn_version();

/// Keeps oneDNN below an instruction set chosen by the user; works before its first use in the
/// process only.
void limit_onednn(Isa isa) noexcept;

}  // namespace annulus::cpu
