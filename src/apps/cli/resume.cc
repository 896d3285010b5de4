#include "apps/cli/resume.h"

#include <algorithm>
#include <optional>
#include <ostream>

#include "apps/cli/generate_video.h"
#include "apps/cli/picture_metadata.h"
#include "io/image.h"
#include "io/metadata.h"

namespace annulus::cli {

namespace {

// What a whole picture says about itself; nothing when the file is none, or a part of one.
std::optional<Json> whole_picture(const std::filesystem::path& file) {
  try {
    // A video without text of its own was whole when its sidecar was written.
    if (const std::filesystem::path sidecar = video_sidecar(file); std::filesystem::exists(sidecar))
      return Json::read(sidecar, ErrorCode::InvalidRequest);
    read_image(file);
    return read_metadata(file).json;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::InvalidRequest) throw;
    return std::nullopt;
  }
}

bool is_finished(Engine& engine, const Job& job, ConditionPictures& pictures) {
  require(job.seed_given || job.options.output.find("{seed}") == std::string::npos,
          ErrorCode::InvalidRequest,
          "--resume: wanted a seed, or an --output without {seed}, found neither for \"",
          job.prompt, "\"");
  const Request completed = completed_request(engine, job, pictures);
  const std::filesystem::path file = result_path(job, completed);
  if (!std::filesystem::exists(file)) return false;
  const std::optional<Json> stored = whole_picture(file);
  if (!stored) return false;
  return same_settings(*stored, metadata_json(engine, job, completed, 0), job.seed_given);
}

}  // namespace

void skip_finished(Engine& engine, std::vector<Job>& jobs, std::ostream& out) {
  const std::size_t all = jobs.size();
  ConditionPictures pictures;
  std::erase_if(jobs, [&](const Job& job) { return is_finished(engine, job, pictures); });
  out << "annulus: " << all - jobs.size() << " of " << all << " pictures are there already\n";
}

Json read_metadata_settings(const std::filesystem::path& file) {
  if (const std::filesystem::path sidecar = video_sidecar(file); std::filesystem::exists(sidecar))
    return settings_in(Json::read(sidecar, ErrorCode::InvalidRequest), file);
  const ImageMetadata stored = read_metadata(file);
  if (stored.json) return settings_in(*stored.json, file);
  require(stored.parameters.has_value(), ErrorCode::InvalidRequest,
          "--from: wanted a picture that says how it was made, found none (", file.string(), ")");
  return settings_in(options_of(parse_parameters(*stored.parameters)), file);
}

}  // namespace annulus::cli
