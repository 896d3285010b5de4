// Videos on their way into a file, a frame at a time: MP4 and WebM by the ffmpeg program through a
// pipe, animated WebP, or a numbered PNG per frame. Not here: reading videos. Start with
// `open_video`.
#pragma once

#include <filesystem>
#include <memory>

#include "io/image.h"

namespace annulus {

enum class VideoFormat { Mp4, Webm, Webp, Png };

/// By the ending: .mp4, .webm, .webp, .png, in any case. Throws InvalidRequest for another.
VideoFormat video_format_of(const std::filesystem::path& file);

struct VideoOptions {
  double fps = 16;   // frames per second
  int quality = 95;  // 1 to 100
  ImageText text = {};
  std::string ffmpeg = "ffmpeg";  // the program, looked for in PATH
};

/// Throws Unsupported, with the package in the hint, when videos of that format cannot be written
/// here: before any work is done.
void require_video_writer(VideoFormat format, const std::string& ffmpeg = "ffmpeg");

/// A file that appears whole, when finish() is called, or not at all (numbered PNGs: each).
class VideoWriter {
 public:
  virtual ~VideoWriter() = default;
  /// All frames are of one size. Throws InvalidRequest for another, StorageFull, Unsupported when
  /// the program that writes fails.
  virtual void add(const Image& frame) = 0;
  /// The path written (of PNGs the first). Throws as add().
  virtual std::filesystem::path finish() = 0;
};

/// Begins a video in the format of the ending.
std::unique_ptr<VideoWriter> open_video(const std::filesystem::path& file,
                                        const VideoOptions& options, IfExists if_exists);

/// Where a video that holds no text of its own (MP4, WebM) has it: the file's name and ".json".
std::filesystem::path video_sidecar(const std::filesystem::path& file);

}  // namespace annulus
