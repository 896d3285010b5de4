// What fuzz targets share: a parser may refuse its input with an Error, and do nothing else.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/error.h"

namespace annulus::fuzz {

/// Ends the process, which libFuzzer reports with the input that led here.
inline void check(bool ok) {
  if (!ok) std::abort();
}

/// Runs `parse`; an Error is an answer, provided that its code is one of `codes` and it says why.
template <class Parse>
void accepts_or_refuses(std::initializer_list<ErrorCode> codes, const Parse& parse) {
  try {
    parse();
  } catch (const Error& error) {
    bool known = false;
    for (const ErrorCode code : codes) known = known || error.code() == code;
    check(known && error.what()[0] != '\0');
  }
}

/// The input as a file in memory, for parsers that take a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view content) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    check(descriptor_ >= 0);
    check(::write(descriptor_, content.data(), content.size()) ==
          static_cast<ssize_t>(content.size()));
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

inline std::string_view text_of_input(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace annulus::fuzz
