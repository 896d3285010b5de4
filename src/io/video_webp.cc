#include <webp/encode.h>
#include <webp/mux.h>

#include <cmath>
#include <memory>

#include "io/atomic_file.h"
#include "io/image_codecs.h"
#include "io/video_writers.h"

namespace annulus {
namespace {

struct FreeEncoder {
  void operator()(WebPAnimEncoder* x) const noexcept { WebPAnimEncoderDelete(x); }
};
struct FreePicture {
  void operator()(WebPPicture* x) const noexcept { WebPPictureFree(x); }
};
struct FreeData {
  void operator()(WebPData* x) const noexcept { WebPDataClear(x); }
};

class AnimatedWebp final : public VideoWriter {
 public:
  AnimatedWebp(const std::filesystem::path& file, VideoOptions options, IfExists if_exists)
      : file_(file), target_(file), options_(std::move(options)), if_exists_(if_exists) {}

  void add(const Image& frame) override {
    check_frame(frame, size_);
    if (!encoder_) start(frame);
    WebPPicture picture;
    check(WebPPictureInit(&picture) != 0);
    const std::unique_ptr<WebPPicture, FreePicture> owner(&picture);
    picture.use_argb = 1;
    picture.width = frame.width;
    picture.height = frame.height;
    WebPConfig config;
    check(WebPConfigPreset(&config, WEBP_PRESET_DEFAULT, static_cast<float>(options_.quality)) !=
          0);
    config.lossless = options_.quality == 100 ? 1 : 0;
    check(WebPPictureImportRGB(&picture, frame.pixels.data(), 3 * frame.width) != 0 &&
          WebPAnimEncoderAdd(encoder_.get(), &picture, time_ms(count_), &config) != 0);
    ++count_;
  }

  std::filesystem::path finish() override {
    require(encoder_ != nullptr, ErrorCode::InvalidRequest, "video: wanted frames, found none");
    check(WebPAnimEncoderAdd(encoder_.get(), nullptr, time_ms(count_), nullptr) != 0);
    WebPData whole;
    WebPDataInit(&whole);
    const std::unique_ptr<WebPData, FreeData> owner(&whole);
    check(WebPAnimEncoderAssemble(encoder_.get(), &whole) != 0);
    const auto* const begin = reinterpret_cast<const std::byte*>(whole.bytes);
    target_.write(webp_with_text({begin, begin + whole.size}, options_.text));
    if (if_exists_ == IfExists::Number) return target_.commit_numbered();
    target_.commit();
    return file_;
  }

 private:
  void start(const Image& frame) {
    require(frame.width <= WEBP_MAX_DIMENSION && frame.height <= WEBP_MAX_DIMENSION,
            ErrorCode::InvalidRequest, "video: wanted at most ", WEBP_MAX_DIMENSION,
            " pixels a side for WebP, found ", frame.width, " x ", frame.height);
    size_ = {frame.width, frame.height, {}};
    WebPAnimEncoderOptions settings;
    check(WebPAnimEncoderOptionsInit(&settings) != 0);
    encoder_.reset(WebPAnimEncoderNew(frame.width, frame.height, &settings));
    check(encoder_ != nullptr);
  }

  void check(bool ok) const {
    require(ok, ErrorCode::OutOfMemory, "video: wanted an animated WebP, found ",
            encoder_ ? WebPAnimEncoderGetError(encoder_.get()) : "no memory for it", " (",
            file_.string(), ")");
  }

  int time_ms(std::int64_t frame) const {
    return static_cast<int>(std::lround(1000.0 * static_cast<double>(frame) / options_.fps));
  }

  std::filesystem::path file_;
  AtomicFile target_;
  VideoOptions options_;
  IfExists if_exists_;
  Image size_;
  std::int64_t count_ = 0;
  std::unique_ptr<WebPAnimEncoder, FreeEncoder> encoder_;
};

}  // namespace

std::unique_ptr<VideoWriter> open_animated_webp(const std::filesystem::path& file,
                                                const VideoOptions& options, IfExists if_exists) {
  return std::make_unique<AnimatedWebp>(file, options, if_exists);
}

}  // namespace annulus
