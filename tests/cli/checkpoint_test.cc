// A picture that is interrupted and gone on with.
#include <gtest/gtest.h>

#include <csignal>

#include "io/image.h"
#include "program.h"

namespace annulus::test {
namespace {

const std::vector<std::string> kPicture = {"generate", "--size", "96x96", "--steps",
                                           "200",      "--seed", "3",     "a house"};

std::vector<std::string> with(std::vector<std::string> words, std::vector<std::string> more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Checkpoint, AnInterruptedPictureGoesOnToTheSameBytes) {
  const ScratchFolder folder;
  const std::string whole = (folder / "whole.png").string(), file = (folder / "x.png").string(),
                    job = (folder / "x.job.safetensors").string();
  ASSERT_EQ(run_program(with(kPicture, {"--output", whole})).status, 0);
  RunOptions options;
  options.signal = SIGINT;
  options.signal_after = "denoise ";
  const Finished stopped =
      run_program(with(kPicture, {"--output", file, "--checkpoint-every", "1"}), options);
  ASSERT_EQ(stopped.status, 130) << stopped.err;
  ASSERT_EQ(files_in(folder.path()), (std::vector<std::string>{"whole.png", "x.job.safetensors"}));
  const Finished rest =
      run_program({"generate", "--resume-job", job, "--checkpoint-every", "50", "--output", file});
  ASSERT_EQ(rest.status, 0) << rest.err;
  EXPECT_EQ(files_in(folder.path()), (std::vector<std::string>{"whole.png", "x.png"}));
  EXPECT_EQ(read_image(file).pixels, read_image(whole).pixels);
}

TEST(Checkpoint, AnotherPictureIsRefused) {
  const ScratchFolder folder;
  const std::string file = (folder / "x.png").string(),
                    job = (folder / "x.job.safetensors").string();
  RunOptions options;
  options.signal = SIGINT;
  options.signal_after = "denoise ";
  run_program(with(kPicture, {"--output", file, "--checkpoint-every", "1"}), options);
  const Finished other =
      run_program({"generate", "--resume-job", job, "--seed", "4", "--output", file});
  EXPECT_EQ(other.status, 2);
  EXPECT_NE(other.err.find("settings"), std::string::npos) << other.err;
  EXPECT_EQ(run_program({"generate", "--resume-job", file + ".none", "--output", file}).status, 2);
}

}  // namespace
}  // namespace annulus::test
