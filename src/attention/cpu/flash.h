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
/// Avx2 means FMA and F16C too, Avx512 its F, BW, CD, DQ and VL parts, Amx its bf16 tiles.
enum class Isa { Scalar, Avx2, Avx512, Avx512Bf16, Amx };

std::string_view name_of(Isa isa) noexcept;  // "scalar", "avx2", "avx512", "avx512_bf16", ...

/// The best set that this CPU has, or the one that the environment variable ANNULUS_ISA names.
/// Throws InvalidRequest when that is unknown or the CPU lacks it.
Isa chosen_isa();

/// Sets that this CPU can run, plainest first.
std::vector<Isa> usable_isas();

/// The `flash` backend over host tensors, its kernel fixed to one instruction set, which the CPU
/// must have. Serves f32, bf16 and f16 with every mask. Results depend on shapes and the
/// instruction set, never on the number of threads.
const AttentionBackend& flash_attention(Isa isa) noexcept;

/// flash_attention(Isa::Avx512Bf16) with its bf16 instructions spelled out in f32, bit for bit: for
/// tests on AVX-512 CPUs without the units.
const AttentionBackend& flash_attention_emulated_bf16() noexcept;

}  // namespace annulus
