#include "kinds.h"
#include "qwen2_5_vl.h"
#include "umt5.h"

namespace annulus::goldens {

/// The last hidden states of prompts. Which encoder: model_type of its config.json.
void run_text_encoder(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const std::filesystem::path folder = encoder_folder(golden);
  const Json config = Json::read(folder / "config.json", ErrorCode::CorruptFile);
  const auto type = config.get<std::string>("model_type", "");
  if (type == "umt5") return run_umt5_text(golden, bench, comparison);
  require(type == "qwen2_5_vl", ErrorCode::Unsupported,
          "text encoder: wanted a model_type with a runner (qwen2_5_vl, umt5), found ", type, " (",
          folder.string(), ")");
  run_qwen2_5_vl_text(golden, bench, comparison);
}

}  // namespace annulus::goldens
