// Outputs that take no more: stdout that is full, closed or unread, files over a limit.
#include <gtest/gtest.h>

#include <algorithm>

#include "program.h"

namespace annulus::test {
namespace {

void expect_error_5(const Finished& run, const std::string& part) {
  EXPECT_EQ(run.status, 5) << run.err;
  EXPECT_TRUE(run.err.starts_with("annulus: error: ")) << run.err;
  EXPECT_NE(run.err.find(part), std::string::npos) << run.err;
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
}

TEST(Output, StdoutThatTakesNoMoreIsAnErrorOfEveryCommand) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--version"},
                                             {"--help"},
                                             {"generate", "--help"},
                                             {"info"},
                                             {"doctor"},
                                             {"generate", "a cat", "--dry-run"}})
    for (const Stdout out : {Stdout::Full, Stdout::Closed, Stdout::Unread})
      expect_error_5(run_program(words, {.out = out}), "stdout: wanted");
}

TEST(Output, APathOrReportThatStdoutDoesNotTakeIsAnErrorAndThePictureStays) {
  for (const Stdout out : {Stdout::Full, Stdout::Closed, Stdout::Unread})
    for (const bool json : {false, true}) {
      const ScratchFolder folder;
      std::vector<std::string> words = {"generate", "a cat", "--size",  "32x32",    "--steps", "2",
                                        "--seed",   "1",     "--quiet", "--output", "x.png"};
      if (json) words.insert(words.end(), {"--json", "-"});
      expect_error_5(run_program(words, {.folder = folder.path(), .out = out}), "stdout: wanted");
      EXPECT_EQ(files_in(folder.path()), std::vector<std::string>{"x.png"});
    }
}

TEST(Output, AfterAReaderThatWentAwayNothingMoreIsDrawn) {
  const ScratchFolder folder;
  expect_error_5(run_program({"generate", "a", "b", "c", "--size", "32x32", "--steps", "2",
                              "--seed", "1", "--quiet"},
                             {.folder = folder.path(), .out = Stdout::Unread}),
                 "Broken pipe");
  EXPECT_EQ(files_in(folder.path()), std::vector<std::string>{"a-1.png"});
}

TEST(Output, AFileOverTheLimitOfItsSizeIsAnErrorAndLeavesNothing) {
  const ScratchFolder folder;
  expect_error_5(run_program({"generate", "a cat", "--steps", "2", "--seed", "1", "--quiet",
                              "--output", "x.png"},
                             {.folder = folder.path(), .most_file_bytes = 4096}),
                 "x.png");
  EXPECT_TRUE(files_in(folder.path()).empty());
}

}  // namespace
}  // namespace annulus::test
