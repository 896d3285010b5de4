#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"

namespace annulus {

/// Reads the options of one scheduler class from its config and notices what nobody read. Messages
/// name class, option and file.
class SchedulerOptions {
 public:
  SchedulerOptions(const Json& config, std::string_view class_name);

  template <class T>
  T get(std::string_view key, T fallback) {
    read_.emplace(key);
    return config_.get<T>(key, std::move(fallback));
  }
  /// Null means false, as in Python, not the fallback.
  bool flag(std::string_view key, bool fallback);
  template <class T>
  std::optional<T> find(std::string_view key) {
    read_.emplace(key);
    const std::optional<Json> value = config_.find(key);
    return value ? std::optional<T>(value->as<T>()) : std::nullopt;
  }
  /// A number in [least, most]. Throws CorruptFile otherwise.
  template <class T>
  T number(std::string_view key, T fallback, T least, T most) {
    const T value = get<T>(key, fallback);
    if (!(value >= least && value <= most))
      config_[key].fail(text_of("a number in [", least, ", ", most, "]"));
    return value;
  }
  /// One of `known`. Throws Unsupported otherwise.
  std::string choice(std::string_view key, std::string_view fallback,
                     std::initializer_list<std::string_view> known);
  /// An option that is not supported: it must be absent, null, false or an empty list.
  void refuse(std::string_view key);

  /// To be called last: throws Unsupported naming an option that is not of this class, nor of any
  /// other in diffusers 0.42 (those are ignored there too).
  void finish() const;

  [[noreturn]] void unsupported(std::string_view key, std::string_view found,
                                std::string_view wanted) const;

 private:
  Json config_;
  std::string class_name_;
  std::set<std::string, std::less<>> read_;
};

}  // namespace annulus
