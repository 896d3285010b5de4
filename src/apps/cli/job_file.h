// The state of a picture that is being made, as --checkpoint-every keeps it and --resume-job goes
// on from it: a safetensors file with the latents, the settings of the picture and the steps that
// were taken.
#pragma once

#include <filesystem>

#include "apps/cli/jobs.h"
#include "io/json.h"
#include "nn/context.h"
#include "pipeline/request.h"

namespace annulus::cli {

/// Beside the job's picture: "a house-7.job.safetensors".
std::filesystem::path job_file(const Job& job);

/// Whole or not at all; replaces the one before.
///
///   metadata  metadata_json of the picture
void write_job_file(const std::filesystem::path& file, const Json& metadata, int steps,
                    const Tensor& latents);

/// The settings that it was made with, as options. Throws InvalidRequest when it is no such file.
Json read_job_settings(const std::filesystem::path& file);

Start read_start(const std::filesystem::path& file, const Context& ctx);

/// Throws InvalidRequest when a picture with this `metadata` would be another than the one begun.
void check_same_job(const std::filesystem::path& file, const Json& metadata);

}  // namespace annulus::cli
