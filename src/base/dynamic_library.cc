#include "base/dynamic_library.h"

#include <dlfcn.h>

namespace annulus {

std::optional<DynamicLibrary> DynamicLibrary::open(const std::string& name, std::string* why) {
  void* const handle = dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
  if (handle != nullptr) return DynamicLibrary(handle);
  const char* const reason = dlerror();
  if (why != nullptr) *why = reason != nullptr ? reason : name + ": cannot be opened";
  return std::nullopt;
}

void* DynamicLibrary::symbol(const char* name) const noexcept {
  return dlsym(handle_, name);
}

}  // namespace annulus
