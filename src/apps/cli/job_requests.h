// From jobs to requests: which jobs are made together, checked before any is drawn.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <memory>
#include <span>
#include <vector>

#include "apps/cli/jobs.h"
#include "engine/engine.h"

namespace annulus::cli {

/// Condition pictures, read. Those that were asked for last stay, since most jobs share theirs;
/// all of a long batch would not fit.
class ConditionPictures {
 public:
  const std::vector<std::shared_ptr<const Image>>& of(
      const std::vector<std::filesystem::path>& files);

 private:
  std::vector<std::filesystem::path> files_;
  std::vector<std::shared_ptr<const Image>> pictures_;
};

/// The request of one job with the model's defaults, checked. An error names the line of the batch.
Request completed_request(Engine& engine, const Job& job, ConditionPictures& pictures);

/// Jobs that are made together.
struct JobBatch {
  std::span<const Job> jobs;
  Request request;  // completed; without pictures and start latents (fetch_inputs)
};

struct CheckedJobs {
  std::vector<JobBatch> batches;
  std::size_t predicted_peak = 0;  // bytes: the most that one of them takes
  bool unused_negative = false;    // a negative prompt was given where there is no guidance
};

void print_warnings(std::ostream& out, const CheckedJobs& checked);

/// Checks every job, so that a mistake in line 900 does not cost 899 pictures, and joins neighbours
/// that are alike to batches of at most `batch_size`. The jobs must outlive the result.
CheckedJobs check_jobs(Engine& engine, std::span<const Job> jobs, int batch_size,
                       ConditionPictures& pictures);

/// Puts the pictures and start latents of a batch into its request.
void fetch_inputs(Engine& engine, JobBatch& batch, ConditionPictures& pictures);

}  // namespace annulus::cli
