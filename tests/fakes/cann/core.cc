#include "core.h"

#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>

namespace fake_cann {

namespace {

// One process has one CANN, so its state is global by nature.
struct State {
  std::mutex mutex;
  Settings settings;
  std::vector<std::string> problems;
  std::map<std::string, std::uint64_t> calls;
  std::map<std::string, std::set<std::uint64_t>> failures;  // function (or *) -> which calls fail
  std::uint64_t all_calls = 0;
  std::map<std::string, int> live;
};

State& state() {
  static State& made = *new State;  // outlives every thread
  return made;
}

struct ErrorText {
  std::string recent, given;
  bool set = false;
};
thread_local ErrorText error_text;

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

}  // namespace

void read_settings() {
  Settings made;
  const auto number = [](const char* name, auto& to) {
    const std::string value = variable(name);
    if (!value.empty())
      to = static_cast<std::remove_reference_t<decltype(to)>>(
          std::strtoull(value.c_str(), nullptr, 10));
  };
  if (!variable("FAKE_CANN_SOC").empty()) made.soc = variable("FAKE_CANN_SOC");
  if (!variable("FAKE_CANN_NO_KEYS").empty()) made.no_keys = variable("FAKE_CANN_NO_KEYS");
  number("FAKE_CANN_DEVICES", made.devices);
  number("FAKE_CANN_MEMORY", made.memory);
  number("FAKE_CANN_DELAY_US", made.delay_us);
  number("FAKE_CANN_SEED", made.seed);
  for (const std::string& defect : split(variable("FAKE_CANN_DEFECT"), ','))
    made.defects.insert(defect);
  std::map<std::string, std::set<std::uint64_t>> failures;
  for (const std::string& item : split(variable("FAKE_CANN_FAIL"), ',')) {
    const std::vector<std::string> parts = split(item, ':');
    if (parts.size() == 2) failures[parts[0]].insert(std::strtoull(parts[1].c_str(), nullptr, 10));
  }
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.settings = made;
  s.failures = failures;
  s.all_calls = 0;
  s.calls.clear();
}

Settings settings() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return s.settings;
}

void problem(const std::string& what) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.problems.push_back(what);
}

std::vector<std::string> take_problems() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return std::move(s.problems);
}

int fail(int code, const std::string& text) {
  error_text.recent = "E" + std::to_string(code) + ": " + text;
  error_text.set = true;
  return code;
}

const char* take_error_text() {
  if (!error_text.set) return nullptr;
  error_text.given = std::move(error_text.recent);
  error_text.set = false;
  return error_text.given.c_str();
}

bool called(const char* function) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const std::uint64_t own = ++s.calls[function], all = ++s.all_calls;
  if (s.failures.empty()) return false;
  const auto wanted = [&](const std::string& name, std::uint64_t number) {
    const auto at = s.failures.find(name);
    return at != s.failures.end() && at->second.contains(number);
  };
  return wanted(function, own) || wanted("*", all);
}

std::uint64_t calls_of(const std::string& function) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (function == "*") return s.all_calls;
  const auto at = s.calls.find(function);
  return at == s.calls.end() ? 0 : at->second;
}

void forget_calls() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.calls.clear();
  s.all_calls = 0;
}

void count(const std::string& kind, int change) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.live[kind] += change;
}

std::vector<std::string> live_objects() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  std::vector<std::string> list;
  for (const auto& [kind, number] : s.live)
    if (number != 0) list.push_back(std::to_string(number) + " " + kind);
  return list;
}

}  // namespace fake_cann
