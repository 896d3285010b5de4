#pragma once

#include "platform/op_table.h"

namespace annulus::cpu {

/// softmax over oneDNN's primitive, which returns no log-sum-exp: `lse` must be null. With a mask
/// our own kernel runs, since oneDNN makes NaN of a row without a visible key.
void onednn_softmax(Stream& stream, Workspace& workspace, const SoftmaxArgs& args);

}  // namespace annulus::cpu
