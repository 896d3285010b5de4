#include "io/weight_scope.h"

#include <algorithm>
#include <functional>
#include <set>

#include "base/edit_distance.h"

namespace annulus {

namespace {

/// Is `name` the prefix itself or below it?
bool is_below(std::string_view name, std::string_view prefix) {
  return prefix.empty() ||
         (name.starts_with(prefix) && (name.size() == prefix.size() || name[prefix.size()] == '.'));
}

std::string joined(std::string_view prefix, std::string_view child) {
  if (prefix.empty()) return std::string(child);
  if (child.empty()) return std::string(prefix);
  return text_of(prefix, '.', child);
}

std::string listed(const std::vector<std::string>& names, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > most) text += text_of(" and ", names.size() - most, " more");
  return text;
}

/// Up to three names that `wanted` may have been meant for.
std::vector<std::string> near_matches(std::string_view wanted,
                                      const std::vector<std::string_view>& names) {
  constexpr std::size_t kMostNames = 20'000, kLongest = 200;  // the work is their product
  if (wanted.size() > kLongest) return {};
  std::vector<std::pair<std::size_t, std::string_view>> found;
  for (const std::string_view name : std::span(names).first(std::min(names.size(), kMostNames))) {
    const std::size_t longer = std::max(name.size(), wanted.size());
    const std::size_t shorter = std::min(name.size(), wanted.size());
    const std::size_t limit = std::max<std::size_t>(wanted.size() / 4, 3);
    // A prefix more or less ("model.") is near whatever its length.
    if (name.ends_with(wanted) || wanted.ends_with(name))
      found.emplace_back(1, name);
    else if (name.size() <= kLongest && longer - shorter <= limit)
      if (const std::size_t edits = edit_distance(wanted, name); edits <= limit)
        found.emplace_back(edits, name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> nearest;
  for (std::size_t i = 0; i < std::min<std::size_t>(found.size(), 3); ++i)
    nearest.emplace_back(found[i].second);
  return nearest;
}

}  // namespace

struct WeightScope::State {
  Device* device = nullptr;
  std::shared_ptr<const LoraSet> lora;
  std::vector<std::string_view> names;                 // sorted
  std::function<Tensor(std::string_view)> load;        // of a name that is there
  std::function<std::string(std::string_view)> where;  // the file of a name, or the folder of all
  std::map<std::string_view, std::size_t> asked;       // name -> bytes
  std::set<std::string, std::less<>> lora_asked;       // module paths
  std::vector<std::string> allowed;                    // prefixes

  /// The name as `names` holds it, or null.
  const std::string_view* find(std::string_view name) const {
    const auto found = std::lower_bound(names.begin(), names.end(), name);
    return found == names.end() || *found != name ? nullptr : &*found;
  }
};

WeightScope::WeightScope(std::shared_ptr<State> state, std::string name) noexcept
    : state_(std::move(state)), name_(std::move(name)) {}

WeightScope::WeightScope(WeightFiles files, Device& device, std::shared_ptr<const LoraSet> lora)
    : state_(std::make_shared<State>()) {
  const auto shared = std::make_shared<const WeightFiles>(std::move(files));
  state_->device = &device;
  state_->lora = std::move(lora);
  state_->names.assign(shared->names().begin(), shared->names().end());
  state_->load = [shared, &device](std::string_view name) {
    return shared->file_of(name).tensor(name, device);
  };
  state_->where = [shared](std::string_view name) {
    if (shared->find(name) != nullptr) return shared->file_of(name).path().string();
    const std::filesystem::path& first = shared->files().front().path();
    return (shared->files().size() == 1 ? first : first.parent_path()).string();
  };
}

WeightScope WeightScope::of(std::map<std::string, Tensor> tensors, Device& device,
                            std::shared_ptr<const LoraSet> lora) {
  const auto shared = std::make_shared<const std::map<std::string, Tensor, std::less<>>>(
      tensors.begin(), tensors.end());
  auto state = std::make_shared<State>();
  state->device = &device;
  state->lora = std::move(lora);
  for (const auto& [name, tensor] : *shared) state->names.push_back(name);
  state->load = [shared](std::string_view name) { return shared->find(name)->second; };
  state->where = [](std::string_view) { return std::string("memory"); };
  return {std::move(state), ""};
}

Device& WeightScope::device() const noexcept {
  return *state_->device;
}

std::string WeightScope::full(std::string_view leaf) const {
  return joined(name_, leaf);
}

WeightScope WeightScope::operator/(std::string_view child) const {
  return {state_, full(child)};
}

bool WeightScope::contains(std::string_view child) const {
  const std::string prefix = full(child);
  if (prefix.empty()) return !state_->names.empty();
  if (state_->find(prefix) != nullptr) return true;
  const auto below = std::lower_bound(state_->names.begin(), state_->names.end(), prefix + ".");
  return below != state_->names.end() && is_below(*below, prefix);
}

WeightScope WeightScope::first_of(std::initializer_list<std::string_view> children) const {
  std::vector<std::string> tried;
  for (const std::string_view child : children) {
    if (contains(child)) return *this / child;
    tried.push_back(full(child));
  }
  throw Error(ErrorCode::CorruptFile,
              text_of("weights: wanted tensors below one of ", listed(tried, tried.size()),
                      ", found none (", state_->where(""), ")"));
}

std::optional<Tensor> WeightScope::find(std::string_view leaf) const {
  const std::string_view* const name = state_->find(full(leaf));
  if (name == nullptr) return std::nullopt;
  Tensor tensor = state_->load(*name);
  state_->asked[*name] = tensor.bytes();
  return tensor;
}

Tensor WeightScope::get(std::string_view leaf, std::optional<Shape> want) const {
  const std::optional<Tensor> found = find(leaf);
  const std::string wanted = full(leaf);
  if (!found) {
    const std::vector<std::string> near = near_matches(wanted, state_->names);
    throw Error(ErrorCode::CorruptFile,
                text_of("tensor \"", wanted, "\": wanted in the weights, found none (",
                        state_->where(""), ")"),
                near.empty() ? "" : "near it are " + listed(near, near.size()));
  }
  require(is_floating(found->dtype()), ErrorCode::CorruptFile, "tensor \"", wanted,
          "\": wanted floating-point numbers, found ", name_of(found->dtype()), " (",
          state_->where(wanted), ")");
  require(!want || found->shape() == *want, ErrorCode::CorruptFile, "tensor \"", wanted,
          "\": wanted shape ", want.value_or(Shape{}), ", found ", found->shape(), " (",
          state_->where(wanted), ")");
  if (leaf != "weight" || !state_->lora || state_->lora->use() != LoraUse::Fused) return *found;
  state_->lora_asked.insert(name_);
  return fused_weight(*found, state_->lora->terms(name_));
}

std::span<const LoraTerm> WeightScope::lora() const {
  if (!state_->lora || state_->lora->use() == LoraUse::Fused) return {};
  state_->lora_asked.insert(name_);
  return state_->lora->terms(name_);
}

void WeightScope::allow_unused(std::string_view child) const {
  state_->allowed.push_back(full(child));
}

std::vector<std::string> WeightScope::unused() const {
  std::vector<std::string> result;
  for (const std::string_view name : state_->names) {
    const auto allows = [&](const std::string& prefix) { return is_below(name, prefix); };
    if (is_below(name, name_) && !state_->asked.contains(name) &&
        std::none_of(state_->allowed.begin(), state_->allowed.end(), allows))
      result.emplace_back(name);
  }
  return result;
}

std::vector<std::string> WeightScope::unmatched_lora() const {
  if (!state_->lora) return {};
  std::set<std::string, std::less<>> matched;  // as the set spells its keys
  for (std::string module : state_->lora_asked) {
    std::replace(module.begin(), module.end(), '.', '_');
    matched.insert(std::move(module));
  }
  std::vector<std::string> result;
  for (const auto& [key, entry] : state_->lora->entries())
    if (!matched.contains(key))
      result.push_back(text_of(entry.module, " (", listed(entry.files, 3), ")"));
  return result;
}

void WeightScope::check_all_used() const {
  constexpr std::size_t kShown = 5;
  const std::vector<std::string> names = unused();
  require(names.empty(), ErrorCode::CorruptFile,
          "weights: wanted only tensors that the model has, found ", names.size(),
          " others: ", listed(names, kShown), " (", state_->where(""), ")");
  const std::vector<std::string> modules = unmatched_lora();
  require(!state_->lora || state_->lora->empty() || modules.size() < state_->lora->entries().size(),
          ErrorCode::InvalidRequest,
          "LoRA: wanted modules of this model, found only others: ", listed(modules, kShown));
}

std::size_t WeightScope::bytes_used() const {
  std::size_t bytes = 0;
  for (const auto& [name, size] : state_->asked) bytes += size;
  return bytes;
}

}  // namespace annulus
