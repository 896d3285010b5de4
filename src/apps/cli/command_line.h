// The one way a command reads its arguments: CLI11 with our errors, help and "did you mean".
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace annulus::cli {

using Arguments = std::vector<std::string>;  // without the program and the command

/// What a command should do after its arguments were read.
enum class Parsed { Run, HelpShown };

/// Parses `arguments` into the options bound to `app`. Prints help when asked. Throws
/// InvalidRequest for anything unknown (the hint names the nearest option), missing or malformed.
Parsed parse(CLI::App& app, const Arguments& arguments);

/// Was --help-all asked for? A command then shows its rarer options too.
bool wants_all_help(const Arguments& arguments);

}  // namespace annulus::cli
