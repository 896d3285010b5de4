// The families of models that this build knows. To add one: a folder of its own and a line in
// registry.cc.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "io/checkpoint.h"
#include "pipeline/load.h"
#include "pipeline/pipeline.h"

namespace annulus {

struct ModelEntry {
  std::string_view name;                  // "qwen-image"
  bool (*recognises)(const Checkpoint&);  // by the class in model_index.json; never throws for
                                          // another family's folder
  std::unique_ptr<Pipeline> (*load)(const Checkpoint&, const LoadOptions&);
};

std::span<const ModelEntry> model_registry() noexcept;

/// The entry that recognises `checkpoint`. Throws Unsupported naming its pipeline class and those
/// that are known.
const ModelEntry& model_entry_for(const Checkpoint& checkpoint);

}  // namespace annulus
