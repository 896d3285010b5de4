#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <utility>

#include "apps/cli/commands.h"
#include "apps/cli/program.h"
#include "apps/cli/report.h"
#include "apps/cli/values.h"
#include "base/parallel_for.h"
#include "base/thread_runtime.h"
#include "comm/mpi_library.h"
#include "engine/self_test.h"
#include "io/libraries.h"
#include "platform/cpu/cpu_platform.h"
#include "platform/platform.h"

namespace annulus::cli {

namespace {

struct DoctorOptions {
  std::string platform, dtype = "f32", json;
  bool self_test = false;
};

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown CPU";
}

std::string gigabytes(std::size_t bytes) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << static_cast<double>(bytes) / 1e9 << " GB";
  return text.str();
}

void print_row(std::string_view left, const std::string& right) {
  std::cout << std::left << std::setw(11) << left << right << '\n';
}

Json describe_attention(const Platform& platform) {
  Json list = Json::array();
  for (const AttentionBackend* backend : platform.attention()) {
    const AttentionSpec spec = {
        .heads = 1, .head_dim = 64, .dtype = platform.default_dtype(DType::BF16), .lse = true};
    const std::optional<std::string> refusal = backend->refusal(spec);
    list.push(Json::object({{"backend", std::string(backend->name())},
                            {"lse", !refusal.has_value()},
                            {"approximate", backend->approximate()},
                            {"why", refusal.value_or("")}}));
  }
  return list;
}

Json describe_platforms() {
  Json list = Json::array();
  for (const PlatformEntry& entry : platforms()) {
    if (!entry.listed) continue;
    Json line = Json::object({{"name", std::string(entry.name)}});
    if (const std::optional<std::string> absent = entry.probe()) {
      line.set("absent", *absent);
    } else {
      const std::unique_ptr<Platform> platform = entry.make({});
      const AttentionBackend* ring = platform->default_ring_attention_backend();
      line.set("description", platform->description());
      line.set("attention", describe_attention(*platform));
      line.set("ring_default", ring != nullptr ? std::string(ring->name()) : std::string("none"));
      line.set("free_memory", platform->free_memory());
    }
    list.push(line);
  }
  return list;
}

Json describe_libraries() {
  Json libraries = Json::object(
      {{"oneDNN", onednn_library()}, {"threads", thread_runtime()}, {"MPI", mpi_library()}});
  for (const auto& [name, version] : io_libraries()) libraries.set(name, version);
  return libraries;
}

Json describe_machine() {
  std::error_code ignored;
  const std::filesystem::space_info disk =
      std::filesystem::space(std::filesystem::current_path(ignored), ignored);
  return Json::object({{"version", version()},
                       {"cpu", cpu_name()},
                       {"cores", available_cores()},
                       {"platforms", describe_platforms()},
                       {"libraries", describe_libraries()},
                       {"free_disk", disk.available}});
}

void print_machine(const Json& machine) {
  print_row("annulus", machine.get<std::string>("version"));
  print_row("cpu", text_of(machine.get<std::string>("cpu"), ", ", machine.get<int>("cores"),
                           " cores for this process"));
  for (const Json& line : machine["platforms"].elements()) {
    const std::string name = line.get<std::string>("name");
    if (const auto absent = line.find("absent")) {
      print_row("platform", name + ": absent: " + absent->as<std::string>());
      continue;
    }
    print_row("platform", name + ": " + line.get<std::string>("description"));
    for (const Json& backend : line["attention"].elements())
      print_row("", text_of("attention ", backend.get<std::string>("backend"),
                            backend.get<bool>("lse") ? ": with LSE"
                                                     : ": " + backend.get<std::string>("why"),
                            backend.get<bool>("approximate") ? "; approximate: by name only" : ""));
    print_row("", "ring attention takes " + line.get<std::string>("ring_default"));
    print_row("memory", gigabytes(line.get<std::size_t>("free_memory")) + " free");
  }
  std::string_view left = "libraries";
  for (const auto& [name, version] : machine["libraries"].members())
    print_row(std::exchange(left, ""), text_of(name, " ", version.as<std::string>()));
  print_row("disk", gigabytes(machine.get<std::size_t>("free_disk")) + " free here");
}

// Prints a line per case; true when all passed.
bool print_self_test(const DoctorOptions& options) {
  const std::unique_ptr<Platform> platform = make_platform(options.platform, {});
  const std::optional<DType> dtype = dtype_of(options.dtype);
  require(dtype.has_value() && platform->supports(*dtype), ErrorCode::InvalidRequest,
          "--dtype: wanted one that ", platform->name(), " computes in, found \"", options.dtype,
          "\"");
  int failed = 0;
  for (const SelfTestLine& line : self_test(*platform, *dtype)) {
    failed += line.passed() ? 0 : 1;
    std::cout << (line.passed() ? "ok    " : "FAIL  ") << std::left << std::setw(40) << line.name;
    if (line.failure.empty())
      std::cout << std::scientific << std::setprecision(1) << line.error << " (bound " << line.bound
                << ")\n";
    else
      std::cout << line.failure << '\n';
  }
  std::cout << (failed == 0 ? "self-test passed" : text_of("self-test: ", failed, " failed"))
            << " (" << platform->name() << ", " << name_of(*dtype) << ")\n";
  return failed == 0;
}

}  // namespace

int run_doctor(const Arguments& arguments) {
  DoctorOptions options;
  CLI::App app("This machine as annulus sees it.", "annulus doctor");
  app.add_flag("--self-test", options.self_test,
               "run every operation against the reference in double precision");
  app.add_option("--platform", options.platform, "of the self-test [the best one there is]");
  app.add_option("--dtype", options.dtype, "of the self-test: f32, bf16, f16 [f32]");
  app.add_option("--json", options.json,
                 "write what was found there as JSON ('-': stdout, in place of the text)");
  if (parse(app, arguments) == Parsed::HelpShown) return 0;
  if (options.self_test) {
    require(print_self_test(options), ErrorCode::DeviceFailure,
            "self-test: wanted every case within its bound, found the failures above");
    return 0;
  }
  const Json machine = describe_machine();
  if (options.json != "-") print_machine(machine);
  if (!options.json.empty()) write_report(options.json, machine);
  return 0;
}

}  // namespace annulus::cli
