#include "platform/ascend/soc.h"

#include <cctype>

namespace annulus {

namespace {

// "Ascend910B" alone is the first 910; "Ascend910B1" and on are A2.
SocFamily family_of(std::string_view name) noexcept {
  constexpr std::string_view kA2 = "Ascend910B", kA3 = "Ascend910_93";
  const auto digit_at = [name](std::size_t at) {
    return name.size() > at && std::isdigit(static_cast<unsigned char>(name[at])) != 0;
  };
  if (name.starts_with(kA3)) return SocFamily::A3;
  if (name.starts_with(kA2) && digit_at(kA2.size())) return SocFamily::A2;
  if (name.starts_with("Ascend950")) return SocFamily::Ascend950;
  if (name.starts_with("Ascend310P")) return SocFamily::Ascend310P;
  return SocFamily::Other;
}

}  // namespace

SocProfile soc_profile(std::string_view name) {
  SocProfile profile{.name = std::string(name), .family = family_of(name)};
  switch (profile.family) {
    case SocFamily::A2:
    case SocFamily::A3:
      profile.fused_attention = 2;
      break;
    case SocFamily::Ascend950:
      profile.fused_attention = 5;
      break;
    case SocFamily::Ascend310P:
      return profile;
    case SocFamily::Other:
      profile.point_to_point = name.starts_with("Ascend910");
      return profile;
  }
  profile.bf16 = profile.point_to_point = true;
  return profile;
}

std::string_view name_of(SocFamily family) noexcept {
  switch (family) {
    case SocFamily::A2:
      return "A2";
    case SocFamily::A3:
      return "A3";
    case SocFamily::Ascend950:
      return "950";
    case SocFamily::Ascend310P:
      return "310P";
    case SocFamily::Other:
      return "other";
  }
  return "other";
}

}  // namespace annulus
