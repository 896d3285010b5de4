#include "base/dynamic_library.h"

#include <gtest/gtest.h>

namespace annulus {
namespace {

TEST(DynamicLibrary, OneThatIsNotThereIsNamedInTheReason) {
  std::string why;
  EXPECT_FALSE(DynamicLibrary::open("libannulus_no_such.so", &why));
  EXPECT_NE(why.find("libannulus_no_such.so"), std::string::npos) << why;
}

TEST(DynamicLibrary, FindsWhatALibraryHasAndNothingElse) {
  const auto library = DynamicLibrary::open("libm.so.6");
  ASSERT_TRUE(library);
  using Cosine = double(double);
  auto* const cosine = reinterpret_cast<Cosine*>(library->symbol("cos"));
  ASSERT_NE(cosine, nullptr);
  EXPECT_EQ(cosine(0), 1);
  EXPECT_EQ(library->symbol("annulus_no_such"), nullptr);
}

}  // namespace
}  // namespace annulus
