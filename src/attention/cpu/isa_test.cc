#include <gtest/gtest.h>

#include <cstdlib>

#include "attention/cpu/flash.h"
#include "base/environment.h"
#include "base/error.h"

namespace annulus {
namespace {

// Sets ANNULUS_ISA for a test and puts the old value back.
class IsaTest : public ::testing::Test {
 protected:
  void TearDown() override { force(before_.c_str()); }  // an empty name forces none
  static void force(const char* name) {
    setenv("ANNULUS_ISA", name, 1);  // NOLINT(concurrency-mt-unsafe): one thread
  }

 private:
  std::string before_{environment("ANNULUS_ISA")};
};

TEST_F(IsaTest, EveryCpuHasTheScalarKernel) {
  EXPECT_EQ(usable_isas().front(), Isa::Scalar);
}

TEST_F(IsaTest, WithoutAWishTheBestIsChosen) {
  force("");
  EXPECT_EQ(chosen_isa(), usable_isas().back());
}

TEST_F(IsaTest, EveryUsableSetCanBeForcedByItsName) {
  for (const Isa isa : usable_isas()) {
    force(std::string(name_of(isa)).c_str());
    EXPECT_EQ(chosen_isa(), isa);
  }
}

TEST_F(IsaTest, AnUnknownNameIsRefusedAndTheUsableOnesAreNamed) {
  force("sse9");
  try {
    chosen_isa();
    FAIL() << "wanted an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::InvalidRequest);
    EXPECT_NE(std::string(e.what()).find("scalar"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace annulus
