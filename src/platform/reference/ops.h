// Every operation of the op table as a plain loop, in double, on host tensors of any floating dtype
// and any strides: the oracle of tests and of self-tests. Fast enough for tiny models, no faster:
// nothing here may become hard to check by eye. platform/op_table.h says what each one computes.
#pragma once

#include "platform/op_table.h"

namespace annulus::reference {

template <class Real>
void linear(Stream& stream, Workspace& workspace, const LinearArgs& args);
template <class Real>
void matmul(Stream& stream, Workspace& workspace, const MatmulArgs& args);
template <class Real>
void layer_norm(Stream& stream, Workspace& workspace, const LayerNormArgs& args);
template <class Real>
void rms_norm(Stream& stream, Workspace& workspace, const RmsNormArgs& args);
template <class Real>
void rope(Stream& stream, Workspace& workspace, const RopeArgs& args);
template <class Real>
void activate(Stream& stream, Workspace& workspace, const ActivateArgs& args);
template <class Real>
void gated_activate(Stream& stream, Workspace& workspace, const GatedActivateArgs& args);
template <class Real>
void add_gated(Stream& stream, Workspace& workspace, const AddGatedArgs& args);
template <class Real>
void combine(Stream& stream, Workspace& workspace, const CombineArgs& args);
template <class Real>
void scale_shift(Stream& stream, Workspace& workspace, const ScaleShiftArgs& args);
template <class Real>
void guide(Stream& stream, Workspace& workspace, const GuideArgs& args);
void embedding(Stream& stream, Workspace& workspace, const EmbeddingArgs& args);
template <class Real>
void softmax(Stream& stream, Workspace& workspace, const SoftmaxArgs& args);
template <class Real>
void conv(Stream& stream, Workspace& workspace, const ConvArgs& args);
template <class Real>
void upsample_nearest(Stream& stream, Workspace& workspace, const UpsampleNearestArgs& args);
template <class Real>
bool all_finite(Stream& stream, Workspace& workspace, const AllFiniteArgs& args);

/// All of them, in double.
const OpTable& ops() noexcept;

/// The same loops in f32: what tests take the bound of a fast version's error from.
const OpTable& plain_f32_ops() noexcept;

}  // namespace annulus::reference
