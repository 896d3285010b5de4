#include "apps/cli/generate_report.h"

#include <algorithm>
#include <iomanip>
#include <map>
#include <ostream>

#include "apps/cli/program.h"
#include "apps/cli/run_clock.h"

namespace annulus::cli {

namespace {

Json attention_json(const Engine& engine) {
  Json made = Json::object();
  for (const ComponentAttention& layer : engine.pipeline().attention()) {
    if (made.has(layer.component))
      continue;  // the component's first layer speaks for it; --explain lists what differs
    Json refused = Json::array();
    for (const AttentionRefusal& refusal : layer.choice.refused)
      refused.push(Json::object({{"backend", refusal.backend}, {"why", refusal.why}}));
    made.set(layer.component, Json::object({{"backend", std::string(layer.choice.backend->name())},
                                            {"lse", layer.choice.spec.lse},
                                            {"why", layer.choice.why},
                                            {"refused", refused}}));
  }
  return made;
}

Json outputs_json(const RunSummary& summary) {
  Json list = Json::array();
  for (const Output& output : summary.outputs)
    list.push(Json::object({{"file", output.file.string()},
                            {"prompt", output.job.prompt},
                            {"seed", output.job.seed},
                            {"width", output.request.width},
                            {"height", output.request.height},
                            {"frames", output.request.frames},
                            {"steps", output.request.steps}}));
  return list;
}

Json seconds_json(const RunSeconds& seconds) {
  return Json::object({{"start_to_first_step", seconds.start_to_first_step},
                       {"load", seconds.load},
                       {"encode", seconds.encode},
                       {"denoise", seconds.denoise},
                       {"decode", seconds.decode},
                       {"write", seconds.write},
                       {"total", seconds.total},
                       {"steps", seconds.steps}});
}

double best_peak(const std::vector<PeakRate>& peaks) {
  double best = 0;
  for (const PeakRate& peak : peaks)
    if (peak.unit == "flop/s") best = std::max(best, peak.per_second);
  return best;
}

}  // namespace

Json generate_report(const Engine& engine, const GenerateOptions& options,
                     const RunSummary& summary) {
  // One number on one rank, else a list in rank order.
  const auto of_ranks = [&](const auto& value) {
    Json list = Json::array();
    for (const RankUse& rank : summary.ranks) list.push(value(rank));
    return list.size() == 1 ? list.at(0) : list;
  };
  return Json::object(
      {{"version", version()},
       {"model", options.model.string()},
       {"platform", std::string(engine.platform().name())},
       {"device", std::string(engine.device().name())},
       {"isa", engine.platform().isa()},
       {"dtype", std::string(name_of(engine.dtype()))},
       {"threads", engine.platform().threads()},
       {"plan", Json::object({{"ranks", engine.plan().ranks()},
                              {"cfg", engine.plan().cfg},
                              {"ring", engine.plan().ring},
                              {"ulysses", engine.plan().ulysses}})},
       {"attention", attention_json(engine)},
       {"outputs", outputs_json(summary)},
       {"seconds", seconds_json(summary.seconds)},
       {"flop", Json::object({{"encode", summary.encode_flop},
                              {"denoise", summary.denoise_flop},
                              {"decode", summary.decode_flop}})},
       {"bytes",
        Json::object(
            {{"peak_resident", of_ranks([](const RankUse& r) { return r.peak_resident; })},
             {"predicted_peak", summary.predicted_peak},
             {"weights_mapped", engine.weights_mapped()},
             {"allocator_peak", of_ranks([](const RankUse& r) { return r.allocator_peak; })},
             {"kv_peak", 0},
             {"sent", of_ranks([](const RankUse& r) { return r.sent; })}})}});
}

void print_plan(std::ostream& out, const Engine& engine) {
  const ParallelPlan& plan = engine.plan();
  out << "plan " << to_string(plan) << ": " << plan.ranks()
      << (plan.ranks() == 1 ? " rank" : " ranks");
  if (plan.cfg > 1) out << ", the passes of guidance on " << plan.cfg << " groups of ranks";
  if (plan.ring > 1)
    out << ", keys and values go round " << plan.ring << " ranks (attention needs log-sum-exp)";
  if (plan.ulysses > 1) out << ", heads dealt to " << plan.ulysses << " ranks";
  out << '\n';
}

void print_attention(std::ostream& out, const Engine& engine) {
  struct Group {
    std::string first;
    int layers = 0;
    AttentionChoice choice;
  };
  std::vector<std::pair<std::string, Group>>
      groups;  // by what is said of them, in order of appearance
  for (const ComponentAttention& layer : engine.pipeline().attention()) {
    std::string said = text_of(layer.component, ": ", layer.choice.backend->name(), " (",
                               layer.choice.why, ") for ", to_string(layer.choice.spec));
    const auto known = std::find_if(groups.begin(), groups.end(),
                                    [&](const auto& group) { return group.first == said; });
    if (known != groups.end())
      ++known->second.layers;
    else
      groups.emplace_back(std::move(said), Group{layer.layer, 1, layer.choice});
  }
  for (const auto& [said, group] : groups) {
    out << "attention " << said << ", " << group.layers
        << (group.layers == 1 ? " layer" : " layers") << " from " << group.first << '\n';
    for (const AttentionRefusal& refusal : group.choice.refused)
      out << "  not " << refusal.backend << ": " << refusal.why << '\n';
  }
}

void print_costs(std::ostream& out, const Engine& engine, const RunSummary& summary) {
  constexpr double kSecondsPerPeak = 0.1;
  const double peak = best_peak(engine.platform().measure_peaks(kSecondsPerPeak));
  const auto stage = [&](std::string_view name, double seconds, double flop) {
    out << "annulus: " << std::left << std::setw(8) << name << std::right << std::fixed
        << std::setprecision(2) << std::setw(9) << seconds << " s";
    if (flop > 0 && seconds > 0) {
      out << std::setprecision(1) << std::setw(10) << flop / 1e9 << " Gflop" << std::setw(9)
          << flop / seconds / 1e9 << " GFLOP/s";
      if (peak > 0) out << std::setw(6) << 100 * flop / seconds / peak << " % of the measured peak";
    }
    out << '\n';
  };
  const RunSeconds& seconds = summary.seconds;
  stage("load", seconds.load, 0);
  stage("encode", seconds.encode, summary.encode_flop);
  stage("denoise", seconds.denoise, summary.denoise_flop);
  stage("decode", seconds.decode, summary.decode_flop);
  stage("write", seconds.write, 0);
  stage("total", seconds.total, 0);
  out << "annulus: memory " << peak_resident_bytes() / 1000000 << " MB at most, "
      << summary.predicted_peak / 1000000 << " MB predicted\n";
}

}  // namespace annulus::cli
