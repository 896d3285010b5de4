#include "apps/cli/resume.h"

#include <algorithm>
#include <ostream>

#include "apps/cli/picture_metadata.h"
#include "io/metadata.h"

namespace annulus::cli {

namespace {

bool is_finished(Engine& engine, const Job& job) {
  require(job.seed_given || job.options.output.find("{seed}") == std::string::npos,
          ErrorCode::InvalidRequest,
          "--resume: wanted a seed, or an --output without {seed}, found neither for \"",
          job.prompt, "\"");
  const std::filesystem::path file = output_path(job, job.options.output);
  if (!std::filesystem::exists(file)) return false;
  const ImageMetadata stored = read_metadata(file);
  const Request completed = engine.complete(request_of(engine, job));
  return stored.json &&
         same_settings(*stored.json, metadata_json(engine, job, completed, 0), job.seed_given);
}

}  // namespace

void skip_finished(Engine& engine, std::vector<Job>& jobs, std::ostream& out) {
  const std::size_t all = jobs.size();
  std::erase_if(jobs, [&](const Job& job) { return is_finished(engine, job); });
  out << "annulus: " << all - jobs.size() << " of " << all << " pictures are there already\n";
}

Json read_metadata_settings(const std::filesystem::path& file) {
  const ImageMetadata stored = read_metadata(file);
  if (stored.json) return *stored.json;
  require(stored.parameters.has_value(), ErrorCode::InvalidRequest,
          "--from: wanted a picture that says how it was made, found none (", file.string(), ")");
  return options_of(parse_parameters(*stored.parameters));
}

}  // namespace annulus::cli
