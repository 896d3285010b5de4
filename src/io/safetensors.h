// Files of tensors in the safetensors format: reading in place and writing.
// A file is 8 bytes of header length (little endian), a JSON header, then the tensors' bytes.
// Nothing here knows of models: checkpoint.h has their folders. Start with SafetensorsFile::open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/mapped_file.h"
#include "tensor/tensor.h"

namespace annulus {

/// What a header says of one tensor, checked against the file.
struct StoredTensor {
  std::string name;
  std::string dtype;                  // as in the file: "BF16", "F8_E4M3"
  std::vector<std::int64_t> extents;  // outermost first
  std::size_t offset = 0;             // of its first byte in the file
  std::size_t bytes = 0;

  /// The engine's dtype; nothing for those it has no arithmetic for (U16, F8_E4M3, C64, ...).
  std::optional<DType> type() const noexcept;
};

/// An open file: mapped, its header checked. Copying shares the mapping.
class SafetensorsFile {
 public:
  /// Opens and checks everything but the tensors' values. Throws Error{code} naming file, tensor
  /// and rule when the file is absent, truncated or says anything that is not so: the header is at
  /// most 100 MB of JSON, each key once, known dtypes, extents >= 0, shape x dtype = bytes, and the
  /// tensors cover all bytes after the header exactly once.
  ///
  ///   code  CorruptFile for a model's file, InvalidRequest for a user's
  ///
  /// Source: the format's description (huggingface/safetensors, README.md, section Format).
  static SafetensorsFile open(const std::filesystem::path& path,
                              ErrorCode code = ErrorCode::CorruptFile);

  const std::filesystem::path& path() const noexcept { return file_->path(); }
  std::size_t bytes() const noexcept { return file_->bytes().size(); }

  /// Every tensor, in the order of their bytes.
  std::span<const StoredTensor> tensors() const noexcept { return header_->tensors; }
  const StoredTensor* find(std::string_view name) const noexcept;
  const std::map<std::string, std::string>& metadata() const noexcept { return header_->metadata; }

  /// The tensor in place where the device allows (Device::adopt), read-only. One that is not
  /// aligned to its dtype is copied. Throws Error{code} when there is no such tensor, and
  /// Unsupported when the engine lacks its dtype or has fewer axes.
  Tensor tensor(std::string_view name, Device& device) const;
  Tensor tensor(const StoredTensor& stored, Device& device) const;

 private:
  struct Header {
    std::vector<StoredTensor> tensors;
    std::unordered_map<std::string_view, std::size_t> by_name;  // keys live in `tensors`
    std::map<std::string, std::string> metadata;
  };
  SafetensorsFile(std::shared_ptr<const MappedFile> file, std::shared_ptr<const Header> header,
                  ErrorCode code) noexcept;

  std::shared_ptr<const MappedFile> file_;
  std::shared_ptr<const Header> header_;
  ErrorCode code_;
};

/// The tensors of a header and where their bytes lie, checked as SafetensorsFile::open says.
///
///   bytes     of a whole file
///   metadata  written
///
/// Apart from `open` so that it can be tried on memory (tests, fuzzing).
std::vector<StoredTensor> read_safetensors_header(std::span<const std::byte> bytes,
                                                  const std::string& where, ErrorCode code,
                                                  std::map<std::string, std::string>& metadata);

/// Writes tensors (any strides, on memory the host can read) to a file that appears whole or not at
/// all. Throws StorageFull, or InvalidRequest when the folder is absent or may not be written.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace annulus
