// The operations of the cpu platform, one file per family. platform/op_table.h says what each one
// computes; f32, bf16 and f16 in and out. Products and convolutions go to oneDNN (onednn.h), a few
// rows of a product and all else to our own loops (kernels.h).
#pragma once

#include "platform/op_table.h"

namespace annulus::cpu {

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

/// All of them. Streams must be those of a CpuDevice.
const OpTable& ops() noexcept;

}  // namespace annulus::cpu
