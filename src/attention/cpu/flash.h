// Fused attention for CPUs with LSE: the entry point. Kernels, one file per instruction set, lie
// beside it.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "attention/backend.h"

namespace annulus {

/// Instruction sets that kernels are written for, plainest first. Each includes those before it,
/// but for what its name adds.
enum class Isa { Scalar, Avx2, Avx512, Avx512Bf16, Avx512Fp16, Amx };

std::string_view name_of(Isa isa) noexcept;  // "scalar", "avx2", "avx512", "avx512_bf16", ...

/// The best set that this CPU has, or the one that the environment variable ANNULUS_ISA names.
/// Throws InvalidRequest when that is unknown or the CPU lacks it.
Isa chosen_isa();

/// Sets that this CPU can run, plainest first.
std::vector<Isa> usable_isas();

/// The `flash` backend over host tensors, its kernel fixed to one instruction set.
const AttentionBackend& flash_attention(Isa isa) noexcept;

}  // namespace annulus
