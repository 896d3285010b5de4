// The kinds of golden cases, one file each. To add one: a file with its function, a declaration
// here and a line in kinds.cc.
#pragma once

#include <span>
#include <string_view>

#include "comparison.h"
#include "golden_case.h"
#include "workbench.h"

namespace annulus::goldens {

/// Runs a case and adds what it makes to `comparison`. Throws Error like the code it runs.
using KindFunction = void (*)(const GoldenCase& golden, Workbench& bench, Comparison& comparison);

void run_attention(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_attention_merge(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_causal_chunks(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_causal_generate(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_lora(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_mu(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_pipeline(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_pipeline_edit(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_rng(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_scheduler(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_text_encoder(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_tokenizer(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_transformer(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_vae(const GoldenCase& golden, Workbench& bench, Comparison& comparison);
void run_vision_language(const GoldenCase& golden, Workbench& bench, Comparison& comparison);

struct Kind {
  std::string_view name;
  KindFunction run;
};

std::span<const Kind> kinds() noexcept;

}  // namespace annulus::goldens
