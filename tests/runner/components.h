// Loading one component of a case's model.
#pragma once

#include <string_view>

#include "attention/selection.h"
#include "io/checkpoint.h"
#include "workbench.h"

namespace annulus::goldens {

/// What the platform chooses by itself, for a component.
AttentionSelection selection_of(Workbench& bench, std::string_view component);

/// Throws Unsupported when model_index.json gives the component another class.
void require_class(const Checkpoint& checkpoint, std::string_view component,
                   std::string_view class_name);

/// `load` (weights, config, selection, dtype) on a component of the checkpoint; every weight must
/// be asked for.
template <class Load>
auto load_component(Workbench& bench, const Checkpoint& checkpoint, std::string_view component,
                    Load load, std::shared_ptr<const LoraSet> lora = nullptr) {
  const Context& ctx = bench.context();
  const WeightScope w = checkpoint.weights(component, ctx.device, std::move(lora));
  auto loaded = load(w, checkpoint.config(component), selection_of(bench, component), ctx.dtype);
  w.check_all_used();
  return loaded;
}

}  // namespace annulus::goldens
