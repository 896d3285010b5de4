// Wrong arguments: status 2, one error line that names what was wanted and found, at most one hint.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "program.h"

namespace annulus::test {
namespace {

void expect_one_error(const Finished& run, int status, const std::string& part,
                      const std::string& hint = {}) {
  EXPECT_EQ(run.status, status) << run.err;
  EXPECT_NE(run.err.find("annulus: error: "), std::string::npos) << run.err;
  EXPECT_NE(run.err.find(part), std::string::npos) << run.err;
  EXPECT_NE(run.err.find(hint.empty() ? "" : "hint: " + hint), std::string::npos) << run.err;
  EXPECT_LE(std::count(run.err.begin(), run.err.end(), '\n'), 2) << run.err;
  EXPECT_EQ(run.out, "");
}

TEST(Arguments, NoCommandIsAnErrorThatNamesThem) {
  expect_one_error(run_program({}), 2, "command: wanted generate, info", "`annulus --help`");
}

TEST(Arguments, HelpAndVersionGoToStdout) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--help"},
                                             {"--version"},
                                             {"generate", "--help"},
                                             {"generate", "--help-all"},
                                             {"doctor", "-h"},
                                             {"bench", "--help"},
                                             {"info", "--help"},
                                             {"plan", "--help"},
                                             {"attention", "--help"}}) {
    const Finished run = run_program(words);
    EXPECT_EQ(run.status, 0) << words.front();
    EXPECT_NE(run.out, "");
    EXPECT_EQ(run.err, "");
  }
}

TEST(Arguments, RareOptionsAreShownByHelpAllOnly) {
  EXPECT_EQ(run_program({"generate", "--help"}).out.find("--save-latents"), std::string::npos);
  EXPECT_NE(run_program({"generate", "--help-all"}).out.find("--save-latents"), std::string::npos);
}

TEST(Arguments, UnknownCommandNamesTheNearest) {
  expect_one_error(run_program({"genrate", "a cat"}), 2, "found \"genrate\"",
                   "did you mean `annulus generate`?");
}

TEST(Arguments, UnknownOptionNamesTheNearest) {
  expect_one_error(run_program({"generate", "a cat", "--stpes", "3"}), 2, "--stpes",
                   "did you mean --steps?");
  expect_one_error(run_program({"generate", "a cat", "--zzzzzzzz"}), 2, "--zzzzzzzz");
}

TEST(Arguments, NothingToDrawIsAnError) {
  expect_one_error(run_program({"generate"}), 2, "wanted a prompt");
}

TEST(Arguments, ValuesOutOfRangeAreNamed) {
  const std::vector<std::vector<std::string>> wrong = {
      {"--steps", "0"},          {"--steps", "many"},          {"--seed", "-1"},
      {"--size", "128"},         {"--size", "128x"},           {"--dtype", "int8"},
      {"--count", "0"},          {"--show", "maybe"},          {"--threads", "0"},
      {"--true-cfg-scale", "x"}, {"--component-dtype", "vae"}, {"--output", "a{b}.png"},
      {"--quality", "101"},      {"--vae-tiling", "yes"}};
  for (const std::vector<std::string>& words : wrong)
    expect_one_error(run_program({"generate", "a cat", words[0], words[1]}), 2, words[0]);
}

TEST(Arguments, AnEndingThatIsNoPictureFormatIsAnError) {
  expect_one_error(run_program({"generate", "a cat", "--output", "a.gif"}), 2, "a.gif");
}

TEST(Arguments, AnOptionGivenTwiceIsAnError) {
  expect_one_error(run_program({"generate", "a cat", "--steps", "2", "--steps", "3"}), 2,
                   "--steps");
}

TEST(Arguments, WhatIsMissingIsNamed) {
  expect_one_error(run_program({"generate", "a cat", "--steps"}), 2,
                   "--steps: wanted a value, found none");
  expect_one_error(run_program({"bench"}), 2, "annulus bench: wanted what, found none");
  expect_one_error(run_program({"attention", "in.safetensors"}), 2,
                   "annulus attention: wanted --output, found none");
}

TEST(Arguments, FilesThatAreNoneAreRefused) {
  expect_one_error(run_program({"generate", "a cat", "--model", ""}), 2,
                   "--model: wanted a folder, found an empty name");
  const ScratchFolder folder;
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  for (const std::string option : {"--batch", "--prompt-file"})
    for (const std::string& file : {std::string("/"), (folder / "fifo").string()})
      expect_one_error(run_program({"generate", option, file}), 2,
                       option + ": wanted a regular file");
}

TEST(Arguments, MoreThreadsThanCoresCanRunAreRefused) {
  expect_one_error(run_program({"generate", "a cat", "--threads", "4096"}), 2,
                   "threads: wanted at most");
}

TEST(Arguments, UnknownPlatformNamesTheKnownOnes) {
  expect_one_error(run_program({"generate", "a cat", "--platform", "gpu"}), 2, "cpu");
}

TEST(Arguments, UnknownAttentionBackendNamesTheKnownOnes) {
  expect_one_error(run_program({"generate", "a cat", "--attention-backend", "flush"}), 2, "flash");
}

TEST(Arguments, UnknownComponentIsAnError) {
  expect_one_error(run_program({"generate", "a cat", "--component-attention", "unet=flash"}), 2,
                   "unet");
  expect_one_error(run_program({"generate", "a cat", "--component-dtype", "unet=f32"}), 2, "unet");
}

TEST(Arguments, AnInstructionSetThatIsUnknownIsAnError) {
  expect_one_error(run_program({"generate", "a cat"}, {.environment = {"ANNULUS_ISA=sse9"}}), 2,
                   "ANNULUS_ISA");
}

TEST(Arguments, BenchAndAttentionCheckTheirs) {
  expect_one_error(run_program({"bench", "peek"}), 2, "peek", "did you mean `annulus bench peak`?");
  expect_one_error(run_program({"bench", "linear", "--shape", "1,2"}), 2, "--shape");
  expect_one_error(run_program({"attention", "/nonexistent.safetensors", "--output", "/tmp/x"}), 2,
                   "/nonexistent.safetensors");
}

}  // namespace
}  // namespace annulus::test
