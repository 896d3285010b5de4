#include <cmath>

#include "apps/cli/nearest.h"
#include "apps/cli/plan.h"

namespace annulus::cli {

namespace {

constexpr JsonLimits kLimits{.bytes = std::size_t{1} << 20, .values = std::size_t{1} << 16};

void check_keys(const Json& json, const std::vector<std::string>& known) {
  for (const auto& [key, value] : json.members()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = nearest(key, known);
    value.fail(near.empty() ? "a key of a cluster description"
                            : text_of("a key of a cluster description, perhaps ", near),
               text_of("\"", key, "\""));
  }
}

template <class T>
std::optional<T> number(const Json& json, std::string_view key, T least, T most) {
  const std::optional<Json> member = json.find(key);
  if (!member) return std::nullopt;
  const T value = member->as<T>();
  if (!(value >= least && value <= most))
    member->fail(text_of("a number from ", least, " to ", most));
  return value;
}

std::optional<Link> link(const Json& json, std::string_view key) {
  const std::optional<Json> member = json.find(key);
  if (!member) return std::nullopt;
  check_keys(*member, {"latency_seconds", "bytes_per_second", "busy"});
  Link made;
  made.latency_seconds = number(*member, "latency_seconds", 0.0, 1e3).value_or(0);
  const auto rate = number(*member, "bytes_per_second", 1.0, 1e18);
  if (!rate) member->fail("bytes_per_second", "none");
  made.bytes_per_second = *rate;
  made.busy = number(*member, "busy", 0.0, 1.0).value_or(0);
  return made;
}

Json link_json(const Link& link) {
  return Json::object({{"latency_seconds", link.latency_seconds},
                       {"bytes_per_second", link.bytes_per_second},
                       {"busy", link.busy}});
}

}  // namespace

ClusterFile parse_cluster(const Json& json) {
  if (!json.is_object()) json.fail("an object");
  check_keys(json, {"hosts", "ranks_per_host", "in_place", "inside", "between", "measured",
                    "attention_flop_per_second", "linear_flop_per_second", "copy_bytes_per_second",
                    "stragglers"});
  ClusterFile cluster;
  cluster.hosts = number(json, "hosts", 1, kMostRanks);
  cluster.ranks_per_host = number(json, "ranks_per_host", 1, kMostRanks);
  if (cluster.hosts.value_or(1) > kMostRanks / cluster.ranks_per_host.value_or(1))
    json.fail(text_of("at most ", kMostRanks, " ranks in all"),
              text_of(*cluster.hosts, " hosts x ", cluster.ranks_per_host.value_or(1)));
  if (const auto in_place = json.find("in_place")) cluster.in_place = in_place->as<bool>();
  cluster.inside = link(json, "inside");
  cluster.between = link(json, "between");
  cluster.attention_rate = number(json, "attention_flop_per_second", 1.0, 1e18);
  cluster.linear_rate = number(json, "linear_flop_per_second", 1.0, 1e18);
  cluster.copy_rate = number(json, "copy_bytes_per_second", 1.0, 1e18);
  if (const auto list = json.find("stragglers"))
    for (const Json& entry : list->elements()) {
      check_keys(entry, {"rank", "slowdown"});
      const auto rank = number(entry, "rank", 0, kMostRanks - 1);
      const auto slowdown = number(entry, "slowdown", 0.01, 1e6);
      if (!rank || !slowdown) entry.fail("rank and slowdown");
      cluster.stragglers.push_back({*rank, *slowdown});
    }
  return cluster;
}

ClusterFile read_cluster(const std::filesystem::path& file) {
  return parse_cluster(Json::read(file, ErrorCode::InvalidRequest, kLimits));
}

Json cluster_json(const Cluster& cluster) {
  Json stragglers = Json::array();
  for (const Straggler& slow : cluster.stragglers)
    stragglers.push(Json::object({{"rank", slow.rank}, {"slowdown", slow.slowdown}}));
  return Json::object({{"hosts", cluster.hosts},
                       {"ranks_per_host", cluster.ranks_per_host},
                       {"in_place", cluster.in_place},
                       {"inside", link_json(cluster.inside)},
                       {"between", link_json(cluster.between)},
                       {"attention_flop_per_second", cluster.attention_flop_per_second},
                       {"linear_flop_per_second", cluster.linear_flop_per_second},
                       {"copy_bytes_per_second", cluster.copy_bytes_per_second},
                       {"stragglers", stragglers}});
}

Json links_json(const MeasuredLinks& links) {
  Json json = Json::object({{"measured", links.how}});
  if (links.inside) json.set("inside", link_json(*links.inside));
  if (links.between) json.set("between", link_json(*links.between));
  return json;
}

}  // namespace annulus::cli
