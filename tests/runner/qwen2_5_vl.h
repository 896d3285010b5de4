// Cases of the Qwen2.5-VL encoder: prompts alone, and prompts with pictures.
#pragma once

#include "comparison.h"

namespace annulus::goldens {

/// The folder of the text encoder of a case: named as the case ("text_encoder_2"), else
/// "text_encoder".
std::filesystem::path encoder_folder(const GoldenCase& golden);

void run_qwen2_5_vl_text(const GoldenCase& golden, Workbench& bench, Comparison& comparison);

}  // namespace annulus::goldens
