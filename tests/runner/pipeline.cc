// Kind "pipeline": text to picture with a whole model folder, from the stored start noise; then
// from the seed alone.
#include "models/qwen_image/pipeline.h"

#include "kinds.h"
#include "models/wan/pipeline.h"
#include "pipeline_case.h"
#include "wan.h"

namespace annulus::goldens {

void run_pipeline(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Checkpoint checkpoint = Checkpoint::open(golden.model_folder());
  if (wan::recognises(checkpoint)) return run_wan_pipeline(golden, bench, comparison);
  require(qwen_image::recognises(checkpoint), ErrorCode::Unsupported,
          "pipeline: wanted a Qwen-Image or Wan class, found ", checkpoint.pipeline_class());
  const std::unique_ptr<Pipeline> pipeline =
      qwen_image::load_pipeline(checkpoint, load_options(bench));
  compare_pipeline(golden, bench, comparison, *pipeline, request_of(golden, bench));
}

}  // namespace annulus::goldens
