// A pipeline turns a Request into pictures with one model: encode, denoise (denoise.h, shared by
// all families), decode. Families live in models/; this folder has what they share. Start with
// denoise.h for the loop.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/selection.h"
#include "nn/context.h"
#include "pipeline/progress.h"
#include "pipeline/request.h"

namespace annulus {

/// Where a component's layers do their attention, for reports: what was chosen and why.
struct ComponentAttention {
  std::string component, layer;  // "transformer", "transformer_blocks.0"
  AttentionChoice choice;
  bool shared = false;  // is its sequence spread over ranks?
};

/// Bytes that a run needs, predicted from shapes.
struct MemoryPrediction {
  std::size_t weights = 0;      // mapped and touched
  std::size_t activations = 0;  // that the device hands out at the worst moment
  std::size_t peak = 0;         // of the whole process: these two, pictures, the program itself
};

class Pipeline {
 public:
  virtual ~Pipeline() = default;

  /// Fills what is empty and checks the rest. After this no user error is left. Throws
  /// InvalidRequest; for sizes the hint names the nearest two that the model can make.
  virtual Request complete(Request request) const = 0;

  /// The pictures of a completed request. Throws Cancelled, NonFinite (stage and step named),
  /// OutOfMemory.
  virtual Result generate(const Request& request, const Progress& progress) = 0;

  /// Of a completed request.
  virtual MemoryPrediction predict_memory(const Request& request) const = 0;

  virtual std::vector<ComponentAttention> attention() const = 0;

  /// Modules that a LoRA names and the model lacks.
  virtual std::vector<std::string> unmatched_adapters() const = 0;
};

}  // namespace annulus
