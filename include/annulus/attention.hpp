// Attention with its log-sum-exp, by itself: what a program that has its own tensors needs to
// spread attention over devices. Link annulus::attention (CMake) or annulus-attention (pkg-config);
// nothing else is needed, oneDNN neither.
//
//   std::vector<float> q(...), k(...), v(...), out(...), lse(...);
//   annulus::attention::Attention attention;
//   attention.run({.q = {q.data(), {1, 5, 2, 8}}, .k = {k.data(), {1, 7, 2, 8}},
//                  .v = {v.data(), {1, 7, 2, 8}}},
//                 {out.data(), {1, 5, 2, 8}}, {lse.data(), {1, 2, 5}});
//
// Conventions (masks, alignment of causal, rows that see no key): docs/attention.md.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace annulus::attention {

enum class DType : std::uint8_t { F32, F16, BF16, I32, Bool };

/// The caller's memory as a strided array that is read. Default: absent.
struct Input {
  const void* data = nullptr;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  // elements, >= 0; empty: contiguous

  Input() = default;
  Input(const void* memory, DType type, std::vector<std::int64_t> extents,
        std::vector<std::int64_t> steps = {});
  Input(const float* memory, std::vector<std::int64_t> extents,
        std::vector<std::int64_t> steps = {});
  Input(const std::int32_t* memory, std::vector<std::int64_t> extents);
  Input(const bool* memory, std::vector<std::int64_t> extents,
        std::vector<std::int64_t> steps = {});
};

/// The caller's memory as a strided array that is written. Default: absent.
struct Output {
  void* data = nullptr;
  DType dtype = DType::F32;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  // elements, >= 0; empty: contiguous

  Output() = default;
  Output(void* memory, DType type, std::vector<std::int64_t> extents,
         std::vector<std::int64_t> steps = {});
  Output(float* memory, std::vector<std::int64_t> extents, std::vector<std::int64_t> steps = {});
};

enum class Causal : std::uint8_t { No, TopLeft, BottomRight };

/// What is computed: out = softmax(scale * q k^T + mask) v. Masks combine.
///
///   packed sequences: q [tokens_q, heads, head_dim], k, v [tokens_kv, kv_heads, head_dim], and
///   both cu_seqlens
struct Arguments {
  Input q;                     // [batch, seq_q, heads, head_dim] f32, f16 or bf16
  Input k, v;                  // [batch, seq_kv, kv_heads, head_dim], as q; heads % kv_heads = 0
  float scale = 0;             // multiplies q.k; 0: 1 / sqrt(head_dim)
  Causal causal = Causal::No;  // which diagonal, when the lengths differ
  std::array<std::int64_t, 2> window = {-1, -1};  // keys left and right of the diagonal; -1: all
  Input kv_lengths = {};  // [batch] i32: keys at or past the length are not seen
  Input mask = {};  // [batch | 1, heads | 1, seq_q | 1, seq_kv]; bool: true = seen; else added
  Input cu_seqlens_q = {};  // [sequences + 1] i32, rising from 0 to tokens_q
  Input cu_seqlens_k = {};  // [sequences + 1] i32, rising from 0 to tokens_kv
  Input diagonals = {};     // [batch | sequences] i32: query i faces key i + diagonal, whatever the
                            // alignments say: for shards of longer sequences under causal or window
};

/// Attention over some of the keys, unfinished: what a ring carries from hop to hop. All f32.
struct Running {
  Output out;       // [batch, seq_q, heads, head_dim], not yet divided by `sum`; packed: batch 1
  Output max, sum;  // [batch, heads, seq_q], of the same strides
};

/// Names of the instruction sets that kernels are written for and this CPU has, plainest first.
std::vector<std::string_view> instruction_sets();

/// Computes on the CPU. Calls may come from several threads, each with its own object.
class Attention {
 public:
  /// threads 0: as many as the process may use. Backends: "flash"; "flash_int8" (queries and keys
  /// rounded to int8: docs/attention.md says what it costs and brings); "reference" (double
  /// precision, slow: an oracle for tests). isa: one of instruction_sets(), for the first two;
  /// empty: what the variable ANNULUS_ISA names, else the fastest. Throws std::runtime_error for an
  /// unknown name.
  explicit Attention(int threads = 0, std::string_view backend = "flash",
                     std::string_view isa = {});
  ~Attention();
  Attention(Attention&&) noexcept;
  Attention& operator=(Attention&&) noexcept;
  Attention(const Attention&) = delete;
  Attention& operator=(const Attention&) = delete;

  /// The instruction set that flash and flash_int8 use here.
  std::string_view instruction_set() const noexcept;

  /// out [as q], q's dtype or f32, written. lse [batch, heads, seq_q] (packed: [heads, tokens_q])
  /// f32, natural logarithm, written unless absent. A row that sees no key gives 0 and -infinity.
  /// Throws std::runtime_error, saying what was wanted and what was found, for arguments that
  /// contradict each other or that the backend does not serve.
  void run(const Arguments& arguments, const Output& out, const Output& lse = {});

  /// Folds attention over other keys into a result: out and lse updated as if all keys had been
  /// seen at once. out, part_out [batch, seq_q, heads, head_dim] f32; lse, part_lse [batch, heads,
  /// seq_q] f32. Throws as run.
  void merge(const Output& out, const Output& lse, const Input& part_out, const Input& part_lse);

  /// Makes `running` (written) a result over no keys at all. Throws as run.
  void start(const Running& running);

  /// Folds the keys of `arguments` into `running` (updated) without rounding in between: once per
  /// hop of a ring. q is that of every fold before. Throws as run.
  void fold(const Arguments& arguments, const Running& running);

  /// Divides by the sum: out [as running.out], f32, f16 or bf16, and lse [batch, heads, seq_q] f32
  /// unless absent, written. Throws as run.
  void finish(const Running& running, const Output& out, const Output& lse = {});

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace annulus::attention
