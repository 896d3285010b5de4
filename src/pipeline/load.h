#pragma once

#include <map>
#include <string>
#include <vector>

#include "attention/selection.h"
#include "io/json.h"
#include "io/lora.h"
#include "nn/context.h"

namespace annulus {

/// What a pipeline is loaded with. Everything it refers to outlives the pipeline (the engine owns
/// it).
struct LoadOptions {
  Context ctx;                   // its dtype is the default of every component
  AttentionSelection attention;  // the user's options and the platform's order
  std::map<std::string, DType, std::less<>> component_dtype =
      {};                                        // --component-dtype: component -> dtype
  std::shared_ptr<const LoraSet> adapters = {};  // of the transformer; null: none
  Json defaults = {};  // "defaults" of the folder's annulus.json; null: none

  /// The context of a component: its own dtype where one was asked for.
  Context context_of(std::string_view component) const;
};

}  // namespace annulus
