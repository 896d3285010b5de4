#include <CLI/CLI.hpp>
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "apps/cli/bench.h"
#include "apps/cli/commands.h"
#include "apps/cli/mpi_launch.h"
#include "apps/cli/nearest.h"
#include "apps/cli/program.h"
#include "apps/cli/rank_process.h"
#include "apps/cli/report.h"
#include "apps/cli/values.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus::cli {

namespace {

struct Texts {  // as given; turned into BenchOptions
  std::string what, platform, json;
  std::vector<std::string> shapes, dtypes;
};

std::vector<std::int64_t> parse_shape(const std::string& text) {
  std::vector<std::int64_t> shape;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');)
    shape.push_back(parse_integer("shape", part, 1, std::int64_t{1} << 24));
  return shape;
}

std::vector<DType> wanted_dtypes(const std::vector<std::string>& names, const Platform& platform) {
  std::vector<DType> dtypes;
  for (const std::string& name : names) {
    const std::optional<DType> dtype = dtype_of(name);
    require(dtype.has_value() && platform.supports(*dtype), ErrorCode::InvalidRequest,
            "--dtype: wanted one that ", platform.name(), " computes in, found \"", name, "\"");
    dtypes.push_back(*dtype);
  }
  if (!dtypes.empty()) return dtypes;
  for (const DType dtype : {DType::F32, DType::BF16})
    if (platform.supports(dtype)) dtypes.push_back(dtype);
  return dtypes;
}

void print_rows(const Platform& platform, const std::vector<BenchRow>& rows) {
  std::cout << platform.description() << '\n'
            << std::left << std::setw(26) << "what" << std::setw(24) << "shape" << std::setw(20)
            << "dtype" << std::right << std::setw(12) << "ms (median)" << std::setw(11) << "GFLOP/s"
            << std::setw(9) << "GB/s" << std::setw(7) << "runs" << '\n'
            << std::fixed;
  for (const BenchRow& row : rows)
    std::cout << std::left << std::setw(26) << row.what << std::setw(24) << row.shape
              << std::setw(20) << row.dtype << std::right << std::setprecision(3) << std::setw(12)
              << row.timing.median * 1e3 << std::setprecision(1) << std::setw(11)
              << row.flop / row.timing.median / 1e9 << std::setw(9)
              << row.bytes / row.timing.median / 1e9 << std::setw(7) << row.timing.runs << '\n';
}

void print_peaks(const Platform& platform, const std::vector<PeakRate>& peaks) {
  std::cout << platform.description() << '\n' << std::fixed << std::setprecision(1);
  for (const PeakRate& peak : peaks)
    std::cout << std::left << std::setw(28) << peak.name << std::right << std::setw(10)
              << peak.per_second / 1e9 << " G" << peak.unit << '\n';
}

Json rows_json(const std::vector<BenchRow>& rows) {
  Json list = Json::array();
  for (const BenchRow& row : rows)
    list.push(Json::object({{"what", row.what},
                            {"shape", row.shape},
                            {"dtype", row.dtype},
                            {"seconds", row.timing.median},
                            {"least_seconds", row.timing.least},
                            {"runs", row.timing.runs},
                            {"flop", row.flop},
                            {"bytes", row.bytes}}));
  return list;
}

Json peaks_json(const std::vector<PeakRate>& peaks) {
  Json list = Json::array();
  for (const PeakRate& peak : peaks)
    list.push(
        Json::object({{"what", peak.name}, {"unit", peak.unit}, {"per_second", peak.per_second}}));
  return list;
}

std::vector<BenchRow> measure(const std::string& what, const Platform& platform,
                              const BenchOptions& options) {
  if (what == "attention") return bench_attention(platform, options);
  if (what == "linear") return bench_linear(platform, options);
  if (what == "block") return bench_block(platform, options);
  const std::vector<std::string> known = {"peak", "attention", "linear", "block", "ring"};
  const std::string near = nearest(what, known);
  throw Error(ErrorCode::InvalidRequest,
              text_of("bench: wanted peak, attention, linear, block or ring, found \"", what, "\""),
              near.empty() ? std::string{} : text_of("did you mean `annulus bench ", near, "`?"));
}

}  // namespace

Tensor random_tensor(Stream& stream, const Shape& shape, DType dtype, std::uint32_t seed) {
  HostDevice host(1, "staging");
  Tensor made = Tensor::empty(shape, DType::F32, host);
  float* data = made.data<float>();
  for (std::int64_t i = 0; i < shape.elements(); ++i) {
    seed = seed * 1664525u + 1013904223u;
    data[i] = static_cast<float>(static_cast<std::int32_t>(seed)) * 0x1p-31f;
  }
  Tensor placed = Tensor::empty(shape, dtype, stream.device());
  copy(stream, made, placed);
  stream.device().synchronize(stream, 60000);
  return placed;
}

namespace {

void bind(CLI::App& app, Texts& texts, BenchOptions& options) {
  app.add_option("what", texts.what, "peak, attention, linear, block or ring")->required();
  app.add_option("--shape", texts.shapes,
                 "attention, ring: BATCH,HEADS,SEQ_Q,SEQ_KV,HEAD_DIM; linear: ROWS,IN,OUT; block: "
                 "IMAGE,TEXT tokens; repeatable")
      ->allow_extra_args(false);
  app.add_option("--dtype", texts.dtypes, "f32, bf16 or f16; repeatable [f32 and bf16]")
      ->allow_extra_args(false);
  app.add_option("--backend", options.backend, "attention backend [all that serve]");
  app.add_flag("--causal", options.causal, "attention with a causal mask");
  app.add_option("--threads", options.threads, "[the cores this process may use]")
      ->check(CLI::Range(1, 4096));
  app.add_option("--seconds", options.seconds, "to measure each row [1]")
      ->check(CLI::Range(0.001, 3600.0));
  app.add_option("--platform", texts.platform, "[the best one there is]");
  app.add_option(
      "--json", texts.json,
      "write the rows there ('-': stdout, in place of the table); seconds, flop and bytes");
  app.add_option("--ranks", options.plan.ranks,
                 "ring: processes, started by mpirun on this host [the product of the degrees]")
      ->check(CLI::Range(1, 4096));
  app.add_option("--ring-degree", options.plan.ring, "ring: [what --ranks leaves]")
      ->check(CLI::Range(1, 4096));
  app.add_option("--ulysses-degree", options.plan.ulysses, "ring: [1]")->check(CLI::Range(1, 4096));
  app.add_flag("--no-shared-memory{false}", options.shared_memory,
               "ring: messages on one host too");
}

void run(const Texts& texts, BenchOptions options, Communicator& world) {
  for (const std::string& shape : texts.shapes) options.shapes.push_back(parse_shape(shape));
  const std::unique_ptr<Platform> platform =
      make_platform(texts.platform, {.threads = options.threads});
  options.dtypes = wanted_dtypes(texts.dtypes, *platform);
  Json report = Json::object({{"version", version()},
                              {"platform", std::string(platform->name())},
                              {"description", platform->description()}});
  const bool table = texts.json != "-";
  if (texts.what == "peak") {
    const std::vector<PeakRate> peaks = platform->measure_peaks(options.seconds);
    if (table) print_peaks(*platform, peaks);
    report.set("rows", peaks_json(peaks));
  } else {
    if (texts.what == "ring") options.plan.ranks = world.size();
    const std::vector<BenchRow> rows =
        texts.what == "ring" ? bench_ring(*platform, options, world, resolve_plan(options.plan))
                             : measure(texts.what, *platform, options);
    if (world.rank() != 0) return;
    if (table) print_rows(*platform, rows);
    report.set("rows", rows_json(rows));
  }
  if (!texts.json.empty()) write_report(texts.json, report);
}

}  // namespace

int run_bench(const Arguments& arguments) {
  Texts texts;
  BenchOptions options;
  CLI::App app(
      "Measured rates of this machine: peak (units and memory), attention, linear, block (a "
      "Qwen-Image block), ring (attention over ranks).",
      "annulus bench");
  bind(app, texts, options);
  if (const auto place = rank_place())
    return run_as_rank(
        *place, arguments, [&] { return parse(app, arguments); },
        [&] { return CommOptions{.shared_memory = options.shared_memory}; },
        [&](const RankProcess& process, Communicator& world) {
          options.threads = process.threads(options.threads);
          run(texts, options, world);
        });
  if (parse(app, arguments) == Parsed::HelpShown) return 0;
  const int ranks = resolve_plan(options.plan).ranks();
  if (ranks > 1) {
    Arguments words = {"bench"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return launch_ranks(ranks, words);
  }
  run(texts, options, *make_single_rank());
  return 0;
}

}  // namespace annulus::cli
