#include "apps/cli/generate_run.h"

#include <unistd.h>

#include <iostream>

#include "apps/cli/output_name.h"
#include "apps/cli/picture_metadata.h"
#include "apps/cli/progress_line.h"
#include "apps/cli/run_clock.h"
#include "apps/cli/terminal_picture.h"
#include "io/safetensors.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus::cli {

namespace {

ImageOptions image_options(const GenerateOptions& options, const Json& metadata) {
  return {
      .quality = options.quality, .lossless = options.quality == 100, .text = image_text(metadata)};
}

// One engine run's worth of jobs and how it goes.
class Run {
 public:
  Run(Engine& engine, const GenerateOptions& options, std::size_t jobs,
      const std::function<bool()>& stop, RunSummary& summary)
      : engine_(engine),
        options_(options),
        count_(static_cast<int>(jobs)),
        stop_(stop),
        summary_(summary),
        line_(std::cerr, form(options)) {}

  void make(std::span<const Job> jobs) {
    Request request = request_of(engine_, jobs.front());
    for (const Job& job : jobs.subspan(1)) {
      const Request other = request_of(engine_, job);
      request.prompts.push_back(other.prompts.front());
      request.negative_prompts.insert(request.negative_prompts.end(),
                                      other.negative_prompts.begin(), other.negative_prompts.end());
      request.seeds.push_back(other.seeds.front());
    }
    for (const Job& job : jobs)
      if (!job.seed_given && !options_.quiet) std::cerr << "annulus: seed " << job.seed << '\n';
    line_.picture(jobs.front().index, count_);
    const Request completed = engine_.complete(request);
    const Result result = engine_.run(completed, progress(jobs, completed));
    line_.clear();
    add_costs(result.costs);
    const StopWatch writing;
    for (std::size_t i = 0; i < jobs.size(); ++i)
      write(jobs[i], completed, result, static_cast<int>(i));
    summary_.seconds.write += writing.seconds();
  }

 private:
  static ProgressLine::Form form(const GenerateOptions& options) {
    if (options.quiet) return ProgressLine::Form::Quiet;
    return isatty(STDERR_FILENO) != 0 ? ProgressLine::Form::Bar : ProgressLine::Form::Lines;
  }

  Progress progress(std::span<const Job> jobs, const Request& completed) {
    Progress made;
    made.report = [this](std::string_view stage, int done, int total) {
      if (stage == "denoise" && summary_.seconds.start_to_first_step == 0)
        summary_.seconds.start_to_first_step = seconds_since_process_start();
      line_.at(stage, done, total);
    };
    made.cancelled = stop_;
    made.preview = [this, jobs, &completed](int index, int step, const Image& image) {
      const Job& job = jobs[static_cast<std::size_t>(index)];
      std::filesystem::path file = output_path(job, job.options.output);
      file.replace_filename(
          text_of(file.stem().string(), ".step-", step, file.extension().string()));
      line_.clear();
      std::cerr << "annulus: preview "
                << write_image(
                       file, image,
                       image_options(job.options, metadata_json(engine_, job, completed, index)),
                       IfExists::Number)
                       .string()
                << '\n';
    };
    return made;
  }

  void add_costs(const StageCosts& costs) {
    RunSeconds& seconds = summary_.seconds;
    seconds.encode += costs.encode_seconds;
    seconds.denoise += costs.denoise_seconds;
    seconds.decode += costs.decode_seconds;
    seconds.steps.insert(seconds.steps.end(), costs.step_seconds.begin(), costs.step_seconds.end());
    summary_.encode_flop += costs.encode_flop;
    summary_.denoise_flop += costs.denoise_flop;
    summary_.decode_flop += costs.decode_flop;
  }

  void write(const Job& job, const Request& completed, const Result& result, int index) {
    const Image& image = result.images[static_cast<std::size_t>(index)];
    const Json metadata = metadata_json(engine_, job, completed, index);
    const std::filesystem::path file = write_image(
        output_path(job, job.options.output), image, image_options(job.options, metadata),
        job.options.overwrite ? IfExists::Replace : IfExists::Number);
    if (!job.options.save_latents.empty())
      write_safetensors(output_path(job, job.options.save_latents.string()),
                        {{"latents", result.latents.slice(0, index, index + 1)}});
    if (options_.json != "-") std::cout << file.string() << std::endl;
    if (options_.show == Choice::On ||
        (options_.show == Choice::Auto && !options_.quiet && isatty(STDERR_FILENO) != 0))
      show_picture(std::cerr, image, 48, terminal_graphics());
    summary_.outputs.push_back({file, job, completed});
  }

  Engine& engine_;
  const GenerateOptions& options_;
  int count_;
  const std::function<bool()>& stop_;
  RunSummary& summary_;
  ProgressLine line_;
};

// May these two be made in one batch?
bool alike(const Job& a, const Job& b) {
  const GenerateOptions &x = a.options, &y = b.options;
  return x.width == y.width && x.height == y.height && x.steps == y.steps &&
         x.guidance_scale == y.guidance_scale && x.true_cfg_scale == y.true_cfg_scale &&
         x.strength == y.strength && x.images == y.images && x.latents.empty() &&
         y.latents.empty() && x.negative_prompt.has_value() == y.negative_prompt.has_value();
}

Tensor read_latents(const std::filesystem::path& path, Engine& engine) {
  const SafetensorsFile file = SafetensorsFile::open(path, ErrorCode::InvalidRequest);
  const Context ctx = engine.context();
  return cast(ctx.stream, file.tensor("latents", ctx.device), ctx.wide);
}

}  // namespace

std::filesystem::path output_path(const Job& job, std::string_view pattern) {
  std::filesystem::path model = job.options.model.lexically_normal();
  if (!model.has_filename()) model = model.parent_path();
  const std::string name = model.filename().string();
  return output_name(pattern,
                     {.prompt = job.prompt, .model = name, .seed = job.seed, .index = job.index});
}

EngineConfig engine_config(const GenerateOptions& options, const ParallelPlan& plan) {
  EngineConfig config = {.checkpoint = options.model,
                         .platform = options.platform,
                         .threads = options.threads,
                         .dtype = options.dtype,
                         .component_dtype = options.component_dtype,
                         .attention_backend = options.attention_backend,
                         .component_attention = options.component_attention,
                         .loras = {},
                         .plan = plan,
                         .version = {}};
  for (const LoraOption& lora : options.loras) config.loras.emplace_back(lora.file, lora.scale);
  return config;
}

Request request_of(Engine& engine, const Job& job) {
  const GenerateOptions& options = job.options;
  Request request;
  request.task = options.images.empty() ? Task::TextToImage : Task::ImageEdit;
  request.prompts = {job.prompt};
  if (options.negative_prompt) request.negative_prompts = {*options.negative_prompt};
  request.seeds = {job.seed};
  for (const std::filesystem::path& image : options.images)
    request.images.push_back(std::make_shared<const Image>(read_image(image)));
  request.width = options.width.value_or(0);
  request.height = options.height.value_or(0);
  request.steps = options.steps.value_or(0);
  request.guidance_scale = options.guidance_scale;
  request.true_cfg_scale = options.true_cfg_scale;
  request.strength = options.strength;
  if (!options.latents.empty()) request.latents = read_latents(options.latents, engine);
  request.vae_tiling = options.vae_tiling == Choice::Auto ? Request::VaeTiling::Auto
                       : options.vae_tiling == Choice::On ? Request::VaeTiling::On
                                                          : Request::VaeTiling::Off;
  request.preview_every = options.preview_every;
  return request;
}

Request completed_request(Engine& engine, const Job& job) {
  return at_line(job.where, [&] { return engine.complete(request_of(engine, job)); });
}

RunSummary run_jobs(Engine& engine, const GenerateOptions& options, const std::vector<Job>& jobs,
                    double load_seconds, const std::function<bool()>& stop) {
  RunSummary summary;
  summary.seconds.load = load_seconds;
  // Every request is checked before the first is run: a mistake in line 900 should not cost 899
  // pictures.
  for (const Job& job : jobs) {
    const Request completed = completed_request(engine, job);
    summary.predicted_peak =
        std::max(summary.predicted_peak, engine.pipeline().predict_memory(completed).peak);
  }
  Run run(engine, options, jobs.size(), stop, summary);
  for (std::size_t begin = 0; begin < jobs.size();) {
    std::size_t end = begin + 1;
    while (end < jobs.size() && end - begin < static_cast<std::size_t>(options.batch_size) &&
           alike(jobs[begin], jobs[end]))
      ++end;
    run.make(std::span(jobs).subspan(begin, end - begin));
    begin = end;
  }
  summary.seconds.total = seconds_since_process_start();
  return summary;
}

}  // namespace annulus::cli
