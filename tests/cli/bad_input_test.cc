// Models and requests that cannot work: one clear error each, its status, and no picture.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <cstring>

#include "program.h"

namespace annulus::test {
namespace {

class BadInput : public ::testing::Test {
 protected:
  // Runs one step on a copy of storybook after `damage` has had its way with it.
  template <class Damage>
  Finished with_damage(const Damage& damage, const std::vector<std::string>& more = {}) {
    copy_storybook(folder / "model");
    damage(folder / "model");
    return generate("a cat", [&] {
      std::vector<std::string> words = {"--model", (folder / "model").string()};
      words.insert(words.end(), more.begin(), more.end());
      return words;
    }());
  }

  Finished generate(const std::string& prompt, const std::vector<std::string>& more) {
    std::vector<std::string> words = {"generate", prompt,     "--steps",
                                      "2",        "--seed",   "1",
                                      "--quiet",  "--output", (folder / "x.png").string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }

  void expect_error(const Finished& run, int status, const std::vector<std::string>& parts) {
    EXPECT_EQ(run.status, status) << run.err;
    EXPECT_EQ(run.out, "");
    for (const std::string& part : parts)
      EXPECT_NE(run.err.find(part), std::string::npos)
          << "wanted \"" << part << "\" in: " << run.err;
    EXPECT_LE(std::count(run.err.begin(), run.err.end(), '\n'), 2) << run.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "x.png"));
  }

  ScratchFolder folder;
  const std::string transformer = "transformer/diffusion_pytorch_model.safetensors";
};

TEST_F(BadInput, AModelFolderThatIsNotThere) {
  expect_error(generate("a cat", {"--model", "/nonexistent"}), 2, {"/nonexistent"});
}

TEST_F(BadInput, AFolderThatIsNoModel) {
  std::filesystem::create_directories(folder / "empty");
  expect_error(generate("a cat", {"--model", (folder / "empty").string()}), 3,
               {"model_index.json"});
}

TEST_F(BadInput, MissingWeights) {
  expect_error(
      with_damage([&](const auto& model) { std::filesystem::remove(model / transformer); }), 3,
      {"transformer"});
}

TEST_F(BadInput, TruncatedWeights) {
  expect_error(with_damage([&](const auto& model) {
                 const std::string bytes = read_text(model / transformer);
                 write_text(model / transformer,
                            std::string_view(bytes).substr(0, bytes.size() / 2));
               }),
               3, {"diffusion_pytorch_model.safetensors"});
}

TEST_F(BadInput, AHeaderThatLies) {
  expect_error(with_damage([&](const auto& model) {
                 std::string bytes = read_text(model / transformer);
                 const std::size_t at = bytes.find("\"shape\":[");
                 bytes[at + 9] = bytes[at + 9] == '9' ? '8' : '9';
                 write_text(model / transformer, bytes);
               }),
               3, {"diffusion_pytorch_model.safetensors"});
}

TEST_F(BadInput, AConfigurationThatIsNotJson) {
  expect_error(with_damage([](const auto& model) {
                 write_text(model / "vae/config.json", "{\"base_dim\": ");
               }),
               3, {"config.json"});
}

TEST_F(BadInput, AConfigurationThatContradictsTheWeights) {
  expect_error(with_damage([](const auto& model) {
                 std::string text = read_text(model / "transformer/config.json");
                 const std::size_t at = text.find("\"num_layers\": ");
                 text[at + 14] = '9';
                 write_text(model / "transformer/config.json", text);
               }),
               3, {"transformer_blocks"});
}

TEST_F(BadInput, ASchedulerThatCannotShiftOrIsForAnotherKindOfModel) {
  const auto change = [&](const std::string& from, const std::string& to) {
    return with_damage([&](const auto& model) {
      const auto file = model / "scheduler/scheduler_config.json";
      std::string text = read_text(file);
      ASSERT_NE(text.find(from), std::string::npos) << text;
      write_text(file, text.replace(text.find(from), from.size(), to));
    });
  };
  expect_error(change("\"max_image_seq_len\": 8192", "\"max_image_seq_len\": 256"), 3,
               {"max_image_seq_len", "scheduler_config.json"});
  std::filesystem::remove_all(folder / "model");
  expect_error(change("\"FlowMatchEulerDiscreteScheduler\"", "\"EulerDiscreteScheduler\""), 4,
               {"EulerDiscreteScheduler", "scheduler_config.json"});
}

TEST_F(BadInput, AKeyThatTheDefaultsOfAFolderDoNotHave) {
  expect_error(with_damage([](const auto& model) {
                 write_text(model / "annulus.json", "{\"defaults\": {\"stepz\": 3}}");
               }),
               3, {"stepz", "annulus.json"});
}

TEST_F(BadInput, APipelineThatIsUnknown) {
  expect_error(with_damage([](const auto& model) {
                 std::string text = read_text(model / "model_index.json");
                 const std::string name = "\"QwenImagePipeline\"";
                 text.replace(text.find(name), name.size(), "\"StableDiffusionPipeline\"");
                 write_text(model / "model_index.json", text);
               }),
               4, {"StableDiffusionPipeline", "qwen-image"});
}

TEST_F(BadInput, WeightsThatAreNotNumbersNameStageAndStep) {
  const Finished run = with_damage([&](const auto& model) {
    std::string bytes = read_text(model / transformer);
    std::uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (std::size_t at = 8 + header; at + 1 < bytes.size();
         at += 2) {  // bf16: all exponent bits and a fraction
      bytes[at] = '\xc1';
      bytes[at + 1] = '\x7f';
    }
    write_text(model / transformer, bytes);
  });
  expect_error(run, 8, {"denoise", "step"});
}

// Sets the first value of a bf16 tensor.
void set_first(std::string& bytes, const std::string& tensor, std::uint16_t bits) {
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::string offsets = "\"data_offsets\":[";
  const std::size_t at = bytes.find(offsets, bytes.find('"' + tensor + '"')) + offsets.size();
  std::memcpy(bytes.data() + 8 + header + std::stoull(bytes.substr(at, 20)), &bits, sizeof bits);
}

TEST_F(BadInput, InfinityInTheDecoderIsNoSaturatedPicture) {
  const std::string vae = "vae/diffusion_pytorch_model.safetensors";
  copy_storybook(folder / "model");
  const std::string whole = read_text(folder / "model" / vae);
  for (const std::uint16_t bits : {0x7f80, 0xff80, 0x7fc1}) {
    std::string bytes = whole;
    set_first(bytes, "decoder.conv_out.bias", bits);
    write_text(folder / "model" / vae, bytes);
    for (const std::string dtype : {"f32", "bf16"})
      for (const std::string tiling : {"on", "off"})
        expect_error(generate("a cat", {"--model", (folder / "model").string(), "--dtype", dtype,
                                        "--vae-tiling", tiling}),
                     8, {"decode", "NaN or Inf"});
  }
}

TEST_F(BadInput, ASizeThatTheModelCannotMakeNamesTheNearestTwo) {
  const Finished run = generate("a cat", {"--size", "120x128"});
  expect_error(run, 2, {"120", "hint: ", "112", "128"});
}

TEST_F(BadInput, APromptOverTheLimit) {
  std::string prompt;
  for (int i = 0; i < 3000; ++i) prompt += "cat ";
  expect_error(generate(prompt, {}), 2,
               {"prompt 1: wanted at most 512 tokens", "hint: --max-sequence-length", "1024"});
  expect_error(generate(prompt, {"--max-sequence-length", "1024"}), 2, {"at most 1024 tokens"});
  expect_error(generate("a cat", {"--max-sequence-length", "1025"}), 2, {"1025"});
  prompt.resize(4 * 600);
  expect_error(generate(prompt, {}), 2, {"prompt 1: wanted at most 512 tokens"});
  expect_error(generate("a cat", {"--negative-prompt", prompt}), 2, {"negative prompt 1"});
  EXPECT_EQ(generate(prompt, {"--max-sequence-length", "1024"}).status, 0);
  const Finished again = run_program({"generate", "--from", (folder / "x.png").string(), "--quiet",
                                      "--output", (folder / "y.png").string()});
  EXPECT_EQ(again.status, 0) << again.err;
}

TEST_F(BadInput, TooLargeAPictureIsRefusedBeforeMemoryIsTaken) {
  const Finished run = generate("a cat", {"--size", "65536x65536"});
  EXPECT_TRUE(run.status == 2 || run.status == 5) << run.err;
}

TEST_F(BadInput, AConditionPictureThatIsNoPicture) {
  write_text(folder / "in.png", "not a picture");
  expect_error(generate("a cat", {"--image", (folder / "in.png").string()}), 2, {"in.png"});
}

TEST_F(BadInput, StartLatentsOfAnotherShape) {
  ASSERT_EQ(run_program({"generate", "a cat", "--steps", "2", "--seed", "1", "--quiet", "--size",
                         "192x128", "--output", (folder / "y.png").string(), "--save-latents",
                         (folder / "l.safetensors").string()})
                .status,
            0);
  expect_error(generate("a cat", {"--latents", (folder / "l.safetensors").string()}), 2,
               {"latents"});
}

TEST_F(BadInput, AFullDiskLeavesNoHalfFile) {
  const std::filesystem::path disk = folder / "disk";
  std::filesystem::create_directories(disk);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=4k") != 0)
    GTEST_SKIP() << "skipped: mounting a small disk needs root";
  const Finished run = run_program({"generate", "a cat", "--steps", "2", "--seed", "1", "--quiet",
                                    "--output", (disk / "x.png").string()});
  const std::vector<std::string> left = files_in(disk);
  umount2(disk.c_str(), MNT_DETACH);
  EXPECT_EQ(run.status, 5) << run.err;
  EXPECT_NE(run.err.find("x.png"), std::string::npos) << run.err;
  EXPECT_TRUE(left.empty());
}

TEST_F(BadInput, AFolderThatMayNotBeWritten) {
  const Finished run = run_program({"generate", "a cat", "--steps", "2", "--seed", "1", "--quiet",
                                    "--output", "/proc/none/x.png"});
  EXPECT_EQ(run.status, 2) << run.err;
}

}  // namespace
}  // namespace annulus::test
