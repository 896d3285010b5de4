#include "io/safetensors_dtype.h"

#include <algorithm>
#include <array>

namespace annulus {

namespace {
constexpr std::array<StoredDType, 23> kStored = {{
    {"BOOL", 8, DType::Bool}, {"U8", 8, DType::U8},
    {"I8", 8, DType::I8},     {"I16", 16, DType::I16},
    {"I32", 32, DType::I32},  {"I64", 64, DType::I64},
    {"F16", 16, DType::F16},  {"BF16", 16, DType::BF16},
    {"F32", 32, DType::F32},  {"F64", 64, DType::F64},
    {"U16", 16, {}},          {"U32", 32, {}},
    {"U64", 64, {}},          {"C64", 64, {}},
    {"F8_E4M3", 8, {}},       {"F8_E5M2", 8, {}},
    {"F8_E8M0", 8, {}},       {"F8_E4M3FNUZ", 8, {}},
    {"F8_E5M2FNUZ", 8, {}},   {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},       {"F4", 4, {}},
    {"F4_E2M1", 4, {}},
}};
}  // namespace

const StoredDType* find_stored_dtype(std::string_view name) noexcept {
  const auto found = std::find_if(kStored.begin(), kStored.end(),
                                  [&](const StoredDType& dtype) { return dtype.name == name; });
  return found == kStored.end() ? nullptr : &*found;
}

std::string_view stored_name_of(DType dtype) noexcept {
  const auto found = std::find_if(kStored.begin(), kStored.end(),
                                  [&](const StoredDType& stored) { return stored.type == dtype; });
  return found == kStored.end() ? "" : found->name;
}

}  // namespace annulus
