// The part of the CANN C ABI that annulus uses, written down from its published documentation:
// types, constants, and each function as a function type under its CANN name. Nothing here is
// linked: CannApi (cann_api.h) finds the functions at run time, and the emulator (tests/fakes/cann)
// is compiled against the same types. No CANN header or library is needed to build.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace annulus::cann {

// ---- Runtime (libascendcl.so) ------------------------------------------------------------------

using aclError = int;
using aclrtStream = void*;
using aclrtEvent = void*;
using aclrtContext = void*;

enum aclrtMemcpyKind : std::int32_t {
  ACL_MEMCPY_HOST_TO_HOST = 0,
  ACL_MEMCPY_HOST_TO_DEVICE = 1,
  ACL_MEMCPY_DEVICE_TO_HOST = 2,
  ACL_MEMCPY_DEVICE_TO_DEVICE = 3
};
enum aclrtMemMallocPolicy : std::int32_t {
  ACL_MEM_MALLOC_HUGE_FIRST = 0,
  ACL_MEM_MALLOC_HUGE_ONLY = 1,
  ACL_MEM_MALLOC_NORMAL_ONLY = 2
};
enum aclrtMemAttr : std::int32_t { ACL_DDR_MEM = 0, ACL_HBM_MEM = 1 };
enum aclrtFloatOverflowMode : std::int32_t {
  ACL_RT_OVERFLOW_MODE_SATURATION = 0,
  ACL_RT_OVERFLOW_MODE_INFNAN = 1
};

constexpr std::uint32_t ACL_EVENT_SYNC = 0x1;

constexpr aclError ACL_SUCCESS = 0;
constexpr aclError ACL_ERROR_INVALID_PARAM = 100000;
constexpr aclError ACL_ERROR_UNINITIALIZE = 100001;
constexpr aclError ACL_ERROR_REPEAT_INITIALIZE = 100002;
constexpr aclError ACL_ERROR_REPEAT_FINALIZE = 100037;
constexpr aclError ACL_ERROR_RT_PARAM_INVALID = 107000;
constexpr aclError ACL_ERROR_RT_INVALID_DEVICEID = 107001;
constexpr aclError ACL_ERROR_RT_CONTEXT_NULL = 107002;
constexpr aclError ACL_ERROR_RT_STREAM_CONTEXT = 107003;
constexpr aclError ACL_ERROR_RT_INVALID_HANDLE = 107017;
constexpr aclError ACL_ERROR_RT_WAIT_TIMEOUT = 107019;
constexpr aclError ACL_ERROR_RT_FEATURE_NOT_SUPPORT = 207000;
constexpr aclError ACL_ERROR_RT_MEMORY_ALLOCATION = 207001;
constexpr aclError ACL_ERROR_RT_DEVICE_OOM = 207018;
constexpr aclError ACL_ERROR_RT_INTERNAL_ERROR = 507000;
constexpr aclError ACL_ERROR_RT_AICORE_EXCEPTION = 507015;

using aclInit = aclError(const char* config_path);
using aclFinalize = aclError();
using aclGetRecentErrMsg = const char*();
using aclrtGetSocName = const char*();
using aclrtGetVersion = aclError(std::int32_t* major, std::int32_t* minor, std::int32_t* patch);
using aclrtGetDeviceCount = aclError(std::uint32_t* count);
using aclrtSetDevice = aclError(std::int32_t device);
using aclrtResetDevice = aclError(std::int32_t device);
using aclrtSetDeviceSatMode = aclError(aclrtFloatOverflowMode mode);
using aclrtGetCurrentContext = aclError(aclrtContext* context);
using aclrtSetCurrentContext = aclError(aclrtContext context);
using aclrtCreateStream = aclError(aclrtStream* stream);
using aclrtDestroyStream = aclError(aclrtStream stream);
using aclrtSynchronizeStream = aclError(aclrtStream stream);
using aclrtSynchronizeStreamWithTimeout = aclError(aclrtStream stream, std::int32_t timeout_ms);
using aclrtCreateEvent = aclError(aclrtEvent* event);
using aclrtCreateEventWithFlag = aclError(aclrtEvent* event, std::uint32_t flag);
using aclrtCreateEventExWithFlag = aclrtCreateEventWithFlag;
using aclrtDestroyEvent = aclError(aclrtEvent event);
using aclrtRecordEvent = aclError(aclrtEvent event, aclrtStream stream);
using aclrtStreamWaitEvent = aclError(aclrtStream stream, aclrtEvent event);
using aclrtSynchronizeEvent = aclError(aclrtEvent event);
using aclrtMalloc = aclError(void** memory, std::size_t bytes, aclrtMemMallocPolicy policy);
using aclrtFree = aclError(void* memory);
using aclrtMallocHost = aclError(void** memory, std::size_t bytes);
using aclrtFreeHost = aclError(void* memory);
using aclrtMemcpy = aclError(void* to, std::size_t to_bytes, const void* from, std::size_t bytes,
                             aclrtMemcpyKind kind);
using aclrtMemcpyAsync = aclError(void* to, std::size_t to_bytes, const void* from,
                                  std::size_t bytes, aclrtMemcpyKind kind, aclrtStream stream);
using aclrtMemsetAsync = aclError(void* memory, std::size_t memory_bytes, std::int32_t value,
                                  std::size_t bytes, aclrtStream stream);
using aclrtGetMemInfo = aclError(aclrtMemAttr attribute, std::size_t* free, std::size_t* total);

// ---- Operators: objects (libnnopbase.so) -------------------------------------------------------

using aclnnStatus = std::int32_t;
struct aclTensor;
struct aclScalar;
struct aclIntArray;
struct aclTensorList;
struct aclOpExecutor;

enum aclDataType : std::int32_t {
  ACL_DT_UNDEFINED = -1,
  ACL_FLOAT = 0,
  ACL_FLOAT16 = 1,
  ACL_INT8 = 2,
  ACL_INT32 = 3,
  ACL_UINT8 = 4,
  ACL_INT16 = 6,
  ACL_INT64 = 9,
  ACL_DOUBLE = 11,
  ACL_BOOL = 12,
  ACL_BF16 = 27
};
enum aclFormat : std::int32_t { ACL_FORMAT_NCHW = 0, ACL_FORMAT_ND = 2, ACL_FORMAT_NCDHW = 30 };

constexpr aclnnStatus ACLNN_SUCCESS = 0;
constexpr aclnnStatus ACLNN_ERR_PARAM_NULLPTR = 161001;
constexpr aclnnStatus ACLNN_ERR_PARAM_INVALID = 161002;
constexpr aclnnStatus ACLNN_ERR_RUNTIME_ERROR = 361001;
constexpr aclnnStatus ACLNN_ERR_INNER = 561000;
constexpr aclnnStatus ACLNN_ERR_INNER_TILING_ERROR = 561002;

using aclCreateTensor = aclTensor*(const std::int64_t* dims, std::uint64_t rank, aclDataType type,
                                   const std::int64_t* strides, std::int64_t offset,
                                   aclFormat format, const std::int64_t* storage_dims,
                                   std::uint64_t storage_rank, void* data);
using aclDestroyTensor = aclnnStatus(const aclTensor* tensor);
using aclCreateScalar = aclScalar*(void* value, aclDataType type);
using aclDestroyScalar = aclnnStatus(const aclScalar* scalar);
using aclCreateIntArray = aclIntArray*(const std::int64_t* values, std::uint64_t count);
using aclDestroyIntArray = aclnnStatus(const aclIntArray* array);
using aclCreateTensorList = aclTensorList*(const aclTensor* const* tensors, std::uint64_t count);
using aclDestroyTensorList = aclnnStatus(const aclTensorList* list);  // and its members

// ---- Operators: calls (libopapi*.so) -----------------------------------------------------------
// aclnnX comes in two functions: aclnnXGetWorkspaceSize checks the arguments and plans, aclnnX
// (always of type aclnnRun) enqueues. The types below are those of the first, named aclnnX for
// short.

using aclnnRun = aclnnStatus(void* workspace, std::uint64_t workspace_bytes,
                             aclOpExecutor* executor, aclrtStream stream);

constexpr std::int8_t KEEP_DTYPE = 0;  // cubeMathType

using In = const aclTensor*;
using Out = aclTensor*;
using List = const aclTensorList*;
using Ints = const aclIntArray*;
using Scalar = const aclScalar*;
using Bytes = std::uint64_t*;
using Plan = aclOpExecutor**;

using aclnnUnary = aclnnStatus(In self, Out out, Bytes, Plan);
using aclnnBinary = aclnnStatus(In self, In other, Out out, Bytes, Plan);
using aclnnWithScalar = aclnnStatus(In self, Scalar other, Out out, Bytes, Plan);

using aclnnSilu = aclnnUnary;
using aclnnExp = aclnnUnary;
using aclnnLog = aclnnUnary;
using aclnnSqrt = aclnnUnary;
using aclnnMul = aclnnBinary;
using aclnnDiv = aclnnBinary;
using aclnnMaximum = aclnnBinary;
using aclnnMuls = aclnnWithScalar;
using aclnnGtScalar = aclnnWithScalar;  // out is BOOL
using aclnnLtScalar = aclnnWithScalar;
using aclnnSwish = aclnnWithScalar;  // x sigmoid(beta x)
using aclnnAdd = aclnnStatus(In self, In other, Scalar alpha, Out out, Bytes, Plan);
using aclnnSub = aclnnAdd;
using aclnnAdds = aclnnStatus(In self, Scalar other, Scalar alpha, Out out, Bytes, Plan);
using aclnnAddcmul = aclnnStatus(In self, In a, In b, Scalar value, Out out, Bytes, Plan);
using aclnnGeluV2 = aclnnStatus(In x, std::int64_t approximate, Out out, Bytes, Plan);
using aclnnCast = aclnnStatus(In self, aclDataType type, Out out, Bytes, Plan);
using aclnnInplaceCopy = aclnnStatus(Out self, In from, Bytes, Plan);
using aclnnInplaceFillScalar = aclnnStatus(Out self, Scalar value, Bytes, Plan);
using aclnnSWhere = aclnnStatus(In condition, In self, In other, Out out, Bytes, Plan);
using aclnnReduceSum = aclnnStatus(In self, Ints axes, bool keep, aclDataType type, Out out, Bytes,
                                   Plan);
using aclnnAmax = aclnnStatus(In self, Ints axes, bool keep, Out out, Bytes, Plan);
using aclnnSoftmax = aclnnStatus(In self, std::int64_t axis, Out out, Bytes, Plan);
using aclnnMatmul = aclnnStatus(In self, In other, Out out, std::int8_t cube_math, Bytes, Plan);
using aclnnBatchMatMul = aclnnMatmul;
using aclnnLayerNorm = aclnnStatus(In x, Ints normalized_shape, In weight, In bias, double eps,
                                   Out out, Out mean, Out rstd, Bytes, Plan);
using aclnnRmsNorm = aclnnStatus(In x, In gamma, double eps, In out, In rstd, Bytes, Plan);
using aclnnEmbedding = aclnnStatus(In weight, In indices, In out, Bytes, Plan);
using aclnnConvolution = aclnnStatus(In x, In weight, In bias, Ints stride, Ints padding,
                                     Ints dilation, bool transposed, Ints output_padding,
                                     std::int64_t groups, Out out, std::int8_t cube_math, Bytes,
                                     Plan);
using aclnnConstantPadNd = aclnnStatus(In self, Ints pad, Scalar value, Out out, Bytes, Plan);

// ---- Fused attention ---------------------------------------------------------------------------
// Five versions that differ in length alone: a call of the wrong one compiles and reads garbage, so
// their arity is asserted below. Order and meaning: docs/ascend.md.

using aclnnFusedInferAttentionScore = aclnnStatus(
    In query, List key, List value, In pse_shift, In atten_mask, Ints seq_lengths,
    Ints seq_lengths_kv, In deq_scale1, In quant_scale1, In deq_scale2, In quant_scale2,
    In quant_offset2, In antiquant_scale, In antiquant_offset, In block_table,
    In query_padding_size, In kv_padding_size, std::int64_t heads, double scale,
    std::int64_t pre_tokens, std::int64_t next_tokens, char* layout, std::int64_t kv_heads,
    std::int64_t sparse_mode, std::int64_t inner_precise, std::int64_t block_size,
    std::int64_t antiquant_mode, bool lse_flag, In attention_out, In softmax_lse, Bytes, Plan);

using aclnnFusedInferAttentionScoreV2 = aclnnStatus(
    In query, List key, List value, In pse_shift, In atten_mask, Ints seq_lengths,
    Ints seq_lengths_kv, In deq_scale1, In quant_scale1, In deq_scale2, In quant_scale2,
    In quant_offset2, In antiquant_scale, In antiquant_offset, In block_table,
    In query_padding_size, In kv_padding_size, In key_antiquant_scale, In key_antiquant_offset,
    In value_antiquant_scale, In value_antiquant_offset, In key_shared_prefix,
    In value_shared_prefix, Ints shared_prefix_length, std::int64_t heads, double scale,
    std::int64_t pre_tokens, std::int64_t next_tokens, char* layout, std::int64_t kv_heads,
    std::int64_t sparse_mode, std::int64_t inner_precise, std::int64_t block_size,
    std::int64_t antiquant_mode, bool lse_flag, std::int64_t key_antiquant_mode,
    std::int64_t value_antiquant_mode, In attention_out, In softmax_lse, Bytes, Plan);

using aclnnFusedInferAttentionScoreV3 = aclnnStatus(
    In query, List key, List value, In pse_shift, In atten_mask, Ints seq_lengths,
    Ints seq_lengths_kv, In deq_scale1, In quant_scale1, In deq_scale2, In quant_scale2,
    In quant_offset2, In antiquant_scale, In antiquant_offset, In block_table,
    In query_padding_size, In kv_padding_size, In key_antiquant_scale, In key_antiquant_offset,
    In value_antiquant_scale, In value_antiquant_offset, In key_shared_prefix,
    In value_shared_prefix, Ints shared_prefix_length, In query_rope, In key_rope,
    In key_rope_antiquant_scale, std::int64_t heads, double scale, std::int64_t pre_tokens,
    std::int64_t next_tokens, char* layout, std::int64_t kv_heads, std::int64_t sparse_mode,
    std::int64_t inner_precise, std::int64_t block_size, std::int64_t antiquant_mode, bool lse_flag,
    std::int64_t key_antiquant_mode, std::int64_t value_antiquant_mode, In attention_out,
    In softmax_lse, Bytes, Plan);

using aclnnFusedInferAttentionScoreV4 = aclnnStatus(
    In query, List key, List value, In pse_shift, In atten_mask, Ints seq_lengths,
    Ints seq_lengths_kv, In deq_scale1, In quant_scale1, In deq_scale2, In quant_scale2,
    In quant_offset2, In antiquant_scale, In antiquant_offset, In block_table,
    In query_padding_size, In kv_padding_size, In key_antiquant_scale, In key_antiquant_offset,
    In value_antiquant_scale, In value_antiquant_offset, In key_shared_prefix,
    In value_shared_prefix, Ints shared_prefix_length, In query_rope, In key_rope,
    In key_rope_antiquant_scale, In dequant_scale_query, In learnable_sink, std::int64_t heads,
    double scale, std::int64_t pre_tokens, std::int64_t next_tokens, char* layout,
    std::int64_t kv_heads, std::int64_t sparse_mode, std::int64_t inner_precise,
    std::int64_t block_size, std::int64_t antiquant_mode, bool lse_flag,
    std::int64_t key_antiquant_mode, std::int64_t value_antiquant_mode,
    std::int64_t query_quant_mode, In attention_out, In softmax_lse, Bytes, Plan);

using aclnnFusedInferAttentionScoreV5 = aclnnStatus(
    In query, List key, List value, In pse_shift, In atten_mask, Ints seq_lengths,
    Ints seq_lengths_kv, In deq_scale1, In quant_scale1, In deq_scale2, In quant_scale2,
    In quant_offset2, In antiquant_scale, In antiquant_offset, In block_table,
    In query_padding_size, In kv_padding_size, In key_antiquant_scale, In key_antiquant_offset,
    In value_antiquant_scale, In value_antiquant_offset, In key_shared_prefix,
    In value_shared_prefix, Ints shared_prefix_length, In query_rope, In key_rope,
    In key_rope_antiquant_scale, In dequant_scale_query, In learnable_sink, Ints q_start,
    Ints kv_start, std::int64_t heads, double scale, std::int64_t pre_tokens,
    std::int64_t next_tokens, char* layout, std::int64_t kv_heads, std::int64_t sparse_mode,
    std::int64_t inner_precise, std::int64_t block_size, std::int64_t antiquant_mode, bool lse_flag,
    std::int64_t key_antiquant_mode, std::int64_t value_antiquant_mode,
    std::int64_t query_quant_mode, std::int64_t pse_type, In attention_out, In softmax_lse, Bytes,
    Plan);

template <class Function>
struct Arity;
template <class Result, class... Args>
struct Arity<Result(Args...)> : std::integral_constant<std::size_t, sizeof...(Args)> {};

static_assert(Arity<aclnnFusedInferAttentionScore>::value == 32);
static_assert(Arity<aclnnFusedInferAttentionScoreV2>::value == 41);
static_assert(Arity<aclnnFusedInferAttentionScoreV3>::value == 44);
static_assert(Arity<aclnnFusedInferAttentionScoreV4>::value == 47);
static_assert(Arity<aclnnFusedInferAttentionScoreV5>::value == 50);

}  // namespace annulus::cann
