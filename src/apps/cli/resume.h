#pragma once

#include <iosfwd>
#include <vector>

#include "apps/cli/generate_run.h"

namespace annulus::cli {

/// Drops the jobs whose output exists, whole, and was made from the same settings and files; says
/// how many on `out`.
/// Throws InvalidRequest when a job's file name cannot be known: its pattern has {seed} and it has
/// no seed.
void skip_finished(Engine& engine, std::vector<Job>& jobs, std::ostream& out);

/// The settings that a picture's metadata describes (settings_in()): ours, or what the A1111 text
/// says. Throws
/// InvalidRequest when there are none.
Json read_metadata_settings(const std::filesystem::path& file);

}  // namespace annulus::cli
