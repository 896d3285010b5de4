// Kind "pipeline_edit": as "pipeline", with condition pictures. Cases are small because `area` and
// `cond_area` stand for the pixels that condition pictures are brought to.
#include <algorithm>

#include "kinds.h"
#include "models/qwen_image/pipeline.h"
#include "pipeline_case.h"

namespace annulus::goldens {
namespace {

using namespace qwen_image;

/// The class of the case with its own sizes and positions.
Variant variant_of(const GoldenCase& golden, const Checkpoint& checkpoint) {
  const Json args = golden.json()["args"];
  for (Variant variant : variants()) {
    if (variant.class_name != checkpoint.pipeline_class()) continue;
    variant.vae_area = args.get<std::int64_t>("area", variant.vae_area);
    variant.text_area = args.get<std::int64_t>("cond_area", variant.text_area);
    if (!args.get<bool>("mrope", true)) variant.positions = qwen2_5_vl::ImagePositions::Line;
    return variant;
  }
  throw Error(ErrorCode::Unsupported, "pipeline_edit: wanted a Qwen-Image-Edit class, found " +
                                          checkpoint.pipeline_class());
}

/// image0, image1, ...: bytes [height, width, 3].
std::vector<std::shared_ptr<const Image>> pictures_of(const GoldenCase& golden, Workbench& bench) {
  std::vector<std::shared_ptr<const Image>> pictures;
  for (int i = 0; golden.has_input(text_of("image", i)); ++i) {
    const Tensor bytes = golden.input(text_of("image", i), bench.host());
    const auto* data = bytes.data<std::uint8_t>();
    pictures.push_back(std::make_shared<const Image>(
        Image{static_cast<int>(bytes.shape()[1]), static_cast<int>(bytes.shape()[0]),
              std::vector<std::uint8_t>(data, data + bytes.elements())}));
  }
  return pictures;
}

}  // namespace

void run_pipeline_edit(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Checkpoint checkpoint = Checkpoint::open(golden.model_folder());
  const Variant variant = variant_of(golden, checkpoint);
  QwenImagePipeline pipeline(load_components(checkpoint, load_options(bench), true), variant, {});
  Request request = request_of(golden, bench);
  request.images = pictures_of(golden, bench);
  const Json size = golden.json()["out_size"];  // height, width
  const Request completed = pipeline.complete(request);
  comparison.add_check("size",
                       completed.height == size.at(0).as<std::int64_t>() &&
                           completed.width == size.at(1).as<std::int64_t>(),
                       text_of(completed.height, " x ", completed.width));
  compare_pipeline(golden, bench, comparison, pipeline, request);
}

}  // namespace annulus::goldens
