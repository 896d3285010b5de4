#include "platform/ascend/soc.h"

#include <gtest/gtest.h>

namespace annulus {
namespace {

TEST(Soc, EachNameOfTheDocumentationHasItsFamily) {
  for (const char* name : {"Ascend910B1", "Ascend910B2", "Ascend910B2C", "Ascend910B3",
                           "Ascend910B4", "Ascend910B4-1"})
    EXPECT_EQ(soc_profile(name).family, SocFamily::A2) << name;
  for (const char* name : {"Ascend910_9391", "Ascend910_9392", "Ascend910_9381", "Ascend910_9362"})
    EXPECT_EQ(soc_profile(name).family, SocFamily::A3) << name;
  for (const char* name : {"Ascend950PR_9599", "Ascend950DT"})
    EXPECT_EQ(soc_profile(name).family, SocFamily::Ascend950) << name;
  for (const char* name : {"Ascend310P1", "Ascend310P3"})
    EXPECT_EQ(soc_profile(name).family, SocFamily::Ascend310P) << name;
  for (const char* name : {"Ascend910B", "Ascend910A", "Ascend910ProB", "Ascend310B4", ""})
    EXPECT_EQ(soc_profile(name).family, SocFamily::Other) << name;
}

TEST(Soc, FusedAttentionIsThatOfTheFamily) {
  EXPECT_EQ(soc_profile("Ascend910B3").fused_attention, 2);
  EXPECT_EQ(soc_profile("Ascend910_9391").fused_attention, 2);
  EXPECT_EQ(soc_profile("Ascend950PR_9599").fused_attention, 5);
  EXPECT_EQ(soc_profile("Ascend310P3").fused_attention, 0);
  EXPECT_FALSE(soc_profile("Ascend310P3").point_to_point);
  EXPECT_TRUE(soc_profile("Ascend910A").point_to_point);
}

}  // namespace
}  // namespace annulus
