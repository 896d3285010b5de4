#include "components.h"

namespace annulus::goldens {

AttentionSelection selection_of(Workbench& bench, std::string_view component) {
  const Platform& platform = bench.platform();
  const AttentionSelection all = {.order = platform.attention(),
                                  .ring_default = platform.default_ring_attention_backend(),
                                  .backend = {},
                                  .component_backend = {},
                                  .component = {}};
  return all.for_component(std::string(component));
}

void require_class(const Checkpoint& checkpoint, std::string_view component,
                   std::string_view class_name) {
  const std::string& found = checkpoint.component(component).class_name;
  require(found == class_name, ErrorCode::Unsupported, component, ": wanted the class ", class_name,
          ", found ", found);
}

}  // namespace annulus::goldens
