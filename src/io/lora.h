// LoRA files: pairs of small matrices that change a transformer's linear layers,
// y = x W^T + scale * (x A^T) B^T. A LoraSet reads any of the names that trainers write and finds a
// module's pairs by its path in the checkpoint; weight_scope.h hands them to the layers.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/json.h"
#include "io/safetensors.h"
#include "tensor/tensor.h"

namespace annulus {

/// One LoRA of one linear layer.
struct LoraTerm {
  Tensor a;           // [rank, in], as mapped
  Tensor b;           // [out, rank], as mapped
  float scale = 1.0;  // of the product: the user's, times alpha / rank where the file has alphas
};

/// What the name of a tensor in a LoRA file says.
struct LoraKey {
  enum class Part { A, B, Alpha };
  std::string module;  // "transformer_blocks.0.attn.to_q"; in kohya's files with '_' for '.'
  Part part = Part::A;
  bool flat = false;  // kohya's form: which '_' were dots is known to the model only
};

/// Reads the names of PEFT and diffusers (`transformer.X.lora_A.weight`, `base_model.model.X...`,
/// an adapter's name as in `lora_A.default.weight`), of ComfyUI (`diffusion_model.X...`), of
/// Lightning (`X.lora_down.weight`, `X.alpha`), of kohya (`lora_unet_X_Y.lora_down.weight`) and of
/// older diffusers (`X.lora.down.weight`, `to_q_lora.down.weight`). Nothing for any other name.
std::optional<LoraKey> parse_lora_key(std::string_view name);

/// How a set changes a layer.
enum class LoraUse : bool {
  Beside,  // the mapped weight stays as it is, and shared; two small products are added
  Fused    // the layer gets a copy of its weight with the product added in
};

class LoraSet {
 public:
  explicit LoraSet(LoraUse use = LoraUse::Beside) noexcept : use_(use) {}

  /// Adds a file's terms to those that are there.
  ///
  ///   scale   the user's: 1 is what the trainer meant
  ///   device  where the terms will be used
  ///
  /// alpha / rank multiplies where a module has an `alpha`; the PEFT configuration in the file's
  /// metadata (`lora_adapter_metadata`: r, lora_alpha, rank_pattern, alpha_pattern, use_rslora)
  /// multiplies too, as in diffusers (QwenImageLoraLoaderMixin, PEFT's LoraLayer).
  /// Throws InvalidRequest naming file and tensor: unreadable, an A without its B, a rank of 0,
  /// shapes that do not meet; Unsupported for what is not LoRA (DoRA, LoKr, LoHa, biases, kernels).
  void add(const std::filesystem::path& file, float scale, Device& device);

  /// The terms of a module ("transformer_blocks.0.attn.to_q"), in the order of their files.
  std::span<const LoraTerm> terms(std::string_view module) const noexcept;

  LoraUse use() const noexcept { return use_; }
  bool empty() const noexcept { return entries_.empty(); }

  struct Entry {
    std::string module;  // as its file spells it, prefix dropped
    std::vector<std::string> files;
    std::vector<LoraTerm> terms;
  };
  /// Every module, by its path with '_' for '.'.
  const std::map<std::string, Entry, std::less<>>& entries() const noexcept { return entries_; }

 private:
  LoraUse use_;
  std::map<std::string, Entry, std::less<>> entries_;
};

/// weight [out, in] plus the terms' products, computed in f32, in new memory of the weight's dtype
/// on its device, which the host must be able to read.
Tensor fused_weight(const Tensor& weight, std::span<const LoraTerm> terms);

}  // namespace annulus
