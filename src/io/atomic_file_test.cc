#include "io/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <sstream>

#include "io/test_folder.h"

namespace annulus {
namespace {

std::string content_of(const std::filesystem::path& file) {
  std::stringstream text;
  text << std::ifstream(file, std::ios::binary).rdbuf();
  return text.str();
}

TEST(AtomicFileTest, TheTargetAppearsAtCommit) {
  const TestFolder folder;
  const auto target = folder.write("a.txt", "old");
  AtomicFile file(target);
  file.write("ne");
  file.write("w");
  EXPECT_EQ(content_of(target), "old");
  file.commit();
  EXPECT_EQ(content_of(target), "new");
  EXPECT_EQ(folder.files(), 1u);
}

TEST(AtomicFileTest, WithoutCommitNothingIsLeft) {
  const TestFolder folder;
  {
    AtomicFile file(folder.path() / "a.txt");
    file.write("new");
    EXPECT_EQ(folder.files(), 1u);
  }
  EXPECT_EQ(folder.files(), 0u);
}

TEST(AtomicFileTest, SeveralAtOnceDoNotMeet) {
  const TestFolder folder;
  AtomicFile a(folder.path() / "x"), b(folder.path() / "x");
  a.write("a");
  b.write("b");
  b.commit();
  a.commit();
  EXPECT_EQ(content_of(folder.path() / "x"), "a");
  EXPECT_EQ(folder.files(), 1u);
}

TEST(AtomicFileTest, AFullDiskIsNamedWithWhatWasWanted) {
  // A limit on file size fails as a full disk does: some bytes fit, then none.
  const TestFolder folder;
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string what = error_of(
      ErrorCode::StorageFull, [&] { write_file(folder.path() / "x", std::string(1500, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(what.find("wanted room for 1500 bytes, of which 1000 fitted"), std::string::npos)
      << what;
  EXPECT_EQ(folder.files(), 0u);
}

}  // namespace
}  // namespace annulus
