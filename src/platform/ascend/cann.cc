#include "platform/ascend/cann.h"

#include <mutex>

#include "base/error.h"

namespace annulus {

namespace {

int count_devices(const CannApi& api) {
  std::uint32_t count = 0;
  const int status = api.aclrtGetDeviceCount(&count);
  require(status == cann::ACL_SUCCESS, ErrorCode::Unsupported,
          "CANN: wanted the number of devices, found error ", status, " of aclrtGetDeviceCount");
  require(count > 0, ErrorCode::Unsupported, "CANN: wanted a device, found none");
  return static_cast<int>(count);
}

}  // namespace

std::shared_ptr<const Cann> Cann::shared() {
  // The process has one CANN whatever we do: who comes second must find the first's.
  static std::mutex mutex;
  static std::weak_ptr<const Cann> running;
  const std::lock_guard lock(mutex);
  std::shared_ptr<const Cann> cann = running.lock();
  if (cann == nullptr) running = cann = std::shared_ptr<const Cann>(new Cann);
  return cann;
}

Cann::Cann() : api_(CannApi::load()), devices_(count_devices(api_)) {
  const int status = api_.aclInit(nullptr);
  ours_ = status == cann::ACL_SUCCESS;
  if (status != cann::ACL_ERROR_REPEAT_INITIALIZE) check(status, "aclInit");
  const char* const soc = api_.aclrtGetSocName();
  soc_ = soc_profile(soc != nullptr ? soc : "");
}

Cann::~Cann() {
  if (ours_) api_.aclFinalize();
}

void Cann::check(int status, const char* function) const {
  if (status == cann::ACL_SUCCESS) [[likely]]
    return;
  const char* const text = api_.aclGetRecentErrMsg();
  const bool memory =
      status == cann::ACL_ERROR_RT_MEMORY_ALLOCATION || status == cann::ACL_ERROR_RT_DEVICE_OOM;
  throw Error(memory ? ErrorCode::OutOfMemory : ErrorCode::DeviceFailure,
              text_of(function, ": wanted success, found error ", status, " (",
                      text != nullptr ? text : "CANN gives no reason", ")"));
}

std::optional<std::string> probe_cann() {
  try {
    count_devices(CannApi::load());
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace annulus
