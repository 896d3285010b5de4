// The run behind `annulus generate`: jobs through one engine to files, with progress, previews and
// a report.
#pragma once

#include <functional>

#include "apps/cli/job_requests.h"

namespace annulus::cli {

/// The file that a job's picture (or latents) goes to by `pattern`; the model's name is its
/// folder's.
std::filesystem::path output_path(const Job& job, std::string_view pattern);

/// The file, in a folder that is there. Throws InvalidRequest, StorageFull.
std::filesystem::path in_its_folder(std::filesystem::path file);

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
  std::vector<RankUse> ranks;  // in rank order
};

/// Makes every job's picture and prints its path on stdout (not with a report on stdout). Throws
/// Cancelled after the step in which `stop` said so; files written by then stay.
RunSummary run_jobs(Engine& engine, const GenerateOptions& run, const std::vector<Job>& jobs,
                    double load_seconds, const std::function<bool()>& stop);

}  // namespace annulus::cli
