// Attention with its log-sum-exp for programs in C and for bindings of other languages: plain
// structs and error codes over attention.hpp. C99. Link annulus::attention (CMake) or
// annulus-attention (pkg-config), with a C++ linker.
//
//   annulus_attention* attention = NULL;
//   char message[256];
//   if (annulus_attention_create(NULL, &attention, message, sizeof message)) puts(message);
//   annulus_attention_arguments arguments = {sizeof arguments};
//   arguments.q = (annulus_input){q, ANNULUS_F32, 4, {1, 5, 2, 8}};
//   arguments.k = (annulus_input){k, ANNULUS_F32, 4, {1, 7, 2, 8}};
//   arguments.v = (annulus_input){v, ANNULUS_F32, 4, {1, 7, 2, 8}};
//   annulus_output out = {result, ANNULUS_F32, 4, {1, 5, 2, 8}};
//   if (annulus_attention_run(attention, &arguments, &out, NULL, message, sizeof message))
//     puts(message);
//   annulus_attention_destroy(attention);
//
// Every function that can fail returns a status and, when it is not ANNULUS_OK, writes a sentence
// that says what was wanted and what was found to `message` (`message_size` bytes, 0-terminated,
// cut when longer; NULL: none). Nothing is thrown, printed or aborted. Zeroed members stand for the
// usual case. Conventions (masks, alignment of causal, rows that see no key): docs/attention.md.
#pragma once

// NOLINTBEGIN: names, types and headers of C.
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Of this header. It rises when a struct grows or a function is added; what was there stays.
enum { ANNULUS_ATTENTION_ABI = 1 };

typedef enum annulus_status {
  ANNULUS_OK = 0,
  ANNULUS_INVALID_ARGUMENT = 1,  // arguments contradict each other or the conventions
  ANNULUS_NOT_FOUND = 2,         // no backend or instruction set of that name
  ANNULUS_UNSUPPORTED = 3,       // sound, but this backend (or this version) cannot do it
  ANNULUS_OUT_OF_MEMORY = 4,
  ANNULUS_INTERNAL = 5  // a defect of the library
} annulus_status;

typedef enum annulus_dtype {
  ANNULUS_F32 = 0,
  ANNULUS_F16 = 1,
  ANNULUS_BF16 = 2,
  ANNULUS_I32 = 3,
  ANNULUS_BOOL = 4  // bytes 0 and 1
} annulus_dtype;

typedef enum annulus_layout { ANNULUS_CONTIGUOUS = 0, ANNULUS_STRIDED = 1 } annulus_layout;

typedef enum annulus_causal {
  ANNULUS_CAUSAL_NO = 0,
  ANNULUS_CAUSAL_TOP_LEFT = 1,
  ANNULUS_CAUSAL_BOTTOM_RIGHT = 2
} annulus_causal;

/// The caller's memory as an array that is read. Aligned to its elements. This struct never grows.
typedef struct annulus_input {
  const void* data;    // may be NULL when there are no elements
  int32_t dtype;       // annulus_dtype
  int32_t rank;        // 1 to 4
  int64_t shape[4];    // below 2^31 each
  int32_t layout;      // annulus_layout
  int32_t reserved;    // 0
  int64_t strides[4];  // elements, >= 0 (0: an axis repeats); read when the layout is strided
} annulus_input;

/// The caller's memory as an array that is written: as annulus_input, and no two elements may share
/// memory.
typedef struct annulus_output {
  void* data;
  int32_t dtype;
  int32_t rank;
  int64_t shape[4];
  int32_t layout;
  int32_t reserved;
  int64_t strides[4];
} annulus_output;

/// What is computed: out = softmax(scale * q k^T + mask) v. Masks combine. Optional arrays are NULL
/// when absent.
///
///   packed sequences: q [tokens_q, heads, head_dim], k, v [tokens_kv, kv_heads, head_dim], and
///   both cu_seqlens
typedef struct annulus_attention_arguments {
  size_t struct_size;  // sizeof(annulus_attention_arguments)
  annulus_input q;     // [batch, seq_q, heads, head_dim] f32, f16 or bf16
  annulus_input k, v;  // [batch, seq_kv, kv_heads, head_dim], as q; heads % kv_heads = 0
  float scale;         // multiplies q.k; 0: 1 / sqrt(head_dim)
  int32_t causal;      // annulus_causal
  int32_t windowed;    // 1: `window` counts, 0: it does not
  int32_t reserved;    // 0
  int64_t window[2];   // keys left and right of the bottom-right diagonal; -1: all
  const annulus_input* kv_lengths;    // [batch] i32: keys at or past the length are not seen
  const annulus_input* mask;          // [batch | 1, heads | 1, seq_q | 1, seq_kv]; bool: 1 = seen;
                                      // f32 or q's dtype: added
  const annulus_input* diagonals;     // [batch | sequences] i32: query i faces key i + diagonal
  const annulus_input* cu_seqlens_q;  // [sequences + 1] i32, rising from 0 to tokens_q
  const annulus_input* cu_seqlens_k;  // [sequences + 1] i32, rising from 0 to tokens_kv
} annulus_attention_arguments;

/// Attention over some of the keys, unfinished: what a ring carries from hop to hop. All f32. This
/// struct never grows.
typedef struct annulus_running {
  annulus_output out;       // [batch, seq_q, heads, head_dim], not divided; packed: batch 1
  annulus_output max, sum;  // [batch, heads, seq_q], of the same strides
} annulus_running;

typedef struct annulus_attention_options {
  size_t struct_size;   // sizeof(annulus_attention_options)
  int32_t threads;      // 0: as many as the process may use; at most 4096
  int32_t reserved;     // 0
  const char* backend;  // NULL: "flash"
  const char* isa;      // NULL: the fastest of this CPU, or what the variable ANNULUS_ISA names
} annulus_attention_options;

/// Threads and memory that calls reuse. Calls on one object from several threads wait for each
/// other.
typedef struct annulus_attention annulus_attention;

/// Of the library in use: "0.1.0".
const char* annulus_attention_version(void);

/// ANNULUS_ATTENTION_ABI as the library was built with.
int32_t annulus_attention_abi(void);

/// Names of the backends, then NULL: "flash", "flash_int8" (queries and keys rounded to int8),
/// "reference" (double precision, slow: an oracle).
const char* annulus_attention_backend(size_t index);

/// Names of instruction sets that kernels are written for and this CPU has, plainest first, then
/// NULL.
const char* annulus_attention_isa(size_t index);

/// "ok", "invalid argument", ...
const char* annulus_status_name(annulus_status status);

/// `attention` is written: the new object, or NULL. options NULL: all defaults.
annulus_status annulus_attention_create(const annulus_attention_options* options,
                                        annulus_attention** attention, char* message,
                                        size_t message_size);

/// NULL does nothing.
void annulus_attention_destroy(annulus_attention* attention);

/// Name of the instruction set that flash and flash_int8 use; NULL for NULL.
const char* annulus_attention_isa_in_use(const annulus_attention* attention);

/// threads as in the options. Waits for calls under way.
annulus_status annulus_attention_set_threads(annulus_attention* attention, int32_t threads,
                                             char* message, size_t message_size);

/// out [as q], q's dtype or f32, written. lse [batch, heads, seq_q] (packed: [heads, tokens_q])
/// f32, natural logarithm, written unless NULL. A row that sees no key gives 0 and -infinity.
annulus_status annulus_attention_run(annulus_attention* attention,
                                     const annulus_attention_arguments* arguments,
                                     const annulus_output* out, const annulus_output* lse,
                                     char* message, size_t message_size);

/// Folds attention over other keys into a result: out and lse updated as if all keys had been seen
/// at once. out, part_out [batch, seq_q, heads, head_dim] f32; lse, part_lse [batch, heads, seq_q]
/// f32.
annulus_status annulus_attention_merge(annulus_attention* attention, const annulus_output* out,
                                       const annulus_output* lse, const annulus_input* part_out,
                                       const annulus_input* part_lse, char* message,
                                       size_t message_size);

/// Makes `running` (written) a result over no keys at all.
annulus_status annulus_attention_start(annulus_attention* attention, const annulus_running* running,
                                       char* message, size_t message_size);

/// Folds the keys of `arguments` into `running` (updated), without rounding in between; q is that
/// of every fold before.
annulus_status annulus_attention_fold(annulus_attention* attention,
                                      const annulus_attention_arguments* arguments,
                                      const annulus_running* running, char* message,
                                      size_t message_size);

/// Divides by the sum: out [batch, seq_q, heads, head_dim] f32, f16 or bf16, lse [batch, heads,
/// seq_q] f32, both written; lse may be NULL.
annulus_status annulus_attention_finish(annulus_attention* attention,
                                        const annulus_running* running, const annulus_output* out,
                                        const annulus_output* lse, char* message,
                                        size_t message_size);

#ifdef __cplusplus
}
#endif
// NOLINTEND
