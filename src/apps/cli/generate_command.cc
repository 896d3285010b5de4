#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <iostream>
#include <map>
#include <optional>

#include "apps/cli/commands.h"
#include "apps/cli/default_model.h"
#include "apps/cli/exit_status.h"
#include "apps/cli/generate_report.h"
#include "apps/cli/generate_video.h"
#include "apps/cli/interrupt.h"
#include "apps/cli/job_file.h"
#include "apps/cli/mpi_launch.h"
#include "apps/cli/overlay.h"
#include "apps/cli/picture_metadata.h"
#include "apps/cli/plan_choice.h"
#include "apps/cli/rank_options.h"
#include "apps/cli/rank_process.h"
#include "apps/cli/report.h"
#include "apps/cli/resume.h"
#include "apps/cli/run_clock.h"
#include "engine/agreement.h"

namespace annulus::cli {

namespace {

// Binds every setting to `app`; what is given is collected in order.
void bind_settings(CLI::App& app, bool all, std::vector<GivenSetting>& given) {
  for (const Setting& setting : generate_settings()) {
    std::string names = "--" + setting.name;
    for (const std::string& alias : setting.aliases) names += ",--" + alias;
    CLI::Option* option = nullptr;
    if (setting.value.empty()) {
      option = app.add_flag_function(
          names,
          [&given, &setting](std::int64_t) {
            given.push_back({&setting, "true"});
          },
          setting.help);
    } else {
      option = app.add_option_function<std::vector<std::string>>(
          names,
          [&given, &setting](const std::vector<std::string>& values) {
            require(values.size() == 1 || setting.repeatable, ErrorCode::InvalidRequest, "--",
                    setting.name, ": wanted it once, found it ", values.size(), " times");
            for (const std::string& value : values) given.push_back({&setting, value});
          },
          setting.help);
      option->type_name(setting.value)->expected(1)->take_all()->allow_extra_args(false);
    }
    option->group(all || setting.common ? setting.group : "");
  }
}

// Prompts with and without a name, in the order of the command line.
std::vector<GivenSetting> given_prompts(const CLI::App& app) {
  const Setting* setting = find_setting("prompt");
  std::map<const CLI::Option*, std::size_t> seen;
  std::vector<GivenSetting> prompts;
  for (const CLI::Option* option : app.parse_order())
    if (option == app["PROMPT"] || option == app["--prompt"])
      prompts.push_back({setting, option->results().at(seen[option]++)});
  return prompts;
}

GenerateOptions resolve(const CLI::App& app, std::vector<GivenSetting> given) {
  std::erase_if(given, [](const GivenSetting& one) { return one.setting->name == "prompt"; });
  for (const GivenSetting& prompt : given_prompts(app)) given.push_back(prompt);
  GenerateOptions options;
  GenerateOptions told;  // to see whether --from is there
  apply_settings(given, told);
  require(told.from.empty() || told.resume_job.empty(), ErrorCode::InvalidRequest,
          "--resume-job: wanted it without --from, found both");
  if (!told.resume_job.empty())
    apply_settings(settings_of(read_job_settings(told.resume_job), told.resume_job.string(), false),
                   options);
  if (!told.from.empty())
    apply_settings(settings_of(read_metadata_settings(told.from), told.from.string(), false),
                   options);
  apply_settings(given, options);
  const bool by_name =
      options.model == kDefaultModelName && !std::filesystem::exists(options.model);
  if (options.model.empty() || by_name) options.model = default_model();
  return options;
}

// Of a picture or a video: which of them is known when the model is.
void check_ending(const std::filesystem::path& file) {
  std::optional<VideoFormat> video;
  try {
    video = video_format_of(file);
  } catch (const Error&) {
    image_format_of(file);
  }
  if (video) require_video_writer(*video);
}

// Folders are made when a picture is written, below one that exists.
void check_folder_of(const std::filesystem::path& file) {
  std::error_code ignored;
  std::filesystem::path folder = file.parent_path();
  while (!folder.empty() && !std::filesystem::exists(folder, ignored))
    folder = folder.parent_path();
  if (folder.empty()) folder = ".";
  require(
      std::filesystem::is_directory(folder, ignored) && ::access(folder.c_str(), W_OK | X_OK) == 0,
      ErrorCode::InvalidRequest, "--output: wanted a folder that may be written, found none (",
      folder.string(), ")");
}

// Mistakes that need no model to be seen, before a model is loaded.
void check_outputs(const GenerateOptions& options, const std::vector<Job>& jobs) {
  std::size_t latents_names = 0;
  for (const Job& job : jobs) {
    const std::filesystem::path file = output_path(job, job.options.output);
    check_ending(file);
    check_folder_of(file);
    if (!job.options.save_latents.empty() &&
        output_path(job, job.options.save_latents.string()) == job.options.save_latents)
      ++latents_names;
  }
  require(latents_names <= 1, ErrorCode::InvalidRequest,
          "--save-latents: wanted {seed} or {index} in the name for ", jobs.size(),
          " pictures, found ", options.save_latents.string());
}

// Checks every job and returns the most memory that one batch of them needs; says so on `out`.
std::size_t dry_run(std::ostream& out, Engine& engine, const std::vector<Job>& jobs,
                    int batch_size) {
  ConditionPictures pictures;
  const CheckedJobs checked = check_jobs(engine, jobs, batch_size, pictures);
  print_warnings(std::cerr, checked);
  if (!jobs.empty()) {
    const Request& first = checked.batches.front().request;
    out << engine.model_class() << ", " << first.width << "x" << first.height << " pixels, "
        << (is_video(first) ? text_of(first.frames, " frames, ") : std::string()) << first.steps
        << " steps, " << name_of(engine.dtype()) << " on " << engine.platform().name() << " ("
        << engine.platform().description() << ")\n";
  }
  out << jobs.size() << (jobs.size() == 1 ? " picture" : " pictures") << ", "
      << engine.weights_mapped() / 1000000 << " MB of weights, " << checked.predicted_peak / 1000000
      << " MB of memory at most, " << engine.platform().free_memory() / 1000000 << " MB free\n";
  return checked.predicted_peak;
}

void warn_of_adapters(const Engine& engine) {
  const std::vector<std::string> unmatched = engine.pipeline().unmatched_adapters();
  if (unmatched.empty()) return;
  std::cerr << "annulus: warning: LoRA names " << unmatched.size()
            << " modules that the model lacks: " << unmatched.front()
            << (unmatched.size() > 1 ? ", ..." : "") << '\n';
}

// With ranks: on the first, whose engine this is.
void generate(Engine& engine, const GenerateOptions& options, std::vector<Job> jobs,
              double load_seconds, const std::function<bool()>& stop) {
  warn_of_adapters(engine);
  if (options.resume) skip_finished(engine, jobs, std::cerr);
  if (options.explain) {
    print_plan(std::cerr, engine);
    print_attention(std::cerr, engine);
  }
  RunSummary summary;
  if (options.dry_run) {
    // A report on stdout stands alone.
    summary.predicted_peak =
        dry_run(options.json == "-" ? std::cerr : std::cout, engine, jobs, options.batch_size);
  } else {
    summary = run_jobs(engine, options, jobs, load_seconds, stop);
  }
  summary.ranks = engine.use();
  if (options.verbose && !options.dry_run) print_costs(std::cerr, engine, summary);
  if (!options.json.empty()) write_report(options.json, generate_report(engine, options, summary));
}

std::vector<Job> checked_jobs(const GenerateOptions& options) {
  std::vector<Job> jobs = plan_jobs(options);
  check_outputs(options, jobs);
  require(options.resume_job.empty() || jobs.size() == 1, ErrorCode::InvalidRequest,
          "--resume-job: wanted one picture, found ", jobs.size());
  require(options.checkpoint_every == 0 || options.batch_size == 1, ErrorCode::InvalidRequest,
          "--checkpoint-every: wanted --batch-size 1, found ", options.batch_size);
  return jobs;
}

void generate_alone(const GenerateOptions& options) {
  std::vector<Job> jobs = checked_jobs(options);
  const StopWatch loading;
  Engine engine(engine_config(options, {}));
  generate(engine, options, std::move(jobs), loading.seconds(), [] { return interrupted() != 0; });
}

void generate_on_ranks(const GenerateOptions& options, RankProcess& process, Communicator& world) {
  std::vector<Job> jobs;
  PlanChoice choice;
  const std::vector<int> hosts = hosts_of(world);
  together(world, [&] {
    choice = choose_plan(options, hosts);
    if (world.rank() == 0) jobs = checked_jobs(options);
  });
  const StopWatch loading;
  EngineConfig config = engine_config(options, choice.plan);
  config.threads = process.threads(options.threads);
  Engine engine(config, &world);
  if (options.verbose)
    std::cerr << text_of("annulus: rank ", world.rank(), " of ", world.size(), ": ",
                         engine.platform().name(), " (", engine.platform().description(), ")\n");
  if (!engine.leads()) return engine.follow();
  if (!choice.why.empty() && !options.quiet)
    std::cerr << "plan by the cost model: " << choice.why << '\n';
  generate(engine, options, std::move(jobs), loading.seconds(),
           [&] { return process.stop_signal() != 0; });
}

}  // namespace

int run_generate(const Arguments& arguments) {
  std::vector<GivenSetting> given;
  std::vector<std::string> prompts;  // those without a name: given_prompts has all
  CLI::App app("Pictures from prompts, with a model folder in diffusers' layout.",
               "annulus generate");
  app.add_option("PROMPT", prompts, "what to draw: one picture for each");
  bind_settings(app, wants_all_help(arguments), given);
  app.footer(
      "Examples:\n  annulus generate \"a purple house in the snow\"\n"
      "  annulus generate --seed 7 --count 4 --output '{prompt}-{index}.png' \"a red boat on the "
      "sea\"\n"
      "--help-all shows the rarer options.");
  if (const auto place = rank_place()) {
    GenerateOptions options;
    return run_as_rank(
        *place, arguments,
        [&] {
          if (parse(app, arguments) == Parsed::HelpShown) return Parsed::HelpShown;
          options = resolve(app, given);
          return Parsed::Run;
        },
        [&] { return comm_options(options); },
        [&](RankProcess& process, Communicator& world) {
          generate_on_ranks(options, process, world);
        });
  }
  if (parse(app, arguments) == Parsed::HelpShown) return 0;
  catch_interrupts();
  try {
    const GenerateOptions options = resolve(app, given);
    const int ranks = resolve_plan(plan_request(options)).ranks();
    if (ranks == 1) {
      generate_alone(options);
    } else {
      checked_jobs(options);  // mistakes that need no ranks to be seen
      Arguments words = {"generate"};
      words.insert(words.end(), arguments.begin(), arguments.end());
      launch_ranks(ranks, words);
    }
  } catch (const Error& error) {
    const int status = report_error(std::cerr, error);
    return error.code() == ErrorCode::Cancelled && interrupted() == SIGTERM ? 128 + SIGTERM
                                                                            : status;
  }
  return 0;
}

}  // namespace annulus::cli
