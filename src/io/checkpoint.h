// A model's folder in diffusers' layout: model_index.json and a folder per component, each with a
// configuration and, most of them, weights. Reading only; what a class means is models/' business.
// Weights are weight_files.h (files) and weight_scope.h (names).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "io/weight_files.h"
#include "io/weight_scope.h"

namespace annulus {

struct Component {
  std::string name;        // "text_encoder"
  std::string library;     // "transformers"
  std::string class_name;  // "Qwen2_5_VLForConditionalGeneration"
  std::filesystem::path folder;
};

/// The components that a model_index.json names, in its order, as folders below `folder`. Throws as
/// Json does.
std::vector<Component> read_components(const Json& index, const std::filesystem::path& folder);

/// Copying shares the files that were opened. Safe from several threads.
class Checkpoint {
 public:
  /// Reads model_index.json. Components are opened when they are asked for.
  ///
  ///   variant  "fp16" takes files such as model.fp16.safetensors, and only those; "": plain names
  ///
  /// Throws NotFound when there is no such folder, CorruptFile when its index is absent or damaged.
  static Checkpoint open(const std::filesystem::path& folder, std::string variant = {});

  const std::filesystem::path& folder() const noexcept;
  const std::string& pipeline_class() const noexcept;  // "QwenImagePipeline"
  /// model_index.json, where pipelines keep settings of their own ("boundary_ratio").
  const Json& index() const noexcept;

  /// Those that model_index.json gives a class, in its order.
  std::span<const Component> components() const noexcept;
  bool has_component(std::string_view name) const noexcept;
  /// Throws CorruptFile naming those that there are.
  const Component& component(std::string_view name) const;

  /// The component's configuration: config.json, scheduler_config.json, preprocessor_config.json,
  /// processor_config.json or tokenizer_config.json, the first that is there. Throws CorruptFile.
  Json config(std::string_view component) const;
  /// A file of a component. Throws CorruptFile when absent.
  std::filesystem::path file(std::string_view component, std::string_view name) const;
  /// As `file`, or nothing when absent.
  std::optional<std::filesystem::path> find_file(std::string_view component,
                                                 std::string_view name) const;

  /// The component's weight files, opened and checked once. Throws CorruptFile.
  WeightFiles weight_files(std::string_view component) const;
  /// The root of the component's weights on `device`; each call remembers what is asked for anew.
  WeightScope weights(std::string_view component, Device& device,
                      std::shared_ptr<const LoraSet> lora = nullptr) const;
  /// The floating dtype of most bytes. Throws CorruptFile.
  DType weights_dtype(std::string_view component) const;

 private:
  struct State;
  explicit Checkpoint(std::shared_ptr<State> state) noexcept;
  std::shared_ptr<State> state_;
};

}  // namespace annulus
