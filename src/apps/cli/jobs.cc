#include "apps/cli/jobs.h"

#include <fstream>
#include <random>

#include "base/error.h"
#include "io/unicode.h"

namespace annulus::cli {

namespace {

constexpr std::size_t kMostJobs = 1000000;
constexpr std::size_t kLongestLine = std::size_t{1} << 20;  // bytes

std::vector<std::string> read_lines(const std::filesystem::path& file, const char* option) {
  std::error_code ignored;  // of one that is not there: reading it fails
  const std::filesystem::file_status status = std::filesystem::status(file, ignored);
  require(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status),
          ErrorCode::InvalidRequest, option, ": wanted a regular file, found another thing (",
          file.string(), ")");
  std::ifstream in(file);
  require(in.good(), ErrorCode::NotFound, option, ": wanted a file that can be read, found none (",
          file.string(), ")");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    require(line.size() <= kLongestLine, ErrorCode::InvalidRequest, option,
            ": wanted lines of at most ", kLongestLine, " bytes, found ", line.size(), " (",
            file.string(), ":", lines.size() + 1, ")");
    require(lines.size() < kMostJobs, ErrorCode::InvalidRequest, option, ": wanted at most ",
            kMostJobs, " lines, found more (", file.string(), ")");
    lines.push_back(std::move(line));
  }
  return lines;
}

bool is_blank(const std::string& line) {
  return line.find_first_not_of(" \t") == std::string::npos;
}

std::uint64_t random_seed() {
  std::random_device source;
  return source();  // 32 bits: short enough to type again
}

void require_utf8(const std::string& prompt, const std::string& where) {
  const std::size_t bad = find_invalid_utf8(prompt);
  require(bad == std::string_view::npos, ErrorCode::InvalidRequest,
          "prompt: wanted UTF-8, found other bytes at offset ", bad,
          where.empty() ? "" : " (" + where + ")");
}

void add_jobs(const GenerateOptions& options, const std::string& prompt, std::vector<Job>& jobs,
              const std::string& where = {}) {
  require_utf8(prompt, where);
  require_utf8(options.negative_prompt.value_or(""), where);
  const std::uint64_t first = options.seed ? *options.seed : random_seed();
  require(jobs.size() + static_cast<std::size_t>(options.count) <= kMostJobs,
          ErrorCode::InvalidRequest, "generate: wanted at most ", kMostJobs,
          " pictures, found more");
  for (int i = 0; i < options.count; ++i)
    jobs.push_back({options, prompt, first + static_cast<std::uint64_t>(i),
                    options.seed.has_value(), static_cast<int>(jobs.size()), where});
}

void add_prompt_lines(const GenerateOptions& base, std::vector<Job>& jobs) {
  const std::vector<std::string> lines = read_lines(base.prompt_file, "--prompt-file");
  for (std::size_t i = 0; i < lines.size(); ++i)
    if (!is_blank(lines[i]))
      add_jobs(base, lines[i], jobs, text_of(base.prompt_file.string(), ":", i + 1));
}

void add_batch(const GenerateOptions& base, std::vector<Job>& jobs) {
  const std::vector<std::string> lines = read_lines(base.batch_file, "--batch");
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (is_blank(lines[i])) continue;
    const std::string where = base.batch_file.string() + ":" + std::to_string(i + 1);
    GenerateOptions options = base;
    at_line(where, [&] {
      apply_settings(
          settings_of(Json::parse(lines[i], where, ErrorCode::InvalidRequest), where, true),
          options);
    });
    require(!options.prompts.empty(), ErrorCode::InvalidRequest,
            "--batch: wanted a prompt, found none (", where, ")");
    for (const std::string& prompt : options.prompts) add_jobs(options, prompt, jobs, where);
  }
}

}  // namespace

std::vector<Job> plan_jobs(const GenerateOptions& base) {
  std::vector<Job> jobs;
  if (base.batch_file.empty())
    for (const std::string& prompt : base.prompts) add_jobs(base, prompt, jobs);
  if (!base.prompt_file.empty()) add_prompt_lines(base, jobs);
  if (!base.batch_file.empty()) add_batch(base, jobs);
  if (jobs.empty())
    throw Error(
        ErrorCode::InvalidRequest, "generate: wanted a prompt, found none",
        "try: annulus generate \"a purple house in the snow\"; or --prompt-file, --batch, --from");
  return jobs;
}

}  // namespace annulus::cli
