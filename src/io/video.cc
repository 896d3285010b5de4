#include "io/video.h"

#include <algorithm>
#include <array>

#include "io/video_writers.h"

namespace annulus {
namespace {

struct Ending {
  std::string_view ending;
  VideoFormat format;
};
constexpr auto kEndings = std::to_array<Ending>({{".mp4", VideoFormat::Mp4},
                                                 {".webm", VideoFormat::Webm},
                                                 {".webp", VideoFormat::Webp},
                                                 {".png", VideoFormat::Png}});

/// name-00001.png, name-00002.png, ...
class NumberedPictures final : public VideoWriter {
 public:
  NumberedPictures(std::filesystem::path file, VideoOptions options, IfExists if_exists)
      : file_(std::move(file)), options_(std::move(options)), if_exists_(if_exists) {}

  void add(const Image& frame) override {
    check_frame(frame, size_);
    if (size_.width == 0) size_ = {frame.width, frame.height, {}};
    std::string number = std::to_string(++count_);
    number.insert(0, 5 - std::min<std::size_t>(5, number.size()), '0');
    const std::filesystem::path path =
        file_.parent_path() /
        text_of(file_.stem().string(), "-", number, file_.extension().string());
    const std::filesystem::path written =
        write_image(path, frame, {.text = options_.text}, if_exists_);
    if (count_ == 1) first_ = written;
  }

  std::filesystem::path finish() override {
    require(count_ > 0, ErrorCode::InvalidRequest, "video: wanted frames, found none");
    return first_;
  }

 private:
  std::filesystem::path file_, first_;
  VideoOptions options_;
  IfExists if_exists_;
  Image size_;
  int count_ = 0;
};

}  // namespace

void check_frame(const Image& frame, const Image& size) {
  require(frame.width > 0 && frame.height > 0 &&
              frame.pixels.size() == std::size_t{3} * static_cast<std::size_t>(frame.width) *
                                         static_cast<std::size_t>(frame.height) &&
              (size.width == 0 || (frame.width == size.width && frame.height == size.height)),
          ErrorCode::InvalidRequest, "video: wanted frames of one size, ", size.width, " x ",
          size.height, ", found ", frame.width, " x ", frame.height);
}

VideoFormat video_format_of(const std::filesystem::path& file) {
  std::string ending = file.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  for (const Ending& known : kEndings)
    if (known.ending == ending) return known.format;
  throw Error(ErrorCode::InvalidRequest,
              text_of("video: wanted a name that ends in .mp4, .webm, .webp or .png, found ",
                      file.string()));
}

void require_video_writer(VideoFormat format, const std::string& ffmpeg) {
  if (format == VideoFormat::Mp4) require_encoder(ffmpeg, "libx264");
  if (format == VideoFormat::Webm) require_encoder(ffmpeg, "libvpx-vp9");
}

std::unique_ptr<VideoWriter> open_video(const std::filesystem::path& file,
                                        const VideoOptions& options, IfExists if_exists) {
  require(options.fps > 0 && options.fps <= 1000 && options.quality >= 1 && options.quality <= 100,
          ErrorCode::InvalidRequest,
          "video: wanted up to 1000 frames per second and a quality of 1 ... 100, found ",
          options.fps, " and ", options.quality);
  const VideoFormat format = video_format_of(file);
  switch (format) {
    case VideoFormat::Webp:
      return open_animated_webp(file, options, if_exists);
    case VideoFormat::Png:
      return std::make_unique<NumberedPictures>(file, options, if_exists);
    default:
      return open_ffmpeg(file, format, options, if_exists);
  }
}

std::filesystem::path video_sidecar(const std::filesystem::path& file) {
  return file.string() + ".json";
}

}  // namespace annulus
