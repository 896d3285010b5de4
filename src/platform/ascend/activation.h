#pragma once

#include "platform/ascend/aclnn.h"
#include "platform/op_table.h"

namespace annulus::ascend {

/// out = activation(x), of one shape and dtype; out may be x.
void apply(const Aclnn& aclnn, Activation activation, const Tensor& x, Tensor& out);

}  // namespace annulus::ascend
