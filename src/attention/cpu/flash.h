// Fused attention for CPUs with LSE: the entry point. Kernels, one file per instruction set, lie
// beside it.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "attention/backend.h"

namespace annulus {

/// Instruction sets that kernels are written for, plainest first; each includes those before it.
/// Avx2 means FMA and F16C too, Avx512 its F, BW, CD, DQ and VL parts, Avx512Bf16 VNNI too, Amx its
/// bf16 tiles.
enum class Isa { Scalar, Avx2, Avx512, Avx512Bf16, Amx };

std::string_view name_of(Isa isa) noexcept;  // "scalar", "avx2", "avx512", "avx512_bf16", ...

/// The fastest set that this CPU has, or the one that the environment variable ANNULUS_ISA names.
/// Throws InvalidRequest when that is unknown or the CPU lacks it.
Isa chosen_isa();

/// Sets that this CPU can run, plainest first.
std::vector<Isa> usable_isas();

/// Has this CPU AVX512-VNNI, the instruction for products of bytes?
bool has_vnni() noexcept;

/// The `flash` backend over host tensors, its kernel fixed to one instruction set, which the CPU
/// must have. Serves f32, bf16 and f16 with every mask. Results depend on shapes and the
/// instruction set, never on the number of threads.
const AttentionBackend& flash_attention(Isa isa) noexcept;

/// The `flash_int8` backend: as flash_attention(), but scores come from queries and keys rounded to
/// int8 (bytes.h says how), so they are off by some hundredths: chosen by name only. Few query rows
/// are served in f32, since there memory is the limit. head_dim up to 256.
const AttentionBackend& flash_int8_attention(Isa isa) noexcept;

/// flash_int8_attention(Isa::Avx512) with its instruction for bytes spelled out, bit for bit: what
/// AVX-512 CPUs without VNNI take, and the test of it.
const AttentionBackend& flash_int8_attention_emulated() noexcept;

/// flash_attention(Isa::Avx512Bf16) with its bf16 instructions spelled out in f32, bit for bit: for
/// tests on AVX-512 CPUs without the units.
const AttentionBackend& flash_attention_emulated_bf16() noexcept;

}  // namespace annulus
