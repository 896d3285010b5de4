// The commands of the program, one file each. Each takes its arguments, prints to stdout what was
// asked for, throws Error, and returns the exit status.
#pragma once

#include "apps/cli/command_line.h"

namespace annulus::cli {

int run_generate(const Arguments& arguments);
int run_info(const Arguments& arguments);
int run_plan(const Arguments& arguments);
int run_doctor(const Arguments& arguments);
int run_attention(const Arguments& arguments);
int run_bench(const Arguments& arguments);

}  // namespace annulus::cli
