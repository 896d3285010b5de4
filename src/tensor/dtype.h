#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/half.h"

namespace annulus {

enum class DType : std::uint8_t {
  F64,
  F32,
  F16,
  BF16,
  I64,
  I32,
  I16,
  I8,
  U8,
  Bool
};  // F64: the reference platform and tests

constexpr std::size_t size_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::F64:
    case DType::I64:
      return 8;
    case DType::F32:
    case DType::I32:
      return 4;
    case DType::F16:
    case DType::BF16:
    case DType::I16:
      return 2;
    default:
      return 1;
  }
}

constexpr bool is_floating(DType dtype) noexcept {
  return dtype == DType::F64 || dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

/// "f32", "bf16", ...: the spelling of options and messages.
std::string_view name_of(DType dtype) noexcept;

/// The dtype of that name ("f32", "float32", "bf16", "bfloat16", ...); nothing if there is none.
std::optional<DType> dtype_of(std::string_view name) noexcept;

/// The dtype of a C++ type; only the types below have one.
template <class T>
constexpr DType kDTypeOf = T::has_no_dtype;
template <>
inline constexpr DType kDTypeOf<double> = DType::F64;
template <>
inline constexpr DType kDTypeOf<float> = DType::F32;
template <>
inline constexpr DType kDTypeOf<F16> = DType::F16;
template <>
inline constexpr DType kDTypeOf<Bf16> = DType::BF16;
template <>
inline constexpr DType kDTypeOf<std::int64_t> = DType::I64;
template <>
inline constexpr DType kDTypeOf<std::int32_t> = DType::I32;
template <>
inline constexpr DType kDTypeOf<std::int16_t> = DType::I16;
template <>
inline constexpr DType kDTypeOf<std::int8_t> = DType::I8;
template <>
inline constexpr DType kDTypeOf<std::uint8_t> = DType::U8;
template <>
inline constexpr DType kDTypeOf<bool> = DType::Bool;

/// Calls f(T{}) with the C++ type of a floating dtype (float, Bf16, F16, double); the caller has
/// checked is_floating.
template <class F>
decltype(auto) with_floating(DType dtype, F&& f) {
  switch (dtype) {
    case DType::F64:
      return f(double{});
    case DType::BF16:
      return f(Bf16{});
    case DType::F16:
      return f(F16{});
    default:
      return f(float{});
  }
}

}  // namespace annulus
