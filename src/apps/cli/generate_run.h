// The run behind `annulus generate`: jobs through one engine to files, with progress, previews and
// a report.
#pragma once

#include <functional>

#include "apps/cli/jobs.h"
#include "engine/engine.h"

namespace annulus::cli {

/// The file that a job's picture (or latents) goes to by `pattern`; the model's name is its
/// folder's.
std::filesystem::path output_path(const Job& job, std::string_view pattern);

/// The engine that the options ask for, on ranks divided by `plan`.
EngineConfig engine_config(const GenerateOptions& options, const ParallelPlan& plan);

/// A written picture.
struct Output {
  std::filesystem::path file;
  Job job;
  Request request;  // completed
};

struct RunSeconds {
  double start_to_first_step = 0, load = 0, encode = 0, denoise = 0, decode = 0, write = 0,
         total = 0;
  std::vector<double> steps;
};

struct RunSummary {
  std::vector<Output> outputs;
  RunSeconds seconds;
  double encode_flop = 0, denoise_flop = 0, decode_flop = 0;
  std::size_t predicted_peak = 0;
};

/// Makes every job's picture and prints its path on stdout (not with a report on stdout). Throws
/// Cancelled after the step in which `stop` said so; files written by then stay.
RunSummary run_jobs(Engine& engine, const GenerateOptions& run, const std::vector<Job>& jobs,
                    double load_seconds, const std::function<bool()>& stop);

/// The completed request of one job alone (for --dry-run, and what run_jobs joins into batches).
Request request_of(Engine& engine, const Job& job);

/// That with the model's defaults, checked. An error names the line of the batch.
Request completed_request(Engine& engine, const Job& job);

}  // namespace annulus::cli
