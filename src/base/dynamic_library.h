#pragma once

#include <optional>
#include <string>

namespace annulus {

/// A shared library opened at run time. It stays loaded to the end of the process: libraries that
/// start threads of their own cannot be unloaded safely.
class DynamicLibrary {
 public:
  /// `name` as the system's loader searches it, or a path. Nothing when it cannot be opened; then
  /// `why`, where not null, is set to the loader's reason.
  static std::optional<DynamicLibrary> open(const std::string& name, std::string* why = nullptr);

  /// The address of a symbol; null when there is none.
  void* symbol(const char* name) const noexcept;

 private:
  explicit DynamicLibrary(void* handle) noexcept : handle_(handle) {}
  void* handle_;
};

}  // namespace annulus
