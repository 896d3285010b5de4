#include "platform/ascend/cann_api.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/dynamic_library.h"
#include "base/environment.h"
#include "base/error.h"

namespace annulus {

namespace {

constexpr bool kOptional = false;

std::string home_folder() {
  const std::string home(environment("ASCEND_HOME_PATH"));
  return home.empty() ? home : home + "/lib64";
}

// Several libraries that are searched for each symbol, in order.
class Libraries {
 public:
  /// Adds the first of `names` that can be opened. Throws Unsupported with the first one's reason.
  void add_first(std::initializer_list<const char*> names) {
    std::string reason;
    for (const char* name : names) {
      std::string why;
      if (add(name, &why)) return;
      if (reason.empty()) reason = why;
    }
    throw Error(ErrorCode::Unsupported, reason);
  }

  /// Newer releases split libopapi.so by domain, and a symbol is in one of the parts.
  void add_parts_of(const std::string& prefix) {
    std::vector<std::string> parts;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(home_folder(), ignored)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(prefix) && name.ends_with(".so")) parts.push_back(entry.path().string());
    }
    std::sort(parts.begin(), parts.end());
    for (const std::string& part : parts)
      if (auto library = DynamicLibrary::open(part)) libraries_.push_back(*library);
  }

  bool empty() const noexcept { return libraries_.empty(); }

  bool add(const std::string& name, std::string* why) {
    const std::string folder = home_folder();
    auto library = folder.empty() ? std::nullopt : DynamicLibrary::open(folder + "/" + name);
    if (!library) library = DynamicLibrary::open(name, why);
    if (library) libraries_.push_back(*library);
    return library.has_value();
  }

  template <class Function>
  void find(Function*& to, const char* name, bool needed = true) const {
    for (const DynamicLibrary& library : libraries_) {
      to = reinterpret_cast<Function*>(library.symbol(name));
      if (to != nullptr) return;
    }
    require(!needed, ErrorCode::Unsupported, "CANN: wanted the function ", name,
            ", found a release without it");
  }

  template <class Plan>
  void find(AclnnOperator<Plan>& to, const char* name, bool needed = true) const {
    to.name = name;
    find(to.plan, (std::string(name) + "GetWorkspaceSize").c_str(), needed);
    find(to.run, name, needed);
  }

 private:
  std::vector<DynamicLibrary> libraries_;
};

void find_runtime(const Libraries& from, CannApi& api) {
  from.find(api.aclInit, "aclInit");
  from.find(api.aclFinalize, "aclFinalize");
  from.find(api.aclGetRecentErrMsg, "aclGetRecentErrMsg");
  from.find(api.aclrtGetSocName, "aclrtGetSocName");
  from.find(api.aclrtGetVersion, "aclrtGetVersion", kOptional);
  from.find(api.aclrtGetDeviceCount, "aclrtGetDeviceCount");
  from.find(api.aclrtSetDevice, "aclrtSetDevice");
  from.find(api.aclrtResetDevice, "aclrtResetDevice");
  from.find(api.aclrtSetDeviceSatMode, "aclrtSetDeviceSatMode", kOptional);
  from.find(api.aclrtGetCurrentContext, "aclrtGetCurrentContext");
  from.find(api.aclrtSetCurrentContext, "aclrtSetCurrentContext");
  from.find(api.aclrtCreateStream, "aclrtCreateStream");
  from.find(api.aclrtDestroyStream, "aclrtDestroyStream");
  from.find(api.aclrtSynchronizeStream, "aclrtSynchronizeStream");
  from.find(api.aclrtSynchronizeStreamWithTimeout, "aclrtSynchronizeStreamWithTimeout", kOptional);
  from.find(api.aclrtCreateEventWithFlag, "aclrtCreateEventWithFlag");
  from.find(api.aclrtCreateEventExWithFlag, "aclrtCreateEventExWithFlag", kOptional);
  from.find(api.aclrtDestroyEvent, "aclrtDestroyEvent");
  from.find(api.aclrtRecordEvent, "aclrtRecordEvent");
  from.find(api.aclrtStreamWaitEvent, "aclrtStreamWaitEvent");
  from.find(api.aclrtSynchronizeEvent, "aclrtSynchronizeEvent");
  from.find(api.aclrtMalloc, "aclrtMalloc");
  from.find(api.aclrtFree, "aclrtFree");
  from.find(api.aclrtMallocHost, "aclrtMallocHost");
  from.find(api.aclrtFreeHost, "aclrtFreeHost");
  from.find(api.aclrtMemcpy, "aclrtMemcpy");
  from.find(api.aclrtMemcpyAsync, "aclrtMemcpyAsync");
  from.find(api.aclrtMemsetAsync, "aclrtMemsetAsync");
  from.find(api.aclrtGetMemInfo, "aclrtGetMemInfo");
}

void find_objects(const Libraries& from, CannApi& api) {
  from.find(api.aclCreateTensor, "aclCreateTensor");
  from.find(api.aclDestroyTensor, "aclDestroyTensor");
  from.find(api.aclCreateScalar, "aclCreateScalar");
  from.find(api.aclDestroyScalar, "aclDestroyScalar");
  from.find(api.aclCreateIntArray, "aclCreateIntArray");
  from.find(api.aclDestroyIntArray, "aclDestroyIntArray");
  from.find(api.aclCreateTensorList, "aclCreateTensorList");
  from.find(api.aclDestroyTensorList, "aclDestroyTensorList");
}

void find_operators(const Libraries& from, CannApi& api) {
  from.find(api.silu, "aclnnSilu");
  from.find(api.swish, "aclnnSwish");
  from.find(api.gelu, "aclnnGeluV2");
  from.find(api.exp, "aclnnExp");
  from.find(api.log, "aclnnLog");
  from.find(api.sqrt, "aclnnSqrt");
  from.find(api.mul, "aclnnMul");
  from.find(api.div, "aclnnDiv");
  from.find(api.maximum, "aclnnMaximum");
  from.find(api.muls, "aclnnMuls");
  from.find(api.gt_scalar, "aclnnGtScalar");
  from.find(api.lt_scalar, "aclnnLtScalar");
  from.find(api.add, "aclnnAdd");
  from.find(api.sub, "aclnnSub");
  from.find(api.adds, "aclnnAdds");
  from.find(api.addcmul, "aclnnAddcmul");
  from.find(api.cast, "aclnnCast");
  from.find(api.copy, "aclnnInplaceCopy");
  from.find(api.fill, "aclnnInplaceFillScalar");
  from.find(api.where, "aclnnSWhere");
  from.find(api.sum, "aclnnReduceSum");
  from.find(api.amax, "aclnnAmax");
  from.find(api.softmax, "aclnnSoftmax");
  from.find(api.matmul, "aclnnMatmul");
  from.find(api.batch_matmul, "aclnnBatchMatMul");
  from.find(api.layer_norm, "aclnnLayerNorm");
  from.find(api.rms_norm, "aclnnRmsNorm");
  from.find(api.embedding, "aclnnEmbedding");
  from.find(api.convolution, "aclnnConvolution");
  from.find(api.pad, "aclnnConstantPadNd");
  from.find(api.fia_v1, "aclnnFusedInferAttentionScore", kOptional);
  from.find(api.fia_v2, "aclnnFusedInferAttentionScoreV2", kOptional);
  from.find(api.fia_v3, "aclnnFusedInferAttentionScoreV3", kOptional);
  from.find(api.fia_v4, "aclnnFusedInferAttentionScoreV4", kOptional);
  from.find(api.fia_v5, "aclnnFusedInferAttentionScoreV5", kOptional);
}

}  // namespace

CannApi CannApi::load() {
  CannApi api;
  Libraries runtime, objects, operators;
  runtime.add_first({"libascendcl.so", "libacl_rt.so"});
  find_runtime(runtime, api);
  objects.add_first({"libnnopbase.so"});
  find_objects(objects, api);
  operators.add_parts_of("libopapi_");
  std::string why;
  require(operators.add("libopapi.so", &why) || !operators.empty(), ErrorCode::Unsupported, why);
  find_operators(operators, api);
  return api;
}

}  // namespace annulus
