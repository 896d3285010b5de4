// The operations of platform/op_table.h composed of CANN's operators, asynchronous on the stream.
// Elementwise arithmetic and norms are in f32; products in the dtype of x, as its units have them.
#pragma once

#include "platform/op_table.h"

namespace annulus::ascend {

const OpTable& ops() noexcept;

void linear(Stream& stream, Workspace& workspace, const LinearArgs& args);
void matmul(Stream& stream, Workspace& workspace, const MatmulArgs& args);
void layer_norm(Stream& stream, Workspace& workspace, const LayerNormArgs& args);
void rms_norm(Stream& stream, Workspace& workspace, const RmsNormArgs& args);
void rope(Stream& stream, Workspace& workspace, const RopeArgs& args);
void activate(Stream& stream, Workspace& workspace, const ActivateArgs& args);
void gated_activate(Stream& stream, Workspace& workspace, const GatedActivateArgs& args);
void add_gated(Stream& stream, Workspace& workspace, const AddGatedArgs& args);
void combine(Stream& stream, Workspace& workspace, const CombineArgs& args);
void scale_shift(Stream& stream, Workspace& workspace, const ScaleShiftArgs& args);
void guide(Stream& stream, Workspace& workspace, const GuideArgs& args);
void embedding(Stream& stream, Workspace& workspace, const EmbeddingArgs& args);
/// Composed of maximum, exponent and sum, since aclnnSoftmax gives no log-sum-exp.
void softmax(Stream& stream, Workspace& workspace, const SoftmaxArgs& args);
/// By aclnnSoftmax; no lse.
void aclnn_softmax(Stream& stream, Workspace& workspace, const SoftmaxArgs& args);
void conv(Stream& stream, Workspace& workspace, const ConvArgs& args);
void upsample_nearest(Stream& stream, Workspace& workspace, const UpsampleNearestArgs& args);
bool all_finite(Stream& stream, Workspace& workspace, const AllFiniteArgs& args);

}  // namespace annulus::ascend
