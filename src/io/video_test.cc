#include "io/video.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "io/child_program.h"
#include "io/test_folder.h"

namespace annulus {
namespace {

Image frame_of(int width, int height, std::uint8_t value) {
  const auto count = static_cast<std::size_t>(width * height * 3);
  return {width, height, std::vector<std::uint8_t>(count, value)};
}

std::size_t files_in(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

/// A stand-in for ffmpeg: a shell script whose last argument is where the video goes ($out).
std::string stand_in(const TestFolder& folder, const std::string& body) {
  const std::filesystem::path script =
      folder.write("bin/ffmpeg",
                   "#!/bin/sh\ncase \"$*\" in *encoder=*) echo Encoder libx264; exit 0;; esac\n"
                   "for out; do :; done\nout=${out#file:}\n" +
                       body + "\n");
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  return script.string();
}

TEST(Video, FramesReachTheProgramWholeAndInOrder) {
  const TestFolder folder;
  const std::string program = stand_in(folder, "cat > \"$out\"");
  require_video_writer(VideoFormat::Mp4, program);
  const auto target = folder.path() / "clip.mp4";
  const auto writer = open_video(target, {.ffmpeg = program}, IfExists::Number);
  for (const std::uint8_t value : {7, 9, 200}) writer->add(frame_of(64, 48, value));
  EXPECT_FALSE(std::filesystem::exists(target));
  EXPECT_EQ(writer->finish(), target);
  ASSERT_EQ(std::filesystem::file_size(target), 3U * 64 * 48 * 3);
  std::ifstream file(target, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(bytes[0], 7);
  EXPECT_EQ(bytes[64 * 48 * 3], 9);
  EXPECT_EQ(static_cast<std::uint8_t>(bytes.back()), 200);
  const auto second = open_video(target, {.ffmpeg = program}, IfExists::Number);
  second->add(frame_of(2, 2, 1));
  EXPECT_EQ(second->finish(), folder.path() / "clip-2.mp4");
}

TEST(Video, ProgramThatEndsEarlyIsOneErrorAndLeavesNoFile) {
  const TestFolder folder;
  const auto run = [&](const std::string& body) -> std::string {
    const std::string program = stand_in(folder, body);
    try {
      const auto writer =
          open_video(folder.path() / "clip.mp4", {.ffmpeg = program}, IfExists::Number);
      for (int i = 0; i < 100; ++i) writer->add(frame_of(64, 64, 1));
      writer->finish();
    } catch (const Error& error) {
      EXPECT_EQ(files_in(folder.path()), 1U) << "only bin";
      return text_of(static_cast<int>(error.code()), " ", error.what());
    }
    return "written";
  };
  EXPECT_NE(run("kill -9 $$").find("signal 9"), std::string::npos);
  EXPECT_NE(run("echo broken encoder >&2; exit 3").find("status 3: broken encoder"),
            std::string::npos);
  const std::string full = run("echo No space left on device; exit 1");
  EXPECT_EQ(full.find(text_of(static_cast<int>(ErrorCode::StorageFull), " ")), 0U) << full;
  EXPECT_EQ(run("cat > \"$out\""), "written");
}

TEST(Video, MissingProgramIsNamedWithItsPackageBeforeAnyWork) {
  try {
    require_video_writer(VideoFormat::Mp4, "annulus-has-no-such-program");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_NE(error.hint().find("ffmpeg"), std::string::npos);
  }
  EXPECT_NO_THROW(require_video_writer(VideoFormat::Webp, "annulus-has-no-such-program"));
}

TEST(Video, UnfinishedVideoLeavesNothing) {
  const TestFolder folder;
  const std::string program = stand_in(folder, "cat > \"$out\"");
  for (const char* name : {"a.mp4", "a.webp"}) {
    const auto writer = open_video(folder.path() / name, {.ffmpeg = program}, IfExists::Number);
    writer->add(frame_of(16, 16, 3));
    EXPECT_THROW(writer->add(frame_of(16, 8, 3)), Error);
  }
  EXPECT_EQ(files_in(folder.path()), 1U);
}

TEST(Video, AnimatedWebpBeginsWithTheFirstFrame) {
  const TestFolder folder;
  const auto target = folder.path() / "clip.webp";
  const auto writer = open_video(target, {.fps = 8, .quality = 100}, IfExists::Replace);
  for (const std::uint8_t value : {40, 90, 140}) writer->add(frame_of(24, 16, value));
  EXPECT_EQ(writer->finish(), target);
  EXPECT_EQ(read_image(target), frame_of(24, 16, 40));
}

TEST(Video, PngsAreNumberedAndHoldTheirFrames) {
  const TestFolder folder;
  const auto writer = open_video(folder.path() / "f.png", {}, IfExists::Number);
  writer->add(frame_of(5, 3, 1));
  writer->add(frame_of(5, 3, 2));
  EXPECT_EQ(writer->finish(), folder.path() / "f-00001.png");
  EXPECT_EQ(read_image(folder.path() / "f-00002.png"), frame_of(5, 3, 2));
}

// Oracle: ffmpeg's own decoder, and the frames that went in.
TEST(Video, Mp4AndWebmHoldTheFramesTheSizeAndTheRate) {
  try {
    require_video_writer(VideoFormat::Mp4);
    require_video_writer(VideoFormat::Webm);
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  const TestFolder folder;
  std::vector<Image> frames;
  for (int i = 0; i < 9; ++i) {  // a square that moves over a ramp
    Image frame = {48, 32, {}};
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 48; ++x) {
        const bool inside = x >= 4 * i && x < 4 * i + 8 && y >= 8 && y < 16;
        for (const int value : {inside ? 220 : 4 * x, inside ? 40 : 6 * y, 90})
          frame.pixels.push_back(static_cast<std::uint8_t>(value));
      }
    frames.push_back(std::move(frame));
  }
  for (const char* name : {"clip.mp4", "clip.webm"}) {
    const auto target = folder.path() / name;
    const auto writer = open_video(target, {.fps = 8}, IfExists::Replace);
    for (const Image& frame : frames) writer->add(frame);
    writer->finish();
    ChildProgram probe({"ffprobe", "-v", "error", "-count_frames", "-show_entries",
                        "stream=width,height,avg_frame_rate,nb_read_frames", "-of",
                        "default=noprint_wrappers=1:nokey=1", target.string()});
    EXPECT_EQ(probe.finish(), "");
    EXPECT_EQ(probe.printed(), "48\n32\n8/1\n9\n");
    ChildProgram decoder(
        {"ffmpeg", "-v", "error", "-i", target.string(), (folder.path() / "out-%d.png").string()});
    EXPECT_EQ(decoder.finish(), "") << decoder.printed();
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const Image got = read_image(folder.path() / text_of("out-", i + 1, ".png"));
      ASSERT_EQ(got.pixels.size(), frames[i].pixels.size());
      double sum = 0;
      for (std::size_t k = 0; k < got.pixels.size(); ++k)
        sum += std::abs(int{got.pixels[k]} - int{frames[i].pixels[k]});
      EXPECT_LT(sum / static_cast<double>(got.pixels.size()), 6) << name << " frame " << i;
      std::filesystem::remove(folder.path() / text_of("out-", i + 1, ".png"));
    }
  }
}

TEST(Video, NamesOfOtherEndingsAreRefused) {
  EXPECT_EQ(video_format_of("a/B.MP4"), VideoFormat::Mp4);
  EXPECT_THROW(video_format_of("a.jpg"), Error);
  EXPECT_THROW(video_format_of("mp4"), Error);
}

}  // namespace
}  // namespace annulus
