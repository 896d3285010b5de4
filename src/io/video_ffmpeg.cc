#include <algorithm>
#include <cmath>
#include <optional>

#include "io/atomic_file.h"
#include "io/child_program.h"
#include "io/video_writers.h"

namespace annulus {
namespace {

constexpr const char* kHint = "install ffmpeg (Debian: apt-get install ffmpeg), or choose .webp";

/// The last line that a program printed.
std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  const std::size_t before = text.find_last_of("\r\n");
  return before == std::string::npos ? text : text.substr(before + 1);
}

/// A quality of 1 ... 100 as libx264's and libvpx's rate factor: 95 can hardly be told from the
/// frames.
std::string rate_factor(int quality) {
  return std::to_string(
      std::clamp(static_cast<int>(std::lround(17 + (95 - quality) * 0.4)), 10, 51));
}

class Ffmpeg final : public VideoWriter {
 public:
  Ffmpeg(const std::filesystem::path& file, VideoFormat format, VideoOptions options,
         IfExists if_exists)
      : file_(file), format_(format), options_(std::move(options)), if_exists_(if_exists) {}

  void add(const Image& frame) override {
    check_frame(frame, size_);
    if (!target_) start(frame);
    if (!program_->feed(std::as_bytes(std::span(frame.pixels)))) fail(program_->finish());
    ++count_;
  }

  std::filesystem::path finish() override {
    require(target_.has_value(), ErrorCode::InvalidRequest, "video: wanted frames, found none");
    if (const std::string end = program_->finish(); !end.empty()) fail(end);
    if (if_exists_ == IfExists::Number) return target_->commit_numbered();
    target_->commit();
    return file_;
  }

 private:
  void start(const Image& frame) {
    size_ = {frame.width, frame.height, {}};
    target_.emplace(file_);
    const bool mp4 = format_ == VideoFormat::Mp4, even = (frame.width | frame.height) % 2 == 0;
    std::vector<std::string> arguments = {options_.ffmpeg,
                                          "-hide_banner",
                                          "-nostdin",
                                          "-loglevel",
                                          "error",
                                          "-y",
                                          "-f",
                                          "rawvideo",
                                          "-pixel_format",
                                          "rgb24",
                                          "-video_size",
                                          text_of(frame.width, "x", frame.height),
                                          "-framerate",
                                          text_of(options_.fps),
                                          "-i",
                                          "pipe:0",
                                          "-an",
                                          "-vf",
                                          "scale=out_color_matrix=bt709:out_range=tv",
                                          "-colorspace",
                                          "bt709",
                                          "-color_primaries",
                                          "bt709",
                                          "-color_trc",
                                          "bt709",
                                          "-color_range",
                                          "tv",
                                          "-pix_fmt",
                                          even ? "yuv420p" : "yuv444p",
                                          "-crf",
                                          rate_factor(options_.quality)};
    const auto more = [&](std::initializer_list<std::string> some) {
      arguments.insert(arguments.end(), some);
    };
    if (mp4)
      more({"-c:v", "libx264", "-movflags", "+faststart"});
    else
      more({"-c:v", "libvpx-vp9", "-b:v", "0", "-row-mt", "1"});
    if (!options_.text.parameters.empty())
      more({"-metadata", "comment=" + options_.text.parameters});
    more({"-f", mp4 ? "mp4" : "webm", "file:" + target_->temporary().string()});
    program_.emplace(arguments);
  }

  [[noreturn]] void fail(const std::string& end) {
    const std::string said = last_line(program_->printed());
    const bool full = said.find("No space left") != std::string::npos;
    throw Error(full ? ErrorCode::StorageFull : ErrorCode::Unsupported,
                text_of("video: wanted ", options_.ffmpeg, " to write ", size_.width, " x ",
                        size_.height, " pixels, found its end after ", count_, " frames with ",
                        end.empty() ? "status 0" : end, said.empty() ? "" : ": ", said, " (",
                        file_.string(), ")"));
  }

  std::filesystem::path file_;
  VideoFormat format_;
  VideoOptions options_;
  IfExists if_exists_;
  Image size_;
  std::int64_t count_ = 0;
  std::optional<AtomicFile> target_;
  std::optional<ChildProgram> program_;  // ends before the file is taken away
};

}  // namespace

void require_encoder(const std::string& program, std::string_view encoder) {
  std::string found;
  try {
    ChildProgram list({program, "-hide_banner", "-nostdin", "-h", text_of("encoder=", encoder)});
    const std::string end = list.finish();
    if (end.empty() && list.printed().find(text_of("Encoder ", encoder)) != std::string::npos)
      return;
    found = end.empty() ? text_of("one without ", encoder) : end;
  } catch (const Error&) {
    found = "none";
  }
  throw Error(ErrorCode::Unsupported,
              text_of("video: wanted the program ", program, " with its encoder ", encoder,
                      ", found ", found),
              kHint);
}

std::unique_ptr<VideoWriter> open_ffmpeg(const std::filesystem::path& file, VideoFormat format,
                                         const VideoOptions& options, IfExists if_exists) {
  return std::make_unique<Ffmpeg>(file, format, options, if_exists);
}

}  // namespace annulus
