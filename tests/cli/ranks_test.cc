// The program on several ranks: as `--ranks` starts them, and under a plain mpirun. What plans must
// give is src/engine's test; here are the command line, outputs and exit statuses.
#include <gtest/gtest.h>

#include <cstdlib>

#include "io/image.h"
#include "program.h"

namespace annulus::test {
namespace {

/// A small picture.
std::vector<std::string> generate(const std::vector<std::string>& more, const char* steps = "2",
                                  const char* size = "48x64") {
  std::vector<std::string> words = {"generate", "--size", size,      "--steps", steps,
                                    "--seed",   "1",      "--dtype", "f32"};
  words.insert(words.end(), more.begin(), more.end());
  words.emplace_back("a house");
  return words;
}

int largest_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.pixels.size() != b.pixels.size()) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    largest = std::max(largest, std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
  return largest;
}

class OnRanks : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string_view(ANNULUS_MPIRUN).empty()) GTEST_SKIP() << ANNULUS_NO_MPIRUN;
  }
  std::string file(std::string_view name) const { return (folder_ / name).string(); }
  ScratchFolder folder_;
};

TEST_F(OnRanks, RanksMakeThePictureOfOneAndPrintItsPathOnce) {
  const Finished one = run_program(generate({"--output", file("one.png")}));
  const Finished two =
      run_program(generate({"--output", file("two.png"), "--ring-degree", "2", "--explain"}));
  ASSERT_EQ(two.status, 0) << two.err;
  EXPECT_EQ(two.out, file("two.png") + "\n");
  EXPECT_NE(two.err.find("plan cfg 1 x ring 2 x ulysses 1"), std::string::npos) << two.err;
  EXPECT_LE(largest_difference(read_image(file("one.png")), read_image(file("two.png"))), 1);
  EXPECT_EQ(files_in(folder_.path()), (std::vector<std::string>{"one.png", "two.png"}));
}

TEST_F(OnRanks, APlainMpirunMakesTheSamePicture) {
  run_program(generate({"--output", file("one.png")}));
  std::string command = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 " ANNULUS_MPIRUN
                        " -n 2 --oversubscribe --bind-to none " ANNULUS_PROGRAM;
  for (const std::string& word : generate({"--output", file("mpirun.png"), "--no-shared-memory"}))
    command += " '" + word + "'";
  command += " >" + file("out") + " 2>" + file("err");
  ASSERT_EQ(std::system(command.c_str()), 0) << read_text(file("err"));
  EXPECT_EQ(read_text(file("out")), file("mpirun.png") + "\n");
  EXPECT_LE(largest_difference(read_image(file("one.png")), read_image(file("mpirun.png"))), 1);
}

TEST_F(OnRanks, ABackendWithoutLogSumExpIsRefusedAtTheStartWithWhatWouldWork) {
  const Finished run = run_program(
      generate({"--output", file("x.png"), "--ring-degree", "2", "--attention-backend", "onednn"}));
  EXPECT_EQ(run.status, 4);
  for (const char* part :
       {"transformer_blocks.0", "returns no log-sum-exp", "could serve this layer: flash"})
    EXPECT_NE(run.err.find(part), std::string::npos) << run.err;
  EXPECT_TRUE(files_in(folder_.path()).empty());
}

TEST_F(OnRanks, AnErrorIsOneLineAsOnOneRank) {
  const Finished run =
      run_program(generate({"--output", file("x.png"), "--ranks", "2"}, "2", "50x50"));
  EXPECT_EQ(run.status, 2);
  EXPECT_EQ(run.err.find("annulus: error: size: wanted"), 0u) << run.err;
  EXPECT_EQ(run.err.find("rank"), std::string::npos) << run.err;
}

TEST_F(OnRanks, AnInterruptStopsAllRanks) {
  RunOptions options;
  options.signal = SIGINT;
  options.signal_after = "denoise ";
  const Finished run =
      run_program(generate({"--output", file("x.png"), "--ranks", "2"}, "3000"), options);
  EXPECT_EQ(run.status, 130) << run.err;
  EXPECT_TRUE(files_in(folder_.path()).empty());
}

TEST_F(OnRanks, ARankThatIsKilledIsNamedWithStatus7) {
  RunOptions options;
  options.signal = SIGKILL;
  options.signal_after = "denoise ";
  options.victim = "rank 1";
  const Finished run =
      run_program(generate({"--output", file("x.png"), "--ring-degree", "2"}, "3000"), options);
  EXPECT_EQ(run.status, 7) << run.err;
  EXPECT_NE(run.err.find("annulus: error: rank 1: "), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("step "), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("layer "), std::string::npos) << run.err;
  EXPECT_TRUE(files_in(folder_.path()).empty());
}

TEST(RanksOptions, DegreesThatDoNotFitAreRefusedBeforeAnythingStarts) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--ranks", "2", "--ring-degree", "3"}, {"--ranks", "0"}, {"--ring-degree", "x"}}) {
    std::vector<std::string> all = {"--output", "never.png"};
    all.insert(all.end(), words.begin(), words.end());
    EXPECT_EQ(run_program(generate(all)).status, 2) << words[0];
  }
}

}  // namespace
}  // namespace annulus::test
