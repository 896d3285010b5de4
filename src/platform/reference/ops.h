// Every operation of the op table as a plain loop in double, on host tensors of any floating dtype
// and any strides: the oracle of tests and of self-tests. Fast enough for tiny models, no faster:
// nothing here may become hard to check by eye. platform/op_table.h says what each one computes.
#pragma once

#include "platform/op_table.h"

namespace annulus::reference {

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
void softmax(Stream& stream, Workspace& workspace, const SoftmaxArgs& args);
void conv(Stream& stream, Workspace& workspace, const ConvArgs& args);
void upsample_nearest(Stream& stream, Workspace& workspace, const UpsampleNearestArgs& args);
bool all_finite(Stream& stream, Workspace& workspace, const AllFiniteArgs& args);

/// All of them.
const OpTable& ops() noexcept;

}  // namespace annulus::reference
