#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>

#include "apps/cli/generate_run.h"
#include "io/video.h"

namespace annulus::cli {

/// Whether a completed request makes videos; one frame is a picture.
bool is_video(const Request& completed);

/// The file of a job: output_path(), and for a video .mp4 where nobody chose an ending.
std::filesystem::path result_path(const Job& job, const Request& completed);

/// Does the ending fit what is made, and can it be written here? Throws InvalidRequest, or
/// Unsupported naming the package that lacks.
void check_result_path(const Job& job, const Request& completed);

/// Writes the videos of one engine run as their frames come.
class VideoOutput {
 public:
  using Finished =
      std::function<void(int index, const std::filesystem::path& file, const Image& first_frame)>;
  VideoOutput(Engine& engine, std::span<const Job> jobs, const Request& completed,
              Finished finished)
      : engine_(engine), jobs_(jobs), completed_(completed), finished_(std::move(finished)) {}

  void add(int index, std::int64_t frame, const Image& image);

 private:
  Engine& engine_;
  std::span<const Job> jobs_;
  const Request& completed_;
  Finished finished_;
  std::unique_ptr<VideoWriter> writer_;
  Image first_;
};

}  // namespace annulus::cli
