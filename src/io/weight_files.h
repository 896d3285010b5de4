#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "io/safetensors.h"

namespace annulus {

struct WeightStatistics {
  std::size_t files = 0, tensors = 0, bytes = 0;
  std::map<std::string, std::size_t, std::less<>> bytes_by_dtype;  // "BF16" -> bytes
};

/// The weights of one component: a safetensors file, or shards and their index. Copying shares the
/// mappings.
class WeightFiles {
 public:
  /// Opens what diffusers and transformers write into a component's folder:
  /// `diffusion_pytorch_model` or `model`, whole (`.safetensors`) or in shards
  /// (`.safetensors.index.json`). With a variant ("fp16") only its files are taken
  /// (`.fp16.safetensors`, `.safetensors.index.fp16.json`). The index must name exactly the tensors
  /// of its shards. Throws CorruptFile, saying what was looked for where there is nothing.
  static WeightFiles open(const std::filesystem::path& folder, std::string_view variant = {});

  /// The weights of a single file, whatever its name.
  static WeightFiles open_file(const std::filesystem::path& file);

  /// Every name, sorted.
  std::span<const std::string_view> names() const noexcept { return names_; }
  const StoredTensor* find(std::string_view name) const noexcept;
  /// The file that holds `name`, which must be there.
  const SafetensorsFile& file_of(std::string_view name) const;
  std::span<const SafetensorsFile> files() const noexcept { return files_; }

  WeightStatistics statistics() const;
  /// The floating dtype of most bytes. Throws CorruptFile when there is none.
  DType dtype() const;

 private:
  explicit WeightFiles(std::vector<SafetensorsFile> files);

  std::vector<SafetensorsFile> files_;
  std::map<std::string_view, std::size_t> file_by_name_;  // keys live in the files' headers
  std::vector<std::string_view> names_;
};

/// Tensor -> name of its shard, as an index file says. Shards are plain names of files beside it.
/// Throws as Json does.
std::map<std::string, std::string> read_weight_index(const Json& index);

}  // namespace annulus
