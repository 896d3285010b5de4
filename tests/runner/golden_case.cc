#include "golden_case.h"

#include <algorithm>

namespace annulus::goldens {
namespace {

std::optional<SafetensorsFile> open_if_there(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  return SafetensorsFile::open(path);
}

Tensor tensor_of(const std::optional<SafetensorsFile>& file, const std::filesystem::path& folder,
                 const char* file_name, std::string_view tensor, Device& device) {
  require(file.has_value(), ErrorCode::CorruptFile, "golden case: wanted tensor ", tensor, " in ",
          file_name, ", found no such file (", folder.string(), ")");
  return file->tensor(tensor, device);
}

}  // namespace

GoldenCase::GoldenCase(std::filesystem::path folder, std::string name)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      json_(Json::read(folder_ / "case.json", ErrorCode::CorruptFile)),
      inputs_(open_if_there(folder_ / "inputs.safetensors")),
      outputs_(open_if_there(folder_ / "outputs.safetensors")) {
  kind_ = json_.get<std::string>("kind");
}

bool GoldenCase::has_input(std::string_view tensor) const noexcept {
  return inputs_ && inputs_->find(tensor) != nullptr;
}

bool GoldenCase::has_output(std::string_view tensor) const noexcept {
  return outputs_ && outputs_->find(tensor) != nullptr;
}

Tensor GoldenCase::input(std::string_view tensor, Device& device) const {
  return tensor_of(inputs_, folder_, "inputs.safetensors", tensor, device);
}

Tensor GoldenCase::output(std::string_view tensor, Device& device) const {
  return tensor_of(outputs_, folder_, "outputs.safetensors", tensor, device);
}

std::vector<std::string> GoldenCase::output_names() const {
  std::vector<std::string> names;
  if (const std::optional<Json> outputs = json_.find("outputs"))
    for (const auto& [name, description] : outputs->members()) names.emplace_back(name);
  return names;
}

std::vector<FoundCase> find_cases(const std::filesystem::path& root) {
  require(std::filesystem::is_directory(root), ErrorCode::NotFound,
          "golden cases: wanted a folder, found ", root.string());
  std::vector<FoundCase> found;
  const auto add = [&](const std::filesystem::path& folder) {
    if (!std::filesystem::is_regular_file(folder / "case.json")) return;
    const std::filesystem::path below = folder.lexically_relative(root);
    found.push_back({folder, below == "." ? root.filename().string() : below.string()});
  };
  add(root);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root))
    if (entry.is_directory()) add(entry.path());
  std::sort(found.begin(), found.end(),
            [](const FoundCase& a, const FoundCase& b) { return a.name < b.name; });
  return found;
}

}  // namespace annulus::goldens
