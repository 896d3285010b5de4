#include "pipeline/load.h"

namespace annulus {

Context LoadOptions::context_of(std::string_view component) const {
  const auto own = component_dtype.find(component);
  return {static_cast<const Lane&>(ctx), ctx.ops,
          own != component_dtype.end() ? own->second : ctx.dtype, ctx.wide, ctx.row_block};
}

}  // namespace annulus
