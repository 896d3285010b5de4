// Settings from several places, later ones winning: a picture's metadata, the command line, a line
// of a batch.
#pragma once

#include <string>
#include <vector>

#include "apps/cli/generate_options.h"
#include "io/json.h"

namespace annulus::cli {

struct GivenSetting {
  const Setting* setting;
  std::string value;
};

/// Applies settings in order. The first value of a repeatable one replaces what `options` held.
void apply_settings(const std::vector<GivenSetting>& given, GenerateOptions& options);

/// The members of an object as settings: numbers and booleans by their text, lists as repeated
/// values. `where` names the line.
///
/// InvalidRequest: an unknown key.
///
///   per_picture  settings that concern the whole run are InvalidRequest too (a batch line)
std::vector<GivenSetting> settings_of(const Json& object, std::string_view where, bool per_picture);

}  // namespace annulus::cli
