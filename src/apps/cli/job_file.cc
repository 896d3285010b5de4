#include "apps/cli/job_file.h"

#include <charconv>

#include "apps/cli/generate_run.h"
#include "apps/cli/picture_metadata.h"
#include "io/safetensors.h"
#include "tensor/copy.h"

namespace annulus::cli {

namespace {

constexpr const char* kLatents = "latents";
constexpr const char* kMetadata = "annulus";     // of the picture
constexpr const char* kSteps = "annulus.steps";  // that were taken

std::string stored(const SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  require(found != file.metadata().end(), ErrorCode::InvalidRequest,
          "--resume-job: wanted a file that --checkpoint-every wrote, found none (",
          file.path().string(), ")");
  return found->second;
}

Json stored_metadata(const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::open(path, ErrorCode::InvalidRequest);
  return Json::parse(stored(file, kMetadata), path.string(), ErrorCode::InvalidRequest);
}

}  // namespace

std::filesystem::path job_file(const Job& job) {
  std::filesystem::path file = output_path(job, job.options.output);
  return file.replace_extension(".job.safetensors");
}

void write_job_file(const std::filesystem::path& file, const Json& metadata, int steps,
                    const Tensor& latents) {
  write_safetensors(file, {{kLatents, latents}},
                    {{kMetadata, metadata.dump()}, {kSteps, std::to_string(steps)}});
}

Json read_job_settings(const std::filesystem::path& file) {
  return settings_in(stored_metadata(file), file);
}

Start read_start(const std::filesystem::path& path, const Context& ctx) {
  const SafetensorsFile file = SafetensorsFile::open(path, ErrorCode::InvalidRequest);
  const std::string text = stored(file, kSteps);
  Start start;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), start.steps);
  require(read.ec == std::errc() && read.ptr == text.data() + text.size(),
          ErrorCode::InvalidRequest, "--resume-job: wanted a number of steps, found \"", text,
          "\" (", path.string(), ")");
  start.latents = cast(ctx.stream, file.tensor(kLatents, ctx.device), ctx.wide);
  return start;
}

void check_same_job(const std::filesystem::path& file, const Json& metadata) {
  require(same_settings(stored_metadata(file), metadata, true), ErrorCode::InvalidRequest,
          "--resume-job: wanted the settings and model files that the picture was begun with, "
          "found others (",
          file.string(), ")");
}

}  // namespace annulus::cli
