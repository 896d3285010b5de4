#include <CLI/CLI.hpp>

#include "apps/cli/command_line.h"
#include "apps/cli/generate_options.h"
#include "apps/cli/plan.h"
#include "apps/cli/values.h"

namespace annulus::cli {

namespace {

constexpr std::int64_t kMostTokens = std::int64_t{1} << 30, kMostHeads = 4096;

using Setter = std::function<void(const std::string&)>;

// Options whose texts are checked by us, so that errors say what was wanted and found.
class Options {
 public:
  explicit Options(CLI::App& app) : app_(app) {}

  void in(const std::string& group) { group_ = group; }
  void text(const std::string& name, const std::string& help, Setter set) {
    app_.add_option_function<std::string>("--" + name, std::move(set), help)->group(group_);
  }
  template <class T>
  void integer(const std::string& name, T& value, std::int64_t least, std::int64_t most,
               const std::string& help) {
    text(name, help, [&value, name, least, most](const std::string& given) {
      if constexpr (std::is_integral_v<T>)
        value = static_cast<T>(parse_integer(name, given, least, most));
      else
        value = static_cast<typename T::value_type>(parse_integer(name, given, least, most));
    });
  }
  template <class T>
  void number(const std::string& name, T& value, double least, double most, double unit,
              const std::string& help) {
    text(name, help, [&value, name, least, most, unit](const std::string& given) {
      value = parse_double(name, given, least, most) * unit;
    });
  }

 private:
  CLI::App& app_;
  std::string group_;
};

Straggler parse_straggler(const std::string& text) {
  const std::size_t colon = text.find(':');
  require(colon != std::string::npos, ErrorCode::InvalidRequest,
          "--slow: wanted RANK:FACTOR, found \"", text, "\"");
  return {static_cast<int>(parse_integer("slow", text.substr(0, colon), 0, kMostRanks - 1)),
          parse_double("slow", text.substr(colon + 1), 0.01, 1e6)};
}

void check(const PlanOptions& o) {
  const bool explicit_work = o.tokens || o.heads || o.head_dim;
  require(!explicit_work || (o.tokens && o.heads && o.head_dim), ErrorCode::InvalidRequest,
          "plan: wanted --tokens, --heads and --head-dim together, found ",
          !o.tokens  ? "no --tokens"
          : !o.heads ? "no --heads"
                     : "no --head-dim");
  require(!explicit_work || (o.model.empty() && !o.width), ErrorCode::InvalidRequest,
          "plan: wanted a model with its size, or --tokens, --heads and --head-dim, found both");
  require(
      explicit_work || (!o.kv_heads && !o.layers && !o.queries && !o.causal),
      ErrorCode::InvalidRequest,
      "plan: wanted --tokens, --heads and --head-dim beside --kv-heads, --layers, --queries and "
      "--causal, found a model, which has its own");
  require(!o.kv_heads || *o.heads % *o.kv_heads == 0, ErrorCode::InvalidRequest,
          "--kv-heads: wanted a divisor of ", o.heads.value_or(0), " heads, found ",
          o.kv_heads.value_or(0));
  require(!o.queries || *o.queries <= *o.tokens, ErrorCode::InvalidRequest,
          "--queries: wanted at most as many as --tokens, found ", o.queries.value_or(0));
  require(!o.hosts || !o.ranks_per_host || *o.hosts <= kMostRanks / *o.ranks_per_host,
          ErrorCode::InvalidRequest, "--hosts: wanted at most ", kMostRanks,
          " ranks in all, found ", o.hosts.value_or(0), " hosts x ", o.ranks_per_host.value_or(0));
  require(o.plot.empty() || o.plot.extension() == ".svg", ErrorCode::InvalidRequest,
          "--plot: wanted a name that ends in .svg, found ", o.plot.string());
}

}  // namespace

std::optional<PlanOptions> read_plan_options(const std::vector<std::string>& arguments) {
  PlanOptions o;
  CLI::App app(
      "What parallel plans cost: for a model or any attention, on this machine or a cluster that "
      "you describe. Rates that you do not give are measured.",
      "annulus plan");
  Options options(app);
  options.in("The work");
  app.add_option("--model", o.model,
                 "folder in diffusers' layout, or qwen-image: the released model by its sizes [the "
                 "storybook model]")
      ->group("The work");
  options.text("size", "pixels, WxH [the model's]", [&o](const std::string& given) {
    const auto [width, height] = parse_size(given);
    o.width = width, o.height = height;
  });
  options.integer("steps", o.steps, 1, 100000, "[the model's; 1 with --tokens]");
  options.number(
      "true-cfg-scale", o.true_cfg_scale, 0, 1e6, 1,
      "above 1: two branches, which may run side by side [the model's; 1 with --tokens]");
  options.integer("text-tokens", o.text_tokens, 0, kMostTokens, "[128; 0 with --tokens]");
  options.integer("batch", o.batch, 1, 1024, "pictures at once [1]");
  options.integer("tokens", o.tokens, 1, kMostTokens, "of any attention, in place of a model");
  options.integer("heads", o.heads, 1, kMostHeads, "with --tokens");
  options.integer("kv-heads", o.kv_heads, 1, kMostHeads, "with --tokens [as many as heads]");
  options.integer("head-dim", o.head_dim, 1, kMostHeads, "with --tokens");
  options.integer("layers", o.layers, 1, 4096, "with --tokens; attention only [1]");
  options.integer("queries", o.queries, 1, kMostTokens,
                  "with --tokens: rows that ask; the others are a cache of keys [all]");
  app.add_flag("--causal", o.causal,
               "with --tokens: a query sees no later key; rows are dealt "
               "in zigzag")
      ->group("The work");

  options.in("The machine");
  options.integer("ranks", o.ranks, 1, kMostRanks,
                  "[those that mpirun started; all of the cluster; the cores of this machine]");
  options.integer("threads", o.threads, 1, 4096, "per rank [cores by ranks]");
  app.add_option("--platform", o.platform, "[the best one there is]")->group("The machine");
  options.text("dtype", "f32, bf16 or f16 [the platform's choice]", [&o](const std::string& given) {
    o.dtype = dtype_of(given);
    require(o.dtype.has_value(), ErrorCode::InvalidRequest,
            "--dtype: wanted f32, bf16 or f16, found \"", given, "\"");
  });
  app.add_flag("--no-shared-memory", o.no_shared_memory, "ranks of one host exchange messages, too")
      ->group("The machine");
  app.add_option("--cluster", o.cluster, "a description as JSON (docs/sequence_parallelism.md)")
      ->group("The machine");
  options.integer("hosts", o.hosts, 1, kMostRanks, "[1]");
  options.integer("ranks-per-host", o.ranks_per_host, 1, kMostRanks, "[all ranks by hosts]");
  std::vector<std::string> slow;
  app.add_option("--slow", slow, "RANK:FACTOR, a rank that takes FACTOR times as long; repeatable")
      ->allow_extra_args(false)
      ->group("The machine");

  options.in("Rates, measured unless given");
  options.number("attention-rate", o.attention_rate, 1e-3, 1e9, 1e9, "of a rank, GFLOP/s");
  options.number("linear-rate", o.linear_rate, 1e-3, 1e9, 1e9, "of a rank, GFLOP/s");
  options.number("copy-rate", o.copy_rate, 1e-3, 1e9, 1e9, "of a rank's memory, GB/s");
  options.number("link-bandwidth", o.bandwidth, 1e-6, 1e9, 1e9, "within a host, GB/s");
  options.number("link-latency", o.latency, 0, 1e9, 1e-6, "within a host, microseconds");
  options.number("host-bandwidth", o.host_bandwidth, 1e-6, 1e9, 1e9, "between hosts, GB/s");
  options.number("host-latency", o.host_latency, 0, 1e9, 1e-6, "between hosts, microseconds");
  options.number("seconds", o.seconds, 0.001, 60, 1, "to measure each rate [0.2]");

  options.in("What is shown");
  app.add_flag("--simulate", o.simulate, "play the hops one by one: uneven shards, slow ranks")
      ->group("What is shown");
  app.add_flag("--links", o.links,
               "measure the ways between the ranks that mpirun started, and print them as a "
               "cluster description")
      ->group("What is shown");
  app.add_option("--plot", o.plot, "step time by number of ranks, as SVG")->group("What is shown");
  app.add_option("--json", o.json, "write it all there ('-': stdout, in place of the table)")
      ->group("What is shown");
  if (parse(app, arguments) == Parsed::HelpShown) return std::nullopt;
  for (const std::string& text : slow) o.slow.push_back(parse_straggler(text));
  check(o);
  return o;
}

}  // namespace annulus::cli
