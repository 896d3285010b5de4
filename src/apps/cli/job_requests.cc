#include "apps/cli/job_requests.h"

#include <algorithm>
#include <iterator>
#include <ostream>

#include "apps/cli/generate_video.h"
#include "apps/cli/job_file.h"
#include "apps/cli/picture_metadata.h"
#include "io/safetensors.h"
#include "tensor/copy.h"

namespace annulus::cli {

namespace {

// May these two be made in one batch?
bool alike(const Job& a, const Job& b) {
  const GenerateOptions &x = a.options, &y = b.options;
  return x.width == y.width && x.height == y.height && x.frames == y.frames && x.fps == y.fps &&
         x.steps == y.steps && x.guidance_scale_2 == y.guidance_scale_2 &&
         x.guidance_scale == y.guidance_scale && x.true_cfg_scale == y.true_cfg_scale &&
         x.strength == y.strength && x.max_sequence_length == y.max_sequence_length &&
         x.images == y.images && x.latents.empty() && y.latents.empty() &&
         x.negative_prompt.has_value() == y.negative_prompt.has_value();
}

Tensor read_latents(const std::filesystem::path& path, Engine& engine) {
  const SafetensorsFile file = SafetensorsFile::open(path, ErrorCode::InvalidRequest);
  const Context ctx = engine.context();
  const Tensor stored = file.tensor("latents", ctx.device);
  require(is_floating(stored.dtype()), ErrorCode::InvalidRequest,
          "--latents: wanted a floating type, found ", name_of(stored.dtype()), " (", path.string(),
          ")");
  return cast(ctx.stream, stored, ctx.wide);
}

Request request_of(Engine& engine, const Job& job, ConditionPictures& pictures) {
  const GenerateOptions& options = job.options;
  Request request;
  request.task = options.images.empty() ? Task::TextToImage : Task::ImageEdit;
  request.prompts = {job.prompt};
  if (options.negative_prompt) request.negative_prompts = {*options.negative_prompt};
  request.seeds = {job.seed};
  request.images = pictures.of(options.images);
  request.width = options.width.value_or(0);
  request.height = options.height.value_or(0);
  request.frames = options.frames.value_or(0);
  request.fps = options.fps.value_or(0);
  request.steps = options.steps.value_or(0);
  request.guidance_scale = options.guidance_scale;
  request.guidance_scale_2 = options.guidance_scale_2;
  request.true_cfg_scale = options.true_cfg_scale;
  request.strength = options.strength;
  request.max_sequence_length = options.max_sequence_length.value_or(0);
  if (!options.latents.empty()) request.latents = read_latents(options.latents, engine);
  request.vae_tiling = options.vae_tiling == Choice::Auto ? Request::VaeTiling::Auto
                       : options.vae_tiling == Choice::On ? Request::VaeTiling::On
                                                          : Request::VaeTiling::Off;
  request.preview_every = options.preview_every;
  request.checkpoint_every = options.checkpoint_every;
  if (!options.resume_job.empty()) request.start = read_start(options.resume_job, engine.context());
  return request;
}

// Both are completed and alike, so that the sum is complete.
void append(Request& batch, Request one) {
  const auto move_to_end = [](auto& to, auto& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  move_to_end(batch.prompts, one.prompts);
  move_to_end(batch.negative_prompts, one.negative_prompts);
  move_to_end(batch.seeds, one.seeds);
}

}  // namespace

const std::vector<std::shared_ptr<const Image>>& ConditionPictures::of(
    const std::vector<std::filesystem::path>& files) {
  if (files != files_) {
    pictures_.clear();
    files_.clear();
    for (const std::filesystem::path& file : files)
      pictures_.push_back(std::make_shared<const Image>(read_image(file)));
    files_ = files;
  }
  return pictures_;
}

Request completed_request(Engine& engine, const Job& job, ConditionPictures& pictures) {
  return at_line(job.where, [&] {
    Request completed = engine.complete(request_of(engine, job, pictures));
    if (!job.options.resume_job.empty())
      check_same_job(job.options.resume_job, metadata_json(engine, job, completed, 0));
    return completed;
  });
}

void print_warnings(std::ostream& out, const CheckedJobs& checked) {
  if (checked.unused_negative)
    out << "annulus: warning: --negative-prompt changes nothing without --true-cfg-scale above 1\n";
}

void fetch_inputs(Engine& engine, JobBatch& batch, ConditionPictures& pictures) {
  const GenerateOptions& options = batch.jobs.front().options;
  batch.request.images = pictures.of(options.images);
  if (!options.latents.empty()) batch.request.latents = read_latents(options.latents, engine);
}

CheckedJobs check_jobs(Engine& engine, std::span<const Job> jobs, int batch_size,
                       ConditionPictures& pictures) {
  CheckedJobs checked;
  while (!jobs.empty()) {
    JobBatch batch = {jobs.first(1), completed_request(engine, jobs.front(), pictures)};
    std::size_t count = 1;
    for (; count < std::min(jobs.size(), static_cast<std::size_t>(batch_size)) &&
           alike(jobs.front(), jobs[count]);
         ++count)
      append(batch.request, completed_request(engine, jobs[count], pictures));
    batch.jobs = jobs.first(count);
    for (const Job& job : batch.jobs) check_result_path(job, batch.request);
    jobs = jobs.subspan(count);
    checked.predicted_peak =
        std::max(checked.predicted_peak, engine.pipeline().predict_memory(batch.request).peak);
    checked.unused_negative =
        checked.unused_negative || (batch.jobs.front().options.negative_prompt.has_value() &&
                                    batch.request.true_cfg_scale.value_or(1) <= 1);
    batch.request.images.clear();
    batch.request.latents.reset();
    checked.batches.push_back(std::move(batch));
  }
  return checked;
}

}  // namespace annulus::cli
