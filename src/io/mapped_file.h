#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "base/error.h"

namespace annulus {

/// A whole file in memory, read-only and shared with every process that maps it; unmapped by the
/// last reference. Pages are read when they are touched. If another process shortens the file
/// meanwhile, touching what is gone is a bus error: model files are replaced by renaming.
class MappedFile {
 public:
  /// Throws Error{code} when `path` is absent, not a regular file or cannot be read.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path, ErrorCode code);

  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::span<const std::byte> bytes() const noexcept { return {data_, bytes_}; }

 private:
  MappedFile(std::filesystem::path path, const std::byte* data, std::size_t bytes) noexcept;

  std::filesystem::path path_;
  const std::byte* data_;
  std::size_t bytes_;
};

}  // namespace annulus
