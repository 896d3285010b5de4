#include "apps/cli/program.h"

#include <array>
#include <iostream>
#include <vector>

#include "apps/cli/commands.h"
#include "apps/cli/nearest.h"
#include "base/error.h"

namespace annulus::cli {

namespace {

struct Command {
  std::string_view name, arguments, help;
  int (*run)(const Arguments&);
};

constexpr std::array<Command, 6> kCommands = {{
    {"generate", "PROMPT...", "pictures from a model folder", run_generate},
    {"info", "[MODEL]", "what a model folder holds, and what it needs", run_info},
    {"plan", "", "parallel plans: time, bytes and memory of each, and which is best", run_plan},
    {"doctor", "", "this machine: CPU, platforms, libraries, memory, disk", run_doctor},
    {"attention", "FILE", "one attention case from a safetensors file", run_attention},
    {"bench", "WHAT", "measured rates: peak, attention, linear, block, ring", run_bench},
}};

constexpr std::string_view kNames = "generate, info, plan, doctor, attention or bench";

void print_help(std::ostream& out) {
  out << "annulus " << version() << ": pictures from open diffusion models, without Python\n\n"
      << "usage: annulus COMMAND [OPTION...]\n\n";
  for (const Command& command : kCommands) {
    std::string left = std::string(command.name) + " " + std::string(command.arguments);
    left.resize(std::max<std::size_t>(left.size(), 22), ' ');
    out << "  " << left << command.help << '\n';
  }
  out << "\nannulus COMMAND --help shows a command's options; annulus --version the version.\n"
      << "Try: annulus generate \"a purple house in the snow\"\n";
}

}  // namespace

std::string version() {
  return ANNULUS_VERSION;
}

int run_program(const Arguments& arguments) {
  if (arguments.empty())
    throw Error(ErrorCode::InvalidRequest, text_of("command: wanted ", kNames, ", found none"),
                "`annulus --help` describes them");
  const std::string& name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help" || name == "--help-all") {
    print_help(std::cout);
    return 0;
  }
  if (name == "--version" || name == "version") {
    std::cout << "annulus " << version() << '\n';
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    if (name == command.name) return command.run({arguments.begin() + 1, arguments.end()});
    names.emplace_back(command.name);
  }
  const std::string near = nearest(name, names);
  throw Error(ErrorCode::InvalidRequest,
              text_of("command: wanted ", kNames, ", found \"", name, "\""),
              near.empty() ? "annulus --help describes them"
                           : text_of("did you mean `annulus ", near, "`?"));
}

}  // namespace annulus::cli
