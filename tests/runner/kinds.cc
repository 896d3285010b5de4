#include "kinds.h"

#include <array>

namespace annulus::goldens {
namespace {

constexpr auto kKinds = std::to_array<Kind>({
    {"attention", run_attention},
    {"attention_merge", run_attention_merge},
    {"causal_chunks", run_causal_chunks},
    {"causal_generate", run_causal_generate},
    {"lora", run_lora},
    {"mu", run_mu},
    {"pipeline", run_pipeline},
    {"pipeline_edit", run_pipeline_edit},
    {"rng", run_rng},
    {"scheduler", run_scheduler},
    {"text_encoder", run_text_encoder},
    {"tokenizer", run_tokenizer},
    {"transformer", run_transformer},
    {"vae", run_vae},
    {"vision_language", run_vision_language},
});

}  // namespace

std::span<const Kind> kinds() noexcept {
  return kKinds;
}

}  // namespace annulus::goldens
