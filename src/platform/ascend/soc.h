#pragma once

#include <string>
#include <string_view>

namespace annulus {

/// Families of Ascend processors that differ in what runs on them.
enum class SocFamily { A2, A3, Ascend950, Ascend310P, Other };

/// What the processor of that name can do, as documented. `fused_attention`: the version of
/// aclnnFusedInferAttentionScore that it takes; 0: none.
struct SocProfile {
  std::string name;  // as aclrtGetSocName says it: "Ascend910B3"
  SocFamily family = SocFamily::Other;
  bool bf16 = false;
  int fused_attention = 0;
  bool point_to_point = false;  // HcclSend, HcclRecv, HcclBatchSendRecv
};

SocProfile soc_profile(std::string_view name);

std::string_view name_of(SocFamily family) noexcept;  // "A2", "950", ...

}  // namespace annulus
