#pragma once

#include "apps/cli/generate_run.h"
#include "io/json.h"

namespace annulus::cli {

/// The report of a run, in the form of docs/cli.md.
Json generate_report(const Engine& engine, const GenerateOptions& options,
                     const RunSummary& summary);

/// How the ranks are divided (--explain).
void print_plan(std::ostream& out, const Engine& engine);

/// Which attention backend each component has and why, one line per distinct choice (--explain).
void print_attention(std::ostream& out, const Engine& engine);

/// Seconds, flop and rates per stage, as shares of the measured peak (--verbose).
void print_costs(std::ostream& out, const Engine& engine, const RunSummary& summary);

}  // namespace annulus::cli
