#include "apps/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "apps/cli/nearest.h"
#include "base/error.h"

namespace annulus::cli {

namespace {

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string in_one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// What CLI11 says in its own words.
std::string wanted_and_found(const CLI::App& app, const CLI::ParseError& error) {
  const std::string text = in_one_line(error.what());
  // "--output is required"
  if (error.get_name() == "RequiredError")
    return text_of(app.get_name(), ": wanted ", text.substr(0, text.find(' ')), ", found none");
  // "--seed: 1 required N missing"
  if (error.get_name() == "ArgumentMismatch" && text.ends_with("missing"))
    return text_of(text.substr(0, text.find(':')), ": wanted a value, found none");
  return text_of("arguments: wanted those of `", app.get_name(), "`, found: ", text);
}

std::string help_hint(const CLI::App& app) {
  return text_of("`", app.get_name(), " --help` lists them");
}

}  // namespace

bool wants_all_help(const Arguments& arguments) {
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  return std::find(arguments.begin(), end, "--help-all") != end;
}

Parsed parse(CLI::App& app, const Arguments& arguments) {
  app.set_help_flag("-h,--help", "the common options");
  bool all = false;
  app.add_flag("--help-all", all, "every option");
  app.allow_extras();
  app.get_formatter()->column_width(38);
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return Parsed::HelpShown;
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorCode::InvalidRequest, wanted_and_found(app, error), help_hint(app));
  }
  if (all) {
    std::cout << app.help();
    return Parsed::HelpShown;
  }
  for (const std::string& extra : app.remaining()) {
    if (extra == "--")
      continue;  // CLI11 counts the mark itself; what followed it are positional arguments
    const std::string name = extra.substr(0, extra.find('='));
    const std::string near = nearest(name, option_names(app));
    throw Error(ErrorCode::InvalidRequest,
                text_of(name.starts_with('-') ? "unknown option" : "arguments",
                        ": wanted an option of `", app.get_name(), "`, found ", name),
                near.empty() ? help_hint(app) : text_of("did you mean ", near, "?"));
  }
  return Parsed::Run;
}

}  // namespace annulus::cli
