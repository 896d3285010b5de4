#include "apps/cli/generate_video.h"

#include "apps/cli/picture_metadata.h"
#include "io/atomic_file.h"

namespace annulus::cli {

bool is_video(const Request& completed) {
  return completed.frames > 1;
}

std::filesystem::path result_path(const Job& job, const Request& completed) {
  std::filesystem::path file = output_path(job, job.options.output);
  if (is_video(completed) && job.options.output == GenerateOptions{}.output)
    file.replace_extension(".mp4");
  return file;
}

void check_result_path(const Job& job, const Request& completed) {
  const std::filesystem::path file = result_path(job, completed);
  if (is_video(completed))
    require_video_writer(video_format_of(file));
  else
    image_format_of(file);
}

void VideoOutput::add(int index, std::int64_t frame, const Image& image) {
  const Job& job = jobs_[static_cast<std::size_t>(index)];
  const std::filesystem::path file = result_path(job, completed_);
  if (frame == 0) {
    writer_ = open_video(in_its_folder(file),
                         {.fps = completed_.fps,
                          .quality = job.options.quality,
                          .text = image_text(metadata_json(engine_, job, completed_, index))},
                         job.options.overwrite ? IfExists::Replace : IfExists::Number);
    first_ = image;
  }
  writer_->add(image);
  if (frame + 1 < completed_.frames) return;
  const std::filesystem::path written = writer_->finish();
  writer_.reset();
  const VideoFormat format = video_format_of(file);
  if (format == VideoFormat::Mp4 || format == VideoFormat::Webm)
    write_file(video_sidecar(written),
               metadata_json(engine_, job, completed_, index).dump(2) + "\n");
  finished_(index, written, first_);
}

}  // namespace annulus::cli
