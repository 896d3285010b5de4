#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/backend.h"

namespace annulus {

struct AttentionRefusal {
  std::string backend, why;
};

/// Made at load, kept by the layer.
struct AttentionChoice {
  const AttentionBackend* backend = nullptr;
  AttentionSpec spec;
  std::string why;  // "default of cpu", "ring default of cpu", "--attention-backend math",
                    // "--component-attention text_encoder=math"
  std::vector<AttentionRefusal> refused;  // those asked before it, with their reasons
};

/// The user's options and the platform's order.
struct AttentionSelection {
  std::span<const AttentionBackend* const> order;  // the platform's, best first
  const AttentionBackend* ring_default = nullptr;  // Platform::default_ring_attention_backend()
  std::string backend;                             // --attention-backend; empty: none
  std::map<std::string, std::string, std::less<>>
      component_backend;  // --component-attention: component -> backend
  std::string component;  // the component being loaded ("transformer", "text_encoder", ...)
  bool ring = false;      // is this component's sequence spread over a ring? Then LSE is needed
  std::string platform = "the platform";  // its name, for messages

  /// The backend for one layer. Walks: a component's choice, the global choice, ring's default, the
  /// platform's order without approximate backends; an explicit choice is never replaced. Throws
  /// Unsupported naming the layer, each refusal, and the backends that could serve; NotFound for an
  /// unknown name, with the known ones.
  AttentionChoice choose(std::string_view layer, AttentionSpec spec) const;

  AttentionSelection for_component(std::string name) const;  // the same options, another component
};

/// The name that `name` is an alias of ("fa", "ascend_fa" -> "fia"), or `name`.
std::string_view canonical_attention_backend(std::string_view name) noexcept;

}  // namespace annulus
