#include "tensor/dtype.h"

#include <array>
#include <utility>

namespace annulus {

namespace {
constexpr std::array<std::pair<std::string_view, DType>, 17> kNames = {{
    {"f64", DType::F64},
    {"f32", DType::F32},
    {"f16", DType::F16},
    {"bf16", DType::BF16},
    {"i64", DType::I64},
    {"i32", DType::I32},
    {"i16", DType::I16},
    {"i8", DType::I8},
    {"u8", DType::U8},
    {"bool", DType::Bool},
    {"float64", DType::F64},
    {"float32", DType::F32},
    {"float16", DType::F16},
    {"bfloat16", DType::BF16},
    {"fp32", DType::F32},
    {"fp16", DType::F16},
    {"half", DType::F16},
}};
}  // namespace

std::string_view name_of(DType dtype) noexcept {
  for (const auto& [name, value] : kNames)
    if (value == dtype) return name;
  return "?";
}

std::optional<DType> dtype_of(std::string_view name) noexcept {
  for (const auto& [known, value] : kNames)
    if (known == name) return value;
  return std::nullopt;
}

}  // namespace annulus
