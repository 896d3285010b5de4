#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "io/safetensors.h"

namespace annulus::goldens {

/// A folder with a case.json, and inputs.safetensors and outputs.safetensors where the kind has
/// them. The form is described in docs/goldens.md.
class GoldenCase {
 public:
  /// Throws CorruptFile when case.json or a file of tensors is damaged.
  GoldenCase(std::filesystem::path folder, std::string name);

  const std::filesystem::path& folder() const noexcept { return folder_; }
  const std::string& name() const noexcept { return name_; }  // folder below the one given
  const std::string& kind() const noexcept { return kind_; }
  const Json& json() const noexcept { return json_; }

  /// The model of FAMILY/MODEL/cases/NAME.
  std::filesystem::path model_folder() const { return folder_.parent_path().parent_path(); }

  bool has_input(std::string_view tensor) const noexcept;
  bool has_output(std::string_view tensor) const noexcept;
  Tensor input(std::string_view tensor, Device& device) const;
  Tensor output(std::string_view tensor, Device& device) const;

  /// Outputs the case stores, in the order of case.json.
  std::vector<std::string> output_names() const;

 private:
  std::filesystem::path folder_;
  std::string name_, kind_;
  Json json_;
  std::optional<SafetensorsFile> inputs_, outputs_;
};

/// A case's place: its folder, and its name in reports.
struct FoundCase {
  std::filesystem::path folder;
  std::string name;
};

/// Every folder at or below `root` that holds a case.json, sorted by name. Throws NotFound when
/// `root` is no folder.
std::vector<FoundCase> find_cases(const std::filesystem::path& root);

}  // namespace annulus::goldens
