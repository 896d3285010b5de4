// `annulus plan` as a user runs it. Rates are given, so that nothing depends on this machine.
#include <gtest/gtest.h>

#include <algorithm>

#include "io/json.h"
#include "program.h"

namespace annulus::test {
namespace {

const std::vector<std::string> kRates = {"plan", "--attention-rate", "1000", "--linear-rate",
                                         "2000", "--copy-rate",      "20",   "--link-bandwidth",
                                         "10",   "--link-latency",   "2"};

Finished run_plan(std::vector<std::string> more, bool rates = true) {
  std::vector<std::string> words = rates ? kRates : std::vector<std::string>{"plan"};
  words.insert(words.end(), more.begin(), more.end());
  return run_program(words);
}

Json report(std::vector<std::string> more) {
  more.insert(more.end(), {"--json", "-"});
  const Finished run = run_plan(more);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(run.err, "");
  return Json::parse(run.out, "report", ErrorCode::InvalidRequest);
}

void expect_error(const Finished& run, const std::string& part) {
  EXPECT_EQ(run.status, 2) << run.err;
  EXPECT_NE(run.err.find(part), std::string::npos) << run.err;
  EXPECT_LE(std::count(run.err.begin(), run.err.end(), '\n'), 2) << run.err;
  EXPECT_EQ(run.out, "");
}

TEST(Plan, TheTableShowsEveryPlanOfTheModelAndTheChoice) {
  const Finished run = run_plan({"--ranks", "4", "--size", "128x192"});
  EXPECT_EQ(run.status, 0) << run.err;
  for (const char* part :
       {"QwenImagePipeline, 128x192 pixels: 96 + 128 tokens", "cfg 2 x ring 2",
        "cfg 1 x ring 1 x ulysses 4", "memory/rank", "choice: cfg ", "annulus generate --ranks 4"})
    EXPECT_NE(run.out.find(part), std::string::npos) << part << '\n' << run.out;
}

TEST(Plan, TheReportHoldsTheNumbersOfTheContract) {
  const Json json = report({"--tokens", "4096", "--heads", "24", "--head-dim", "128", "--dtype",
                            "f32", "--ranks", "4", "--no-shared-memory"});
  ASSERT_EQ(json["plans"].size(), 3u);
  for (const Json& plan : json["plans"].elements()) {
    const double ring = plan.get<double>("ring"), ulysses = plan.get<double>("ulysses");
    const double row = 4096.0 * 128 * 4;
    EXPECT_NEAR(plan.get<double>("sent_bytes"),
                2 * (ring - 1) / ring * 24 / ulysses * row +
                    (ulysses - 1) / (ulysses * ulysses) * 96 / ring * row,
                1);
    EXPECT_NEAR(plan.get<double>("kv_bytes"), ring == 1 ? 0 : 4 / ring * 24 / ulysses * row, 1);
  }
  EXPECT_EQ(json["choice"].get<int>("ring"), json["plans"].at(0).get<int>("ring"));
}

TEST(Plan, ADescribedClusterIsPlayedAndPlotted) {
  const ScratchFolder folder;
  write_text(folder / "cluster.json",
             R"({"hosts": 8, "ranks_per_host": 4, "attention_flop_per_second": 1e13,
                 "between": {"latency_seconds": 2e-5, "bytes_per_second": 1.25e9},
                 "stragglers": [{"rank": 3, "slowdown": 2}]})");
  const std::string plot = (folder / "scaling.svg").string();
  const Json json = report({"--model", "qwen-image", "--simulate", "--cluster",
                            (folder / "cluster.json").string(), "--plot", plot});
  EXPECT_EQ(json.get<int>("ranks"), 32);
  EXPECT_GT(json["plans"].at(0)["simulated"].get<double>("most_waiting_seconds"), 0);
  EXPECT_EQ(json["scaling"].size(), 6u);  // 1, 2, 4, 8, 16, 32
  const std::string svg = read_text(plot);
  EXPECT_TRUE(svg.starts_with("<svg")) << svg.substr(0, 80);
  EXPECT_NE(svg.find("best plan"), std::string::npos);
}

TEST(Plan, WhatIsNotGivenIsMeasured) {
  const Finished run = run_plan({"--seconds", "0.01", "--ranks", "2"}, false);
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_NE(run.out.find("(measured with 1 thread"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("(measured "), std::string::npos) << run.out;
}

TEST(Plan, WrongInputIsOneErrorThatSaysWhatWasWanted) {
  expect_error(run_plan({"--tokens", "100"}), "--tokens, --heads and --head-dim together");
  expect_error(run_plan({"--tokens", "100", "--heads", "6", "--head-dim", "8", "--kv-heads", "4"}),
               "wanted a divisor of 6 heads, found 4");
  expect_error(run_plan({"--size", "100x100"}), "wanted multiples of 16 pixels");
  expect_error(run_plan({"--ranks", "0"}), "--ranks: wanted a whole number from 1 to 4096");
  expect_error(run_plan({"--ranks", "5000"}), "--ranks: wanted a whole number from 1 to 4096");
  expect_error(run_plan({"--ranks", "9", "--hosts", "2", "--ranks-per-host", "4"}),
               "wanted at most those of the cluster");
  expect_error(run_plan({"--hosts", "2", "--ranks-per-host", "4"}), "--host-bandwidth");
  expect_error(run_plan({"--host-bandwidth", "nan"}), "--host-bandwidth: wanted a number");
  expect_error(run_plan({"--slow", "9"}), "--slow: wanted RANK:FACTOR");
  expect_error(run_plan({"--ranks", "2", "--slow", "7:2"}), "--slow: wanted a rank below 2");
  expect_error(run_plan({"--plot", "x.png"}), "ends in .svg");
  expect_error(run_plan({"--links"}), "wanted ranks that mpirun started");
  expect_error(run_plan({"--simulat"}), "did you mean --simulate?");
}

TEST(Plan, AWrongClusterFileIsRefusedWithKeyAndFile) {
  const ScratchFolder folder;
  const auto refused = [&](const std::string& text, const std::string& part) {
    const std::string file = (folder / "cluster.json").string();
    write_text(file, text);
    const Finished run = run_plan({"--cluster", file});
    expect_error(run, part);
    EXPECT_NE(run.err.find("cluster.json"), std::string::npos) << run.err;
  };
  refused("[]", "wanted an object");
  refused(R"({"hots": 2})", "perhaps hosts");
  refused(R"({"hosts": 0})", "hosts: wanted a number from 1 to 4096");
  refused(R"({"hosts": 4096, "ranks_per_host": 2})", "wanted at most 4096 ranks in all");
  refused(R"({"hosts": 1e99})", "hosts");
  refused(R"({"inside": {"latency_seconds": 1}})", "bytes_per_second");
  refused(R"({"inside": {"bytes_per_second": -1}})", "inside.bytes_per_second: wanted a number");
  refused(R"({"stragglers": [{"rank": 1}]})", "stragglers[0]");
  refused(R"({"attention_flop_per_second": NaN})", "attention_flop_per_second");
  const Finished absent = run_plan({"--cluster", (folder / "none.json").string()});
  expect_error(absent, "none.json");
}

}  // namespace
}  // namespace annulus::test
