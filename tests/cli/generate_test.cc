// `annulus generate` on the storybook model: outputs, repeats, batches, signals.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "io/image.h"
#include "io/json.h"
#include "io/metadata.h"
#include "io/safetensors.h"
#include "program.h"

namespace annulus::test {
namespace {

std::vector<std::string> quick(const std::string& prompt,
                               const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"generate", prompt, "--steps", "2", "--seed", "7", "--quiet"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Generate, WritesOnePictureAndPrintsItsPath) {
  const ScratchFolder folder;
  const Finished run = run_program(quick("a red house"), {.folder = folder.path()});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "a-red-house-7.png\n");
  const Image image = read_image(folder / "a-red-house-7.png");
  EXPECT_EQ(image.width, 128);
  EXPECT_EQ(image.height, 128);
}

TEST(Generate, TheSameSeedGivesTheSameBytesAndNoFileIsReplaced) {
  const ScratchFolder folder;
  for (int i = 0; i < 2; ++i)
    ASSERT_EQ(run_program(quick("a cat", {"--output", "x.png"}), {.folder = folder.path()}).status,
              0);
  EXPECT_EQ(files_in(folder.path()), (std::vector<std::string>{"x-2.png", "x.png"}));
  EXPECT_EQ(read_text(folder / "x.png"), read_text(folder / "x-2.png"));
  ASSERT_EQ(
      run_program(quick("a cat", {"--output", "x.png", "--overwrite"}), {.folder = folder.path()})
          .status,
      0);
  EXPECT_EQ(files_in(folder.path()).size(), 2u);
}

TEST(Generate, PictureIOfAPromptHasSeedPlusI) {
  const ScratchFolder folder;
  ASSERT_EQ(run_program(quick("a cat", {"--count", "2", "--output", "{seed}-{index}.png"}),
                        {.folder = folder.path()})
                .status,
            0);
  EXPECT_EQ(files_in(folder.path()), (std::vector<std::string>{"7-0.png", "8-1.png"}));
  ASSERT_EQ(run_program({"generate", "a cat", "--steps", "2", "--seed", "8", "--quiet", "--output",
                         "one.png"},
                        {.folder = folder.path()})
                .status,
            0);
  EXPECT_EQ(read_image(folder / "one.png"), read_image(folder / "8-1.png"));
}

TEST(Generate, FromRepeatsAPictureAndOptionsBesideItWin) {
  const ScratchFolder folder;
  ASSERT_EQ(run_program(quick("a blue boat",
                              {"--size", "128x192", "--true-cfg-scale", "2", "--output", "a.png"}),
                        {.folder = folder.path()})
                .status,
            0);
  const Finished run = run_program({"generate", "--from", "a.png", "--output", "b.png", "--quiet"},
                                   {.folder = folder.path()});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(read_image(folder / "a.png"), read_image(folder / "b.png"));
  ASSERT_EQ(
      run_program({"generate", "--from", "a.png", "--seed", "9", "--output", "c.png", "--quiet"},
                  {.folder = folder.path()})
          .status,
      0);
  EXPECT_NE(read_image(folder / "a.png"), read_image(folder / "c.png"));
}

TEST(Generate, FromRepeatsWhatChangesThePicture) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "elsewhere");
  ASSERT_EQ(
      run_program(quick("a blue boat", {"--save-latents", "n.safetensors", "--output", "n.png"}),
                  {.folder = folder.path()})
          .status,
      0);
  ASSERT_EQ(run_program(quick("a blue boat", {"--latents", "n.safetensors", "--component-dtype",
                                              "vae=f32", "--vae-tiling", "on",
                                              "--attention-backend", "math", "--output", "a.png"}),
                        {.folder = folder.path()})
                .status,
            0);
  const Finished run =
      run_program({"generate", "--from", "../a.png", "--output", "b.png", "--quiet"},
                  {.folder = folder / "elsewhere"});
  ASSERT_EQ(run.status, 0) << run.err;
  const ImageMetadata a = read_metadata(folder / "a.png"),
                      b = read_metadata(folder / "elsewhere/b.png");
  EXPECT_EQ(read_image(folder / "a.png"), read_image(folder / "elsewhere/b.png"));
  for (const char* key : {"component_dtype", "vae_tiling", "attention_backend", "files"})
    EXPECT_EQ(a.json->find(key)->dump(), b.json->find(key)->dump()) << key;
}

TEST(Generate, APictureDoesNotDecideWhichFilesAreWritten) {
  const ScratchFolder folder;
  const Image image = {.width = 8, .height = 8, .pixels = std::vector<std::uint8_t>(192)};
  write_text(folder / "victim.png", "mine");
  write_image(
      folder / "trap.png", image,
      {.text = {.parameters = "",
                .json = R"({"prompt": "a cat", "steps": 2, "seed": 1, "output": "victim.png",
                          "overwrite": true, "save_latents": "victim.st", "json": "victim.json",
                          "batch": "x.jsonl", "prompt_file": "x.txt", "count": 3})"}});
  const Finished run =
      run_program({"generate", "--from", "trap.png", "--quiet"}, {.folder = folder.path()});
  EXPECT_EQ(run.out, "a-cat-1.png\n") << run.err;
  EXPECT_EQ(read_text(folder / "victim.png"), "mine");
  EXPECT_EQ(files_in(folder.path()),
            (std::vector<std::string>{"a-cat-1.png", "trap.png", "victim.png"}));
}

TEST(Generate, EveryFormatKeepsItsMetadata) {
  const ScratchFolder folder;
  for (const std::string name : {"a.png", "a.jpg", "a.webp"}) {
    ASSERT_EQ(run_program(quick("a star", {"--output", name}), {.folder = folder.path()}).status,
              0);
    const ImageMetadata metadata = read_metadata(folder / name);
    ASSERT_TRUE(metadata.json && metadata.parameters) << name;
    EXPECT_EQ(metadata.json->get<std::string>("prompt"), "a star");
    EXPECT_EQ(metadata.json->get<int>("seed"), 7);
    EXPECT_EQ(metadata.json->get<int>("steps"), 2);
    EXPECT_NE(metadata.parameters->find("Seed: 7"), std::string::npos);
  }
}

TEST(Generate, SavedStartNoiseGivesThePictureOfItsSeed) {
  const ScratchFolder folder;
  ASSERT_EQ(run_program(quick("a moon", {"--output", "a.png", "--save-latents", "end.safetensors"}),
                        {.folder = folder.path()})
                .status,
            0);
  const SafetensorsFile end = SafetensorsFile::open(folder / "end.safetensors");
  ASSERT_NE(end.find("latents"), nullptr);
  EXPECT_EQ(end.find("latents")->extents, (std::vector<std::int64_t>{1, 64, 64}));
  EXPECT_EQ(run_program(quick("a moon", {"--output", "b.png", "--latents", "end.safetensors"}),
                        {.folder = folder.path()})
                .status,
            0);
  EXPECT_NE(read_image(folder / "a.png"), read_image(folder / "b.png"));
}

TEST(Generate, AWordAfterTwoDashesIsAPrompt) {
  const ScratchFolder folder;
  const Finished run =
      run_program({"generate", "--steps", "2", "--seed", "1", "--quiet", "--", "--a cat"},
                  {.folder = folder.path()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.out, "a-cat-1.png\n");
}

TEST(Generate, APromptMayFollowAnyOption) {
  const ScratchFolder folder;
  const Finished run =
      run_program({"generate", "--attention-backend", "math", "a cat", "--steps", "2", "--seed",
                   "1", "a dog", "--quiet", "--output", "{index}.png"},
                  {.folder = folder.path()});
  EXPECT_EQ(run.out, "0.png\n1.png\n") << run.err;
}

TEST(Generate, PromptsKeepTheirOrderWithAndWithoutAName) {
  const ScratchFolder folder;
  const Finished run =
      run_program({"generate", "--prompt", "one", "two", "--size", "32x32", "--prompt=three",
                   "--steps", "2", "--seed", "1", "--quiet", "four", "--output", "{prompt}.png"},
                  {.folder = folder.path()});
  EXPECT_EQ(run.out, "one.png\ntwo.png\nthree.png\nfour.png\n") << run.err;
}

TEST(Generate, PromptFileAndBatchMakeOnePicturePerLine) {
  const ScratchFolder folder;
  write_text(folder / "prompts.txt", "a cat\n\na red star\n");
  Finished run = run_program({"generate", "--prompt-file", "prompts.txt", "--steps", "2", "--seed",
                              "1", "--quiet", "--output", "{index}.png"},
                             {.folder = folder.path()});
  EXPECT_EQ(run.out, "0.png\n1.png\n") << run.err;
  write_text(folder / "batch.jsonl",
             "{\"prompt\": \"a cat\", \"seed\": 3, \"output\": \"cat.png\"}\n{\"prompt\": \"a "
             "tree\", \"seed\": 4, \"size\": \"192x128\", \"output\": \"tree.png\"}\n");
  run = run_program({"generate", "--batch", "batch.jsonl", "--steps", "2", "--quiet"},
                    {.folder = folder.path()});
  EXPECT_EQ(run.out, "cat.png\ntree.png\n") << run.err;
  EXPECT_EQ(read_image(folder / "tree.png").width, 192);
}

TEST(Generate, ResumeSkipsWhatIsThereAndFits) {
  const ScratchFolder folder;
  write_text(folder / "batch.jsonl",
             "{\"prompt\": \"a cat\", \"seed\": 3, \"output\": \"cat.png\"}\n{\"prompt\": \"a "
             "tree\", \"seed\": 4, \"output\": \"tree.png\"}\n");
  const std::vector<std::string> words = {"generate", "--batch", "batch.jsonl", "--steps",
                                          "2",        "--quiet", "--resume"};
  ASSERT_EQ(run_program(words, {.folder = folder.path()}).out, "cat.png\ntree.png\n");
  std::filesystem::remove(folder / "tree.png");
  const Finished run = run_program(words, {.folder = folder.path()});
  EXPECT_EQ(run.out, "tree.png\n") << run.err;
  EXPECT_EQ(files_in(folder.path()).size(), 3u);
}

TEST(Generate, ResumeDrawsAgainWhatOtherWeightsOrAnotherDtypeMade) {
  const ScratchFolder folder;
  copy_storybook(folder / "model");
  std::vector<std::string> words = quick("a cat", {"--resume", "--overwrite", "--model", "model",
                                                   "--dtype", "f32", "--output", "cat.png"});
  ASSERT_EQ(run_program(words, {.folder = folder.path()}).out, "cat.png\n");
  ASSERT_EQ(run_program(words, {.folder = folder.path()}).out, "");
  std::filesystem::resize_file(folder / "cat.png", 2000);  // cut off: not there
  EXPECT_EQ(run_program(words, {.folder = folder.path()}).out, "cat.png\n");
  words[static_cast<std::size_t>(std::find(words.begin(), words.end(), "f32") - words.begin())] =
      "bf16";
  EXPECT_EQ(run_program(words, {.folder = folder.path()}).out, "cat.png\n");
  ASSERT_EQ(run_program(words, {.folder = folder.path()}).out, "");
  const std::filesystem::path weights =
      folder / "model/transformer/diffusion_pytorch_model.safetensors";
  std::string bytes = read_text(weights);
  bytes[bytes.size() - 2] ^= 1;  // the last bit of the last number
  std::filesystem::remove(weights);
  write_text(weights, bytes);
  EXPECT_EQ(run_program(words, {.folder = folder.path()}).out, "cat.png\n");
}

TEST(Generate, BatchLinesThatAreWrongAreNamedBeforeAnythingIsDrawn) {
  const ScratchFolder folder;
  for (const std::string line :
       {"{\"prompt\": \"a cat\", \"stepz\": 3}", "{\"prompt\": \"a cat\", \"model\": \"x\"}", "[1]",
        "{\"prompt\"", "{\"seed\": 1}", "{\"prompt\": \"a cat\", \"steps\": 0}",
        "{\"prompt\": \"a cat\", \"image\": \"none.png\"}",
        "{\"prompt\": \"a cat\", \"size\": \"100x100\"}"}) {
    write_text(folder / "batch.jsonl", "{\"prompt\": \"a dog\", \"seed\": 1}\n" + line + "\n");
    const Finished run =
        run_program({"generate", "--batch", "batch.jsonl", "--steps", "2", "--quiet"},
                    {.folder = folder.path()});
    EXPECT_EQ(run.status, 2) << line << '\n' << run.err;
    EXPECT_NE(run.err.find("batch.jsonl:2"), std::string::npos) << run.err;
    EXPECT_EQ(files_in(folder.path()), std::vector<std::string>{"batch.jsonl"}) << line;
  }
}

TEST(Generate, ANegativePromptWithoutGuidanceIsWarnedOf) {
  const std::string warning = "annulus: warning: --negative-prompt changes nothing";
  const auto errors = [](const std::string& scale) {
    return run_program({"generate", "a cat", "--negative-prompt", "x", "--dry-run",
                        "--true-cfg-scale", scale})
        .err;
  };
  EXPECT_NE(errors("1").find(warning), std::string::npos);
  EXPECT_EQ(errors("2").find(warning), std::string::npos);
}

TEST(Generate, FoldersAreMadeWhenAPictureIsWrittenAndNotBefore) {
  const ScratchFolder folder;
  for (const std::vector<std::string>& more :
       std::vector<std::vector<std::string>>{{"--dry-run"}, {"--size", "20x20"}})
    run_program(quick("a cat",
                      [&] {
                        std::vector<std::string> words = {"--output", "deep/down/x.png"};
                        words.insert(words.end(), more.begin(), more.end());
                        return words;
                      }()),
                {.folder = folder.path()});
  EXPECT_FALSE(std::filesystem::exists(folder / "deep"));
  const Finished run = run_program(
      quick("a cat", {"--output", "deep/down/x.png", "--save-latents", "l/x.safetensors"}),
      {.folder = folder.path()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(files_in(folder.path()),
            (std::vector<std::string>{"deep/down/x.png", "l/x.safetensors"}));
}

TEST(Generate, DryRunWritesNothing) {
  const ScratchFolder folder;
  const Finished run = run_program({"generate", "a cat", "--dry-run"}, {.folder = folder.path()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_NE(run.out.find("MB of memory"), std::string::npos) << run.out;
  EXPECT_TRUE(files_in(folder.path()).empty());
}

TEST(Doctor, NamesEveryLibraryWithItsVersion) {
  const Finished text = run_program({"doctor"});
  ASSERT_EQ(text.status, 0) << text.err;
  const ScratchFolder folder;
  ASSERT_EQ(run_program({"doctor", "--json", "d.json"}, {.folder = folder.path()}).status, 0);
  const Json libraries = Json::read(folder / "d.json", ErrorCode::InvalidRequest)["libraries"];
  for (const char* name :
       {"oneDNN", "threads", "MPI", "PCRE2", "libpng", "libjpeg", "libwebp", "utf8proc"}) {
    const auto version = libraries.get<std::string>(name);
    EXPECT_FALSE(version.empty()) << name;
    EXPECT_NE(text.out.find(std::string(name) + " " + version), std::string::npos) << text.out;
  }
}

TEST(Generate, TheReportHasWhatTheContractSays) {
  const ScratchFolder folder;
  ASSERT_EQ(run_program(quick("a cat", {"--json", "r.json", "--output", "x.png"}),
                        {.folder = folder.path()})
                .status,
            0);
  const Json report = Json::read(folder / "r.json", ErrorCode::InvalidRequest);
  for (const char* key : {"version", "model", "platform", "device", "isa", "dtype", "threads",
                          "plan", "attention", "outputs", "seconds", "flop", "bytes"})
    EXPECT_TRUE(report.has(key)) << key;
  EXPECT_EQ(report["attention"]["transformer"].get<std::string>("backend"), "flash");
  EXPECT_EQ(report["outputs"].at(0).get<std::string>("file"), "x.png");
  EXPECT_EQ(report["seconds"]["steps"].size(), 2u);
  EXPECT_GT(report["flop"].get<double>("denoise"), 1e6);
  for (const char* key : {"peak_resident", "predicted_peak", "weights_mapped", "allocator_peak"})
    EXPECT_GT(report["bytes"].get<double>(key), 0) << key;
}

TEST(Generate, PredictedMemoryIsThatOfTheBatchesThatAreMade) {
  const auto bytes = [](const std::string& size, const std::vector<std::string>& more) {
    const ScratchFolder folder;
    std::vector<std::string> words = {"generate", "a cat",        "--count", "6",      "--size",
                                      "192x192",  "--steps",      "2",       "--seed", "1",
                                      "--quiet",  "--batch-size", size,      "--json", "r.json"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished run = run_program(words, {.folder = folder.path()});
    EXPECT_EQ(run.status, 0) << run.err;
    return Json::read(folder / "r.json", ErrorCode::InvalidRequest)["bytes"];
  };
  const double one = bytes("1", {"--dry-run"}).get<double>("predicted_peak"),
               six = bytes("6", {"--dry-run"}).get<double>("predicted_peak");
  EXPECT_GT(six, one);
  EXPECT_EQ(bytes("6", {}).get<double>("predicted_peak"), six);
}

TEST(Generate, ExplainNamesEveryChoiceAndRefusal) {
  const ScratchFolder folder;
  const Finished run = run_program(quick("a cat", {"--explain", "--attention-backend", "math"}),
                                   {.folder = folder.path()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_NE(run.err.find("transformer: math (--attention-backend"), std::string::npos) << run.err;
}

TEST(Generate, PreviewsAreWrittenBesideTheOutput) {
  const ScratchFolder folder;
  const Finished run = run_program(quick("a cat", {"--preview-every", "1", "--output", "x.png"}),
                                   {.folder = folder.path()});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_NE(files_in(folder.path()), std::vector<std::string>{"x.png"});
}

TEST(Generate, SignalsEndTheRunAfterTheStepWithoutAFile) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const ScratchFolder folder;
    const Finished run =
        run_program({"generate", "a cat", "--size", "512x512", "--steps", "500", "--seed", "1",
                     "--output", "x.png"},
                    {.folder = folder.path(), .signal = signal, .signal_after = "denoise"});
    EXPECT_EQ(run.status, 128 + signal) << run.err;
    EXPECT_NE(run.err.find("annulus: error: stopped"), std::string::npos) << run.err;
    EXPECT_TRUE(files_in(folder.path()).empty());
  }
}

}  // namespace
}  // namespace annulus::test
