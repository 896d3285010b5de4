// How models fetch their weights: by the names of the checkpoint, descending with `/`. Each name
// asked for is remembered, so that one that nobody wanted is found before a picture is wrong.
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/lora.h"
#include "io/weight_files.h"
#include "tensor/tensor.h"

namespace annulus {

/// A prefix in a component's weights, on one device. Copying is cheap and shares what was asked
/// for. One thread at a time.
class WeightScope {
 public:
  /// The root: every name of `files`. Tensors are in place where the device allows.
  WeightScope(WeightFiles files, Device& device, std::shared_ptr<const LoraSet> lora = nullptr);

  /// The root of weights in memory (tests, measurements without a checkpoint). `device` is where
  /// they are.
  static WeightScope of(std::map<std::string, Tensor> tensors, Device& device,
                        std::shared_ptr<const LoraSet> lora = nullptr);

  /// "transformer_blocks.0.attn"; "" at the root.
  const std::string& name() const noexcept { return name_; }
  Device& device() const noexcept;

  /// The scope below; "" is this one.
  WeightScope operator/(std::string_view child) const;

  /// Is there a tensor of that name, or any below it? "" asks for this scope itself. Counts as no
  /// request.
  bool contains(std::string_view child) const;

  /// The first of `children` that contains anything: checkpoints differ in their prefixes
  /// ("model.language_model" or "model"), "" being none. Throws CorruptFile naming all.
  WeightScope first_of(std::initializer_list<std::string_view> children) const;

  /// A floating-point tensor, read-only; with a fused LoraSet and `leaf` "weight", the sum. Throws
  /// CorruptFile when it is absent, naming near matches, or not of the wanted shape; Unsupported
  /// when the engine lacks its dtype.
  Tensor get(std::string_view leaf, std::optional<Shape> want = {}) const;

  /// The tensor, of any dtype, or nothing when it is absent.
  std::optional<Tensor> find(std::string_view leaf) const;

  /// The terms that are to be added beside this scope's weight. Empty for a fused set.
  std::span<const LoraTerm> lora() const;

  /// Says that names equal to `child` or below it need not be asked for.
  void allow_unused(std::string_view child) const;

  /// Names below this scope that nobody asked for and that were not allowed, in order.
  std::vector<std::string> unused() const;

  /// Throws CorruptFile when there are such names, and InvalidRequest when a LoRA file was given
  /// and none of its modules was asked for. Call when a component is loaded.
  void check_all_used() const;

  /// Modules of the LoRA files that no layer asked for, as "module (file)".
  std::vector<std::string> unmatched_lora() const;

  /// Bytes of the tensors handed out so far, each counted once.
  std::size_t bytes_used() const;

 private:
  struct State;
  WeightScope(std::shared_ptr<State> state, std::string name) noexcept;
  std::string full(std::string_view leaf) const;

  std::shared_ptr<State> state_;
  std::string name_;
};

}  // namespace annulus
