#include "attention/selection.h"

#include <algorithm>
#include <array>
#include <utility>

namespace annulus {

namespace {

struct Alias {
  std::string_view name, means;
};
constexpr std::array kAliases = {Alias{"fa", "fia"}, Alias{"ascend_fa", "fia"}};

// "flash, math"; "none" when there are none.
template <class Named>
std::string names_of(const std::vector<Named>& backends) {
  std::string text;
  for (const auto& backend : backends)
    text += (text.empty() ? "" : ", ") + std::string(backend->name());
  return text.empty() ? "none" : text;
}

using Backends = std::vector<const AttentionBackend*>;

// The platform's order, and the ring's default where it is not among them.
Backends known_backends(const AttentionSelection& selection) {
  Backends known(selection.order.begin(), selection.order.end());
  if (selection.ring_default != nullptr &&
      std::find(known.begin(), known.end(), selection.ring_default) == known.end())
    known.push_back(selection.ring_default);
  return known;
}

Backends able_backends(const AttentionSelection& selection, const AttentionSpec& spec) {
  Backends able = known_backends(selection);
  std::erase_if(able, [&](const AttentionBackend* b) { return b->refusal(spec).has_value(); });
  return able;
}

const AttentionBackend& find_backend(const AttentionSelection& selection, std::string_view name,
                                     std::string_view option) {
  const Backends known = known_backends(selection);
  const std::string_view wanted = canonical_attention_backend(name);
  for (const AttentionBackend* backend : known)
    if (backend->name() == wanted) return *backend;
  throw Error(ErrorCode::NotFound,
              text_of("attention backend: wanted one of ", names_of(known), ", found ", name, " (",
                      option, ", on ", selection.platform, ")"));
}

// The user's words for this component: backend and option; both empty when there are none.
struct Wish {
  std::string backend, option;
};

Wish wish_of(const AttentionSelection& selection) {
  const auto own = selection.component_backend.find(selection.component);
  if (own != selection.component_backend.end())
    return {own->second, "--component-attention " + own->first + "=" + own->second};
  if (!selection.backend.empty())
    return {selection.backend, "--attention-backend " + selection.backend};
  return {};
}

std::string_view ring_note(const AttentionSelection& selection) {
  return selection.ring ? ", spread over a ring" : "";
}

AttentionChoice choose_wish(const AttentionSelection& selection, std::string_view layer,
                            const AttentionSpec& spec, Wish wish) {
  const AttentionBackend& backend = find_backend(selection, wish.backend, wish.option);
  if (const auto why = backend.refusal(spec)) {
    const Backends able = able_backends(selection, spec);
    throw Error(
        ErrorCode::Unsupported,
        text_of("attention of ", layer, ": wanted ", to_string(spec), " by ", backend.name(),
                ring_note(selection), ", found a refusal: ", *why, " (", wish.option, ")"),
        able.empty() ? text_of("no backend of ", selection.platform, " can serve this layer")
                     : text_of("could serve this layer: ", names_of(able)));
  }
  return {&backend, spec, std::move(wish.option), {}};
}

}  // namespace

std::string_view canonical_attention_backend(std::string_view name) noexcept {
  for (const Alias& alias : kAliases)
    if (alias.name == name) return alias.means;
  return name;
}

AttentionChoice AttentionSelection::choose(std::string_view layer, AttentionSpec wanted) const {
  AttentionSpec spec = wanted.resolved();
  spec.lse = spec.lse || ring;
  if (Wish wish = wish_of(*this); !wish.backend.empty())
    return choose_wish(*this, layer, spec, std::move(wish));

  Backends candidates(order.begin(), order.end());
  if (ring && ring_default != nullptr) {
    std::erase(candidates, ring_default);
    candidates.insert(candidates.begin(), ring_default);
  }
  std::vector<AttentionRefusal> refused;
  for (const AttentionBackend* backend : candidates) {
    if (backend->approximate()) continue;
    if (auto why = backend->refusal(spec)) {
      refused.push_back({std::string(backend->name()), std::move(*why)});
      continue;
    }
    const bool by_ring = ring && backend == ring_default;
    return {backend, spec, (by_ring ? "ring default of " : "default of ") + platform,
            std::move(refused)};
  }
  std::string reasons;
  for (const AttentionRefusal& r : refused)
    reasons += (reasons.empty() ? "" : "; ") + r.backend + ": " + r.why;
  throw Error(ErrorCode::Unsupported,
              text_of("attention of ", layer, ": wanted ", to_string(spec), ring_note(*this),
                      ", found no backend of ", platform, " that can serve it (",
                      reasons.empty() ? "it has none" : reasons, ")"));
}

AttentionSelection AttentionSelection::for_component(std::string name) const {
  AttentionSelection other = *this;
  other.component = std::move(name);
  return other;
}

}  // namespace annulus
