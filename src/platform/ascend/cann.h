#pragma once

#include <memory>
#include <optional>
#include <string>

#include "platform/ascend/cann_api.h"
#include "platform/ascend/soc.h"

namespace annulus {

/// CANN in this process, started. All devices share it, as the process has one; the last reference
/// ends it where it was ours to start.
class Cann {
 public:
  /// Throws Unsupported when a library, function or device is missing, DeviceFailure when CANN will
  /// not start.
  static std::shared_ptr<const Cann> shared();

  ~Cann();
  Cann(const Cann&) = delete;
  Cann& operator=(const Cann&) = delete;

  const CannApi& api() const noexcept { return api_; }
  const SocProfile& soc() const noexcept { return soc_; }
  int devices() const noexcept { return devices_; }

  /// Throws unless `status` is 0: OutOfMemory or DeviceFailure with CANN's text, which is the
  /// calling thread's, so this is called where the failure was seen.
  void check(int status, const char* function) const;

 private:
  Cann();

  CannApi api_;
  SocProfile soc_;
  int devices_ = 0;
  bool ours_ = false;  // to end
};

/// Why there is no Ascend processor to use; nothing when there is.
std::optional<std::string> probe_cann();

}  // namespace annulus
