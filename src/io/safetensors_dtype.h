// The dtypes of the safetensors format. Private to its reader and writer.
#pragma once

#include <optional>
#include <string_view>

#include "tensor/dtype.h"

namespace annulus {

struct StoredDType {
  std::string_view name;
  unsigned bits = 0;
  std::optional<DType> type;  // nothing: the engine has no arithmetic for it
};

/// Null when the format has no such dtype.
const StoredDType* find_stored_dtype(std::string_view name) noexcept;

/// The format's name of an engine's dtype.
std::string_view stored_name_of(DType dtype) noexcept;

}  // namespace annulus
