// The ways to write a video. For video.cc only.
#pragma once

#include "io/video.h"

namespace annulus {

std::unique_ptr<VideoWriter> open_ffmpeg(const std::filesystem::path& file, VideoFormat format,
                                         const VideoOptions& options, IfExists if_exists);
std::unique_ptr<VideoWriter> open_animated_webp(const std::filesystem::path& file,
                                                const VideoOptions& options, IfExists if_exists);

/// Throws Unsupported unless `program` runs and has `encoder`.
void require_encoder(const std::string& program, std::string_view encoder);

/// Throws InvalidRequest unless `frame` is whole, not empty and of `size` (width 0: the first).
void check_frame(const Image& frame, const Image& size);

}  // namespace annulus
