#include "apps/cli/overlay.h"

#include <algorithm>
#include <set>

#include "apps/cli/nearest.h"
#include "base/error.h"

namespace annulus::cli {

namespace {

std::string text_of_value(const Json& value, std::string_view where) {
  if (value.is_string()) return value.as<std::string>();
  require(value.is_number() || value.is_bool(), ErrorCode::InvalidRequest, where,
          ": wanted a string, number, boolean or list of those, found ", value.dump());
  return value.dump();
}

[[noreturn]] void unknown_key(std::string_view key, std::string_view where) {
  std::vector<std::string> names;
  for (const Setting& setting : generate_settings()) {
    std::string name = setting.name;
    std::replace(name.begin(), name.end(), '-', '_');
    if (setting.per_picture) names.push_back(std::move(name));
  }
  const std::string near = nearest(key, names);
  throw Error(ErrorCode::InvalidRequest,
              text_of(where, ": wanted options of `annulus generate` as keys, found \"", key, "\""),
              near.empty() ? std::string{} : text_of("did you mean \"", near, "\"?"));
}

}  // namespace

void apply_settings(const std::vector<GivenSetting>& given, GenerateOptions& options) {
  std::set<const Setting*> seen;
  for (const auto& [setting, value] : given) {
    if (seen.insert(setting).second && setting->clear) setting->clear(options);
    setting->set(options, value);
  }
}

std::vector<GivenSetting> settings_of(const Json& object, std::string_view where,
                                      bool per_picture) {
  require(object.is_object(), ErrorCode::InvalidRequest, where, ": wanted a JSON object, found ",
          object.dump());
  std::vector<GivenSetting> given;
  for (const auto& [key, value] : object.members()) {
    const Setting* setting = find_setting(key);
    if (setting == nullptr) unknown_key(key, where);
    require(!per_picture || setting->per_picture, ErrorCode::InvalidRequest, where,
            ": wanted options of one picture, found \"", key, "\", which holds for the whole run");
    const std::string place = text_of(where, ", ", key);
    if (value.is_null()) continue;
    if (!value.is_array()) {
      given.push_back({setting, text_of_value(value, place)});
      continue;
    }
    require(setting->repeatable, ErrorCode::InvalidRequest, place, ": wanted one value, found ",
            value.dump());
    for (const Json& element : value.elements())
      given.push_back({setting, text_of_value(element, place)});
  }
  return given;
}

}  // namespace annulus::cli
