#include "apps/cli/generate_run.h"

#include <unistd.h>

#include <iostream>

#include "apps/cli/generate_video.h"
#include "apps/cli/job_file.h"
#include "apps/cli/output_name.h"
#include "apps/cli/picture_metadata.h"
#include "apps/cli/progress_line.h"
#include "apps/cli/run_clock.h"
#include "apps/cli/terminal_picture.h"
#include "io/safetensors.h"

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

  void make(const JobBatch& batch) {
    for (const Job& job : batch.jobs)
      if (!job.seed_given && !options_.quiet) std::cerr << "annulus: seed " << job.seed << '\n';
    line_.picture(batch.jobs.front().index, count_);
    VideoOutput videos(engine_, batch.jobs, batch.request,
                       [&](int index, const std::filesystem::path& file, const Image& first) {
                         line_.clear();
                         tell(batch.jobs[static_cast<std::size_t>(index)], batch.request, file,
                              first);
                       });
    Progress told = progress(batch.jobs, batch.request);
    if (is_video(batch.request))
      told.frame = [&](int index, std::int64_t frame, const Image& image) {
        videos.add(index, frame, image);
      };
    const Result result = engine_.run(batch.request, told);
    line_.clear();
    add_costs(result.costs);
    const StopWatch writing;
    for (std::size_t i = 0; i < batch.jobs.size(); ++i)
      write(batch.jobs[i], batch.request, result, static_cast<int>(i));
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
    made.checkpoint = [this, jobs, &completed](int steps, const Tensor& latents) {
      write_job_file(job_file(jobs.front()), metadata_json(engine_, jobs.front(), completed, 0),
                     steps, latents);
    };
    made.preview = [this, jobs, &completed](int index, int step, const Image& image) {
      const Job& job = jobs[static_cast<std::size_t>(index)];
      std::filesystem::path file = in_its_folder(result_path(job, completed));
      file.replace_filename(text_of(file.stem().string(), ".step-", step,
                                    is_video(completed) ? ".png" : file.extension().string()));
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
    if (!job.options.save_latents.empty())
      write_safetensors(in_its_folder(output_path(job, job.options.save_latents.string())),
                        {{"latents", result.latents.slice(0, index, index + 1)}});
    if (is_video(completed)) return;  // written while it came
    const Image& image = result.images[static_cast<std::size_t>(index)];
    const Json metadata = metadata_json(engine_, job, completed, index);
    tell(job, completed,
         write_image(in_its_folder(result_path(job, completed)), image,
                     image_options(job.options, metadata),
                     job.options.overwrite ? IfExists::Replace : IfExists::Number),
         image);
  }

  // Says that a file is written, and shows it.
  void tell(const Job& job, const Request& completed, const std::filesystem::path& file,
            const Image& image) {
    std::error_code ignored;  // a state that stays is no harm
    if (options_.checkpoint_every > 0) std::filesystem::remove(job_file(job), ignored);
    if (options_.json != "-") std::cout << file.string() << std::endl;
    if (options_.show == Choice::On ||
        (options_.show == Choice::Auto && !options_.quiet && isatty(STDERR_FILENO) != 0))
      show_picture(std::cerr, image, 48, terminal_graphics());
    summary_.outputs.push_back({file, job, completed});
    Request& kept = summary_.outputs.back().request;
    kept.images.clear();  // a long run has many
    kept.latents.reset();
  }

  Engine& engine_;
  const GenerateOptions& options_;
  int count_;
  const std::function<bool()>& stop_;
  RunSummary& summary_;
  ProgressLine line_;
};

}  // namespace

std::filesystem::path in_its_folder(std::filesystem::path file) {
  std::error_code failed;
  if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path(), failed);
  require(
      !failed,
      failed == std::errc::no_space_on_device ? ErrorCode::StorageFull : ErrorCode::InvalidRequest,
      "--output: wanted a folder that can be made, found ", failed.message(), " (",
      file.parent_path().string(), ")");
  return file;
}

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
                         .deterministic = options.deterministic,
                         .version = {}};
  for (const LoraOption& lora : options.loras) config.loras.emplace_back(lora.file, lora.scale);
  return config;
}

RunSummary run_jobs(Engine& engine, const GenerateOptions& options, const std::vector<Job>& jobs,
                    double load_seconds, const std::function<bool()>& stop) {
  RunSummary summary;
  summary.seconds.load = load_seconds;
  ConditionPictures pictures;
  CheckedJobs checked = check_jobs(engine, jobs, options.batch_size, pictures);
  print_warnings(std::cerr, checked);
  summary.predicted_peak = checked.predicted_peak;
  Run run(engine, options, jobs.size(), stop, summary);
  for (JobBatch& batch : checked.batches) {
    fetch_inputs(engine, batch, pictures);
    run.make(batch);
    batch.request = {};
  }
  summary.seconds.total = seconds_since_process_start();
  return summary;
}

}  // namespace annulus::cli
