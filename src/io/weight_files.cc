#include "io/weight_files.h"

#include <algorithm>
#include <array>
#include <set>

namespace annulus {

namespace {

namespace fs = std::filesystem;

/// The names a component's weights may have, in the order in which they are tried: diffusers
/// prefers its index, transformers its single file.
std::array<std::string, 4> candidates(std::string_view variant) {
  const std::string dot = variant.empty() ? "" : "." + std::string(variant);
  return {"diffusion_pytorch_model.safetensors.index" + dot + ".json",
          "diffusion_pytorch_model" + dot + ".safetensors", "model" + dot + ".safetensors",
          "model.safetensors.index" + dot + ".json"};
}

/// What a folder without weights holds instead, as a hint.
std::string hint_of(const fs::path& folder, std::string_view variant) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".safetensors"))
      return text_of(name, " is there: another variant",
                     variant.empty() ? "?" : " than " + std::string(variant) + "?");
    if (name.ends_with(".bin") || name.ends_with(".ckpt") || name.ends_with(".pt"))
      return name + " is there: pickled weights are not read, convert them to safetensors";
  }
  return {};
}

std::vector<SafetensorsFile> open_shards(const fs::path& index_file) {
  const auto shard_of = read_weight_index(Json::read(index_file, ErrorCode::CorruptFile));
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);

  std::vector<SafetensorsFile> files;
  for (const std::string& shard : shards) {
    const fs::path path = index_file.parent_path() / shard;
    require(fs::exists(path), ErrorCode::CorruptFile, "shard: wanted ", shard,
            ", found no such file (", index_file.string(), ")");
    files.push_back(SafetensorsFile::open(path));
    for (const StoredTensor& tensor : files.back().tensors()) {
      const auto entry = shard_of.find(tensor.name);
      require(entry != shard_of.end(), ErrorCode::CorruptFile, "tensor \"", tensor.name,
              "\": wanted in the index ", index_file.filename().string(),
              ", found only in the shard (", path.string(), ")");
      require(entry->second == shard, ErrorCode::CorruptFile, "tensor \"", tensor.name,
              "\": wanted in ", entry->second, " as the index says, found in another shard (",
              path.string(), ")");
    }
  }
  for (const auto& [tensor, shard] : shard_of) {
    std::size_t at = 0;  // a shard of the index, so one of those opened above
    while (files[at].path().filename() != shard) ++at;
    require(files[at].find(tensor) != nullptr, ErrorCode::CorruptFile, "tensor \"", tensor,
            "\": wanted as the index says, found none (", files[at].path().string(), ")");
  }
  return files;
}

}  // namespace

std::map<std::string, std::string> read_weight_index(const Json& index) {
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : index["weight_map"].members()) {
    const auto name = shard.as<std::string>();
    if (name.empty() || name.find('/') != std::string::npos || !name.ends_with(".safetensors"))
      shard.fail("the name of a .safetensors file beside the index");
    shard_of.emplace(tensor, name);
  }
  if (shard_of.empty()) index["weight_map"].fail("at least one tensor");
  return shard_of;
}

WeightFiles::WeightFiles(std::vector<SafetensorsFile> files) : files_(std::move(files)) {
  for (std::size_t i = 0; i < files_.size(); ++i)
    for (const StoredTensor& tensor : files_[i].tensors()) file_by_name_.emplace(tensor.name, i);
  for (const auto& [name, file] : file_by_name_) names_.push_back(name);
}

WeightFiles WeightFiles::open(const fs::path& folder, std::string_view variant) {
  std::error_code status;
  require(fs::is_directory(folder, status), ErrorCode::CorruptFile,
          "weights: wanted a component's folder, found none (", folder.string(), ")");
  std::string looked_for;
  for (const std::string& name : candidates(variant)) {
    looked_for += (looked_for.empty() ? "" : ", ") + name;
    if (!fs::exists(folder / name, status)) continue;
    if (name.ends_with(".json")) return WeightFiles(open_shards(folder / name));
    return open_file(folder / name);
  }
  throw Error(
      ErrorCode::CorruptFile,
      text_of("weights: wanted one of ", looked_for, ", found none (", folder.string(), ")"),
      hint_of(folder, variant));
}

WeightFiles WeightFiles::open_file(const fs::path& file) {
  return WeightFiles({SafetensorsFile::open(file)});
}

const SafetensorsFile& WeightFiles::file_of(std::string_view name) const {
  const auto found = file_by_name_.find(name);
  require(found != file_by_name_.end(), ErrorCode::CorruptFile, "tensor \"", name,
          "\": wanted, found none (", files_.front().path().parent_path().string(), ")");
  return files_[found->second];
}

const StoredTensor* WeightFiles::find(std::string_view name) const noexcept {
  const auto found = file_by_name_.find(name);
  return found == file_by_name_.end() ? nullptr : files_[found->second].find(name);
}

WeightStatistics WeightFiles::statistics() const {
  WeightStatistics result;
  result.files = files_.size();
  for (const SafetensorsFile& file : files_)
    for (const StoredTensor& tensor : file.tensors()) {
      ++result.tensors;
      result.bytes += tensor.bytes;
      result.bytes_by_dtype[tensor.dtype] += tensor.bytes;
    }
  return result;
}

DType WeightFiles::dtype() const {
  std::map<DType, std::size_t> bytes;
  for (const SafetensorsFile& file : files_)
    for (const StoredTensor& tensor : file.tensors())
      if (const auto type = tensor.type(); type && is_floating(*type)) bytes[*type] += tensor.bytes;
  const auto most = std::max_element(
      bytes.begin(), bytes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  require(most != bytes.end(), ErrorCode::CorruptFile,
          "weights: wanted floating-point tensors, found none (", files_.front().path().string(),
          ")");
  return most->first;
}

}  // namespace annulus
