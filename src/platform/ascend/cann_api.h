// The functions of CANN, found at run time. Members bear their CANN names; what each does and takes
// is in cann_abi.h. A null member is an optional function that the installed release lacks.
#pragma once

#include <optional>
#include <string>

#include "platform/ascend/cann_abi.h"

namespace annulus {

/// Both halves of an operator.
template <class Plan>
struct AclnnOperator {
  const char* name = nullptr;  // "aclnnAdd"
  Plan* plan = nullptr;        // aclnnAddGetWorkspaceSize
  cann::aclnnRun* run = nullptr;

  bool present() const noexcept { return plan != nullptr && run != nullptr; }
};

struct CannApi {
  /// Opens the libraries of $ASCEND_HOME_PATH/lib64, else those that the system's loader finds.
  /// Throws Unsupported naming the library that cannot be opened, or the function that is missing.
  static CannApi load();

  // libascendcl.so, or libacl_rt.so
  cann::aclInit* aclInit = nullptr;
  cann::aclFinalize* aclFinalize = nullptr;
  cann::aclGetRecentErrMsg* aclGetRecentErrMsg = nullptr;
  cann::aclrtGetSocName* aclrtGetSocName = nullptr;
  cann::aclrtGetVersion* aclrtGetVersion = nullptr;  // optional
  cann::aclrtGetDeviceCount* aclrtGetDeviceCount = nullptr;
  cann::aclrtSetDevice* aclrtSetDevice = nullptr;
  cann::aclrtResetDevice* aclrtResetDevice = nullptr;
  cann::aclrtSetDeviceSatMode* aclrtSetDeviceSatMode = nullptr;  // optional
  cann::aclrtGetCurrentContext* aclrtGetCurrentContext = nullptr;
  cann::aclrtSetCurrentContext* aclrtSetCurrentContext = nullptr;
  cann::aclrtCreateStream* aclrtCreateStream = nullptr;
  cann::aclrtDestroyStream* aclrtDestroyStream = nullptr;
  cann::aclrtSynchronizeStream* aclrtSynchronizeStream = nullptr;
  cann::aclrtSynchronizeStreamWithTimeout* aclrtSynchronizeStreamWithTimeout = nullptr;  // optional
  cann::aclrtCreateEventWithFlag* aclrtCreateEventWithFlag = nullptr;      // where Ex is absent
  cann::aclrtCreateEventExWithFlag* aclrtCreateEventExWithFlag = nullptr;  // optional
  cann::aclrtDestroyEvent* aclrtDestroyEvent = nullptr;
  cann::aclrtRecordEvent* aclrtRecordEvent = nullptr;
  cann::aclrtStreamWaitEvent* aclrtStreamWaitEvent = nullptr;
  cann::aclrtSynchronizeEvent* aclrtSynchronizeEvent = nullptr;
  cann::aclrtMalloc* aclrtMalloc = nullptr;
  cann::aclrtFree* aclrtFree = nullptr;
  cann::aclrtMallocHost* aclrtMallocHost = nullptr;
  cann::aclrtFreeHost* aclrtFreeHost = nullptr;
  cann::aclrtMemcpy* aclrtMemcpy = nullptr;
  cann::aclrtMemcpyAsync* aclrtMemcpyAsync = nullptr;
  cann::aclrtMemsetAsync* aclrtMemsetAsync = nullptr;
  cann::aclrtGetMemInfo* aclrtGetMemInfo = nullptr;

  // libnnopbase.so
  cann::aclCreateTensor* aclCreateTensor = nullptr;
  cann::aclDestroyTensor* aclDestroyTensor = nullptr;
  cann::aclCreateScalar* aclCreateScalar = nullptr;
  cann::aclDestroyScalar* aclDestroyScalar = nullptr;
  cann::aclCreateIntArray* aclCreateIntArray = nullptr;
  cann::aclDestroyIntArray* aclDestroyIntArray = nullptr;
  cann::aclCreateTensorList* aclCreateTensorList = nullptr;
  cann::aclDestroyTensorList* aclDestroyTensorList = nullptr;

  // libopapi_*.so, libopapi.so
  AclnnOperator<cann::aclnnSilu> silu;
  AclnnOperator<cann::aclnnSwish> swish;
  AclnnOperator<cann::aclnnGeluV2> gelu;
  AclnnOperator<cann::aclnnExp> exp;
  AclnnOperator<cann::aclnnLog> log;
  AclnnOperator<cann::aclnnSqrt> sqrt;
  AclnnOperator<cann::aclnnMul> mul;
  AclnnOperator<cann::aclnnDiv> div;
  AclnnOperator<cann::aclnnMaximum> maximum;
  AclnnOperator<cann::aclnnMuls> muls;
  AclnnOperator<cann::aclnnGtScalar> gt_scalar;
  AclnnOperator<cann::aclnnLtScalar> lt_scalar;
  AclnnOperator<cann::aclnnAdd> add;
  AclnnOperator<cann::aclnnSub> sub;
  AclnnOperator<cann::aclnnAdds> adds;
  AclnnOperator<cann::aclnnAddcmul> addcmul;
  AclnnOperator<cann::aclnnCast> cast;
  AclnnOperator<cann::aclnnInplaceCopy> copy;
  AclnnOperator<cann::aclnnInplaceFillScalar> fill;
  AclnnOperator<cann::aclnnSWhere> where;
  AclnnOperator<cann::aclnnReduceSum> sum;
  AclnnOperator<cann::aclnnAmax> amax;
  AclnnOperator<cann::aclnnSoftmax> softmax;
  AclnnOperator<cann::aclnnMatmul> matmul;
  AclnnOperator<cann::aclnnBatchMatMul> batch_matmul;
  AclnnOperator<cann::aclnnLayerNorm> layer_norm;
  AclnnOperator<cann::aclnnRmsNorm> rms_norm;
  AclnnOperator<cann::aclnnEmbedding> embedding;
  AclnnOperator<cann::aclnnConvolution> convolution;
  AclnnOperator<cann::aclnnConstantPadNd> pad;

  // Each of these may be absent: an old release, or another SoC's.
  AclnnOperator<cann::aclnnFusedInferAttentionScore> fia_v1;
  AclnnOperator<cann::aclnnFusedInferAttentionScoreV2> fia_v2;
  AclnnOperator<cann::aclnnFusedInferAttentionScoreV3> fia_v3;
  AclnnOperator<cann::aclnnFusedInferAttentionScoreV4> fia_v4;
  AclnnOperator<cann::aclnnFusedInferAttentionScoreV5> fia_v5;
};

}  // namespace annulus
