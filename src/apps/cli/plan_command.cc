#include <algorithm>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "apps/cli/commands.h"
#include "apps/cli/plan.h"
#include "apps/cli/program.h"
#include "apps/cli/report.h"
#include "base/parallel_for.h"
#include "io/atomic_file.h"

namespace annulus::cli {

namespace {

struct Planned {
  PlannedWork what;
  Cluster cluster;
  int ranks = 1;
  std::string compute_from, links_from;  // "given", "measured over MPI"
  std::vector<PlanRow> rows;
  std::vector<ScalingPoint> scaling;  // empty unless a plot is wanted
  std::string why;
};

std::string seconds_text(double seconds) {
  if (seconds == 0) return "0";
  std::ostringstream text;
  text << std::fixed << std::setprecision(3);
  if (seconds < 1e-3)
    text << seconds * 1e6 << " us";
  else if (seconds < 1)
    text << seconds * 1e3 << " ms";
  else
    text << seconds << " s";
  return text.str();
}

std::string bytes_text(double bytes) {
  if (bytes == 0) return "0";
  std::ostringstream text;
  text << std::fixed << std::setprecision(1);
  if (bytes < 1e6)
    text << bytes / 1e3 << " kB";
  else if (bytes < 1e9)
    text << bytes / 1e6 << " MB";
  else
    text << bytes / 1e9 << " GB";
  return text.str();
}

void place(const PlanOptions& options, const ClusterFile& file, int world, Planned& planned) {
  Cluster& cluster = planned.cluster;
  const std::optional<int> hosts = options.hosts ? options.hosts : file.hosts;
  const std::optional<int> per_host =
      options.ranks_per_host ? options.ranks_per_host : file.ranks_per_host;
  const int described = hosts.value_or(1) * per_host.value_or(1);
  planned.ranks = options.ranks.value_or(hosts || per_host ? described
                                         : world > 1       ? world
                                                           : available_cores());
  cluster.hosts = hosts.value_or(per_host ? (planned.ranks + *per_host - 1) / *per_host : 1);
  cluster.ranks_per_host = per_host.value_or((planned.ranks + cluster.hosts - 1) / cluster.hosts);
  require(planned.ranks <= cluster.ranks(), ErrorCode::InvalidRequest,
          "--ranks: wanted at most those of the cluster (", cluster.hosts, " hosts x ",
          cluster.ranks_per_host, "), found ", planned.ranks);
  cluster.in_place = !options.no_shared_memory && file.in_place.value_or(true);
  cluster.stragglers = file.stragglers;
  cluster.stragglers.insert(cluster.stragglers.end(), options.slow.begin(), options.slow.end());
  for (const Straggler& slow : cluster.stragglers)
    require(slow.rank < cluster.ranks(), ErrorCode::InvalidRequest, "--slow: wanted a rank below ",
            cluster.ranks(), ", found ", slow.rank);
}

//   together  ranks that this process measures at the same time
void set_compute(const PlanOptions& options, const ClusterFile& file, const Platform& platform,
                 int together, Planned& planned) {
  std::optional<double> attention = options.attention_rate, linear = options.linear_rate,
                        copy = options.copy_rate;
  if (!attention) attention = file.attention_rate;
  if (!linear) linear = file.linear_rate;
  if (!copy) copy = file.copy_rate;
  planned.compute_from = "given";
  if (!attention || !linear || !copy) {
    const ComputeRates measured =
        measure_compute(options, platform.threads(), together, planned.what, planned.ranks);
    planned.compute_from = text_of("measured with ", platform.threads(),
                                   platform.threads() == 1 ? " thread" : " threads",
                                   together > 1 ? text_of(", ", together, " ranks at a time") : "");
    attention = attention.value_or(measured.attention);
    linear = linear.value_or(measured.linear);
    copy = copy.value_or(measured.copy);
  }
  planned.cluster.attention_flop_per_second = *attention;
  planned.cluster.linear_flop_per_second = *linear;
  planned.cluster.copy_bytes_per_second = *copy;
}

// The way that messages take: as given, as the file says, or measured.
void set_links(const PlanOptions& options, const ClusterFile& file, Communicator* world,
               const Platform& platform, Planned& planned) {
  Cluster& cluster = planned.cluster;
  const bool one_rank = planned.ranks == 1;
  const bool needs_inside =
      !one_rank && cluster.ranks_per_host > 1 && !file.inside && !options.bandwidth;
  const bool needs_between =
      !one_rank && cluster.hosts > 1 && !file.between && !options.host_bandwidth;
  MeasuredLinks measured;
  planned.links_from = "given";
  if (needs_inside || (needs_between && world != nullptr)) {
    measured = world != nullptr ? measure_links(*world, platform, options.seconds)
                                : measure_links_here(options);
    planned.links_from = text_of("measured ", measured.how);
  }
  require(!needs_between || measured.between, ErrorCode::InvalidRequest,
          "plan: wanted --host-bandwidth, or \"between\" in --cluster, for ", cluster.hosts,
          " hosts, found neither; `mpirun ... annulus plan --links` measures it");
  const auto set = [](Link& link, const std::optional<Link>& from_file,
                      const std::optional<Link>& found, const std::optional<double>& bandwidth,
                      const std::optional<double>& latency) {
    if (found) link = *found;
    if (from_file) link = *from_file;
    if (bandwidth) link = {.latency_seconds = 0, .bytes_per_second = *bandwidth};
    if (latency) link.latency_seconds = *latency;
  };
  set(cluster.inside, file.inside, measured.inside, options.bandwidth, options.latency);
  set(cluster.between, file.between, measured.between, options.host_bandwidth,
      options.host_latency);
}

void compare(const PlanOptions& options, Planned& planned) {
  planned.rows = plan_rows(planned.what.work, planned.cluster, planned.ranks, options.simulate);
  require(!planned.rows.empty(), ErrorCode::InvalidRequest, "plan: wanted ranks that divide ",
          "into groups, found none for ", planned.ranks);
  std::vector<PlanCost> costs;
  for (const PlanRow& row : planned.rows) {
    costs.push_back(row.cost);
    if (!row.played) continue;
    costs.back().seconds = row.played->seconds;
    costs.back().exposed_seconds = row.played->seconds - row.cost.compute_seconds;
  }
  planned.why = reason_for(costs);
  if (!options.plot.empty())
    planned.scaling = scaling(planned.what.work, planned.cluster, planned.ranks, options.simulate);
}

std::string command_for(const ParallelPlan& plan) {
  std::string text = text_of("--ranks ", plan.ranks());
  if (plan.cfg > 1) text += " --cfg-parallel";
  return text + text_of(" --ring-degree ", plan.ring, " --ulysses-degree ", plan.ulysses);
}

void print_rates(const Planned& planned) {
  const Cluster& cluster = planned.cluster;
  const auto link = [](const Link& way) {
    return text_of(bytes_text(way.bytes_per_second), "/s, ", seconds_text(way.latency_seconds));
  };
  std::cout << planned.what.title << '\n' << std::fixed << std::setprecision(1);
  std::cout << "a rank: attention " << cluster.attention_flop_per_second / 1e9
            << " GFLOP/s, linear " << cluster.linear_flop_per_second / 1e9 << " GFLOP/s, copies "
            << bytes_text(cluster.copy_bytes_per_second) << "/s (" << planned.compute_from << ")\n";
  if (planned.ranks > 1) {
    std::cout << "messages: ";
    if (cluster.ranks_per_host > 1) std::cout << "within a host " << link(cluster.inside);
    if (cluster.ranks_per_host > 1 && cluster.hosts > 1) std::cout << "; ";
    if (cluster.hosts > 1) std::cout << "between hosts " << link(cluster.between);
    std::cout << " (" << planned.links_from << ")\n";
  }
  std::cout << planned.ranks << (planned.ranks == 1 ? " rank" : " ranks") << " on "
            << (planned.ranks + cluster.ranks_per_host - 1) / cluster.ranks_per_host
            << (planned.ranks <= cluster.ranks_per_host ? " host" : " hosts");
  if (planned.ranks > 1 && cluster.ranks_per_host > 1)
    std::cout << (cluster.in_place ? ", K and V of a host's ranks read in place"
                                   : ", all K and V in messages");
  for (const Straggler& slow : cluster.stragglers)
    std::cout << ", rank " << slow.rank << " " << slow.slowdown << " times as slow";
  if (planned.what.work.weight_bytes > 0)
    std::cout << "; weights " << bytes_text(planned.what.work.weight_bytes)
              << ", mapped once per host";
  std::cout << "\n\n";
}

void print_table(const Planned& planned, bool simulated) {
  const auto cell = [](const std::string& text, int width) {
    std::cout << std::right << std::setw(width) << text;
  };
  std::cout << std::left << std::setw(30) << "plan";
  if (simulated) cell("simulated", 13);
  for (const char* name : {"step", "compute", "waiting", "hidden"}) cell(name, 12);
  for (const char* name : {"sent/rank", "K+V/rank", "memory/rank"}) cell(name, 12);
  std::cout << '\n';
  for (const PlanRow& row : planned.rows) {
    const PlanCost& cost = row.cost;
    std::cout << std::left << std::setw(30)
              << to_string(cost.plan) + (cost.by_queries ? " (q)" : "");
    if (simulated) cell(row.played ? seconds_text(row.played->seconds) : "-", 13);
    for (const double seconds :
         {cost.seconds, cost.compute_seconds, cost.exposed_seconds, cost.hidden_seconds})
      cell(seconds_text(seconds), 12);
    for (const double bytes : {cost.sent_bytes, cost.kv_bytes, cost.rank_bytes})
      cell(bytes_text(bytes), 12);
    std::cout << '\n';
  }
  std::cout << "\nchoice: " << planned.why << '\n'
            << "        annulus generate " << command_for(planned.rows.front().cost.plan) << '\n';
}

Json row_json(const PlanRow& row) {
  const PlanCost& cost = row.cost;
  Json json = Json::object({{"cfg", cost.plan.cfg},
                            {"ring", cost.plan.ring},
                            {"ulysses", cost.plan.ulysses},
                            {"step_seconds", cost.seconds},
                            {"compute_seconds", cost.compute_seconds},
                            {"exposed_seconds", cost.exposed_seconds},
                            {"hidden_seconds", cost.hidden_seconds},
                            {"run_seconds", cost.run_seconds},
                            {"sent_bytes", cost.sent_bytes},
                            {"read_bytes", cost.read_bytes},
                            {"kv_bytes", cost.kv_bytes},
                            {"attention_bytes", cost.attention_bytes},
                            {"rank_bytes", cost.rank_bytes},
                            {"by_queries", cost.by_queries}});
  if (row.played)
    json.set("simulated", Json::object({{"step_seconds", row.played->seconds},
                                        {"compute_seconds", row.played->compute_seconds},
                                        {"mean_waiting_seconds", row.played->waiting_seconds},
                                        {"most_waiting_seconds", row.played->most_waiting_seconds},
                                        {"sent_bytes_all_ranks", row.played->sent_bytes},
                                        {"events", row.played->events}}));
  return json;
}

Json report_of(const Planned& planned) {
  Json plans = Json::array(), points = Json::array();
  for (const PlanRow& row : planned.rows) plans.push(row_json(row));
  for (const ScalingPoint& point : planned.scaling)
    points.push(Json::object({{"ranks", point.ranks}, {"plan", row_json(point.best)}}));
  const ParallelPlan& best = planned.rows.front().cost.plan;
  Json report = Json::object({{"version", version()},
                              {"work", planned.what.title},
                              {"steps", planned.what.work.steps},
                              {"dtype", std::string(name_of(planned.what.dtype))},
                              {"weight_bytes", planned.what.work.weight_bytes},
                              {"ranks", planned.ranks},
                              {"cluster", cluster_json(planned.cluster)},
                              {"rates", planned.compute_from},
                              {"links", planned.links_from},
                              {"plans", plans},
                              {"choice", Json::object({{"cfg", best.cfg},
                                                       {"ring", best.ring},
                                                       {"ulysses", best.ulysses},
                                                       {"why", planned.why}})}});
  if (!planned.scaling.empty()) report.set("scaling", points);
  return report;
}

int threads_per_rank(const PlanOptions& options, const ClusterFile& file, int world) {
  if (options.threads > 0) return options.threads;
  const bool elsewhere = file.hosts || file.ranks_per_host || options.hosts ||
                         options.ranks_per_host;  // this machine stands for one rank
  const int here = world > 1 ? world : elsewhere ? 1 : options.ranks.value_or(available_cores());
  return std::max(1, available_cores() / here);
}

}  // namespace

int run_plan(const Arguments& arguments) {
  const std::optional<PlanOptions> options = read_plan_options(arguments);
  if (!options) return 0;
  ClusterFile file;
  if (!options->cluster.empty()) file = read_cluster(options->cluster);
  const std::unique_ptr<Communicator> world = started_by_mpi() ? make_mpi({}) : nullptr;
  const int world_size = world != nullptr ? world->size() : 1;
  const std::unique_ptr<Platform> platform =
      make_platform(options->platform, {.threads = threads_per_rank(*options, file, world_size)});
  const bool speaks = world == nullptr || world->rank() == 0;
  if (options->links) {
    require(world_size > 1, ErrorCode::InvalidRequest,
            "--links: wanted ranks that mpirun started, found one process");
    const MeasuredLinks links = measure_links(*world, *platform, options->seconds);
    if (speaks) write_report(options->json.empty() ? "-" : options->json, links_json(links));
    return 0;
  }

  Planned planned;
  planned.what = planned_work(*options, *platform);
  place(*options, file, world_size, planned);
  const bool here = planned.cluster.hosts == 1 && options->cluster.empty() && world_size == 1;
  const int together =
      here ? std::clamp(available_cores() / platform->threads(), 1, planned.ranks) : 1;
  set_compute(*options, file, *platform, together, planned);
  set_links(*options, file, world_size > 1 ? world.get() : nullptr, *platform, planned);
  if (!speaks) return 0;
  compare(*options, planned);
  if (!options->plot.empty())
    write_file(options->plot, std::string_view(scaling_svg(planned.what.title, planned.scaling)));
  if (options->json != "-") {
    print_rates(planned);
    print_table(planned, options->simulate);
  }
  if (!options->json.empty()) write_report(options->json, report_of(planned));
  return 0;
}

}  // namespace annulus::cli
