#include "io/lora.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "io/lora_config.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus {

namespace {

/// Throws for one tensor of a LoRA file.
class Refusal {
 public:
  Refusal(const SafetensorsFile& file, std::string_view tensor) : file_(file), tensor_(tensor) {}

  template <class... Parts>
  void check(bool ok, const Parts&... parts) const {
    require(ok, ErrorCode::InvalidRequest, "LoRA tensor \"", tensor_, "\": ", parts..., " (",
            file_.path().string(), ")");
  }

 private:
  const SafetensorsFile& file_;
  std::string_view tensor_;
};

std::string flattened(std::string_view module) {
  std::string flat(module);
  std::replace(flat.begin(), flat.end(), '.', '_');
  return flat;
}

/// A module's tensors in one file.
struct Pair {
  std::string module;
  const StoredTensor* a = nullptr;
  const StoredTensor* b = nullptr;
  const StoredTensor* alpha = nullptr;
};

void refuse_unknown(const SafetensorsFile& file, const StoredTensor& stored) {
  struct Kind {
    std::string_view part, name;
  };
  constexpr std::array<Kind, 8> kKinds = {{{"dora_scale", "DoRA"},
                                           {"lora_magnitude_vector", "DoRA"},
                                           {"lokr_", "LoKr"},
                                           {"hada_", "LoHa"},
                                           {"oft_", "OFT"},
                                           {"lora_B.bias", "LoRA with biases"},
                                           {".diff", "a full difference of weights"},
                                           {"lora_embedding_", "LoRA of an embedding"}}};
  for (const Kind& kind : kKinds)
    require(stored.name.find(kind.part) == std::string::npos, ErrorCode::Unsupported,
            "LoRA tensor \"", stored.name, "\": wanted plain LoRA of linear layers, found ",
            kind.name, " (", file.path().string(), ")");
  Refusal(file, stored.name).check(false, "wanted a name such as X.lora_A.weight, found another");
}

/// Groups a file's tensors by module, keyed by the flat path.
std::map<std::string, Pair> pairs_of(const SafetensorsFile& file) {
  std::map<std::string, Pair> pairs;
  for (const StoredTensor& stored : file.tensors()) {
    const std::optional<LoraKey> key = parse_lora_key(stored.name);
    if (!key) refuse_unknown(file, stored);
    Pair& pair = pairs[flattened(key->module)];
    pair.module = key->module;
    const StoredTensor*& slot = key->part == LoraKey::Part::A   ? pair.a
                                : key->part == LoraKey::Part::B ? pair.b
                                                                : pair.alpha;
    Refusal(file, stored.name)
        .check(slot == nullptr, "wanted each part of ", pair.module, " once, found \"",
               slot == nullptr ? "" : slot->name, "\" too");
    slot = &stored;
  }
  return pairs;
}

double alpha_of(const SafetensorsFile& file, const StoredTensor& stored) {
  const Refusal refusal(file, stored.name);
  HostDevice host(1);
  const Tensor value = file.tensor(stored, host);
  refusal.check(value.elements() == 1, "wanted one number, found shape ", value.shape());
  const double alpha =
      cast(*host.make_stream(), value, DType::F64).reshape({1}).view<const double, 1>()(0);
  refusal.check(std::isfinite(alpha), "wanted a finite number, found ", alpha);
  return alpha;
}

LoraTerm read_term(const SafetensorsFile& file, const Pair& pair, Device& device) {
  const Refusal refusal(file, (pair.a != nullptr ? pair.a : pair.b)->name);
  refusal.check(pair.a != nullptr && pair.b != nullptr, "wanted both A and B of ", pair.module,
                ", found one");
  LoraTerm term = {.a = file.tensor(*pair.a, device), .b = file.tensor(*pair.b, device)};
  refusal.check(is_floating(term.a.dtype()) && is_floating(term.b.dtype()),
                "wanted floating-point numbers, found ", name_of(term.a.dtype()), " and ",
                name_of(term.b.dtype()));
  const Shape &a = term.a.shape(), &b = term.b.shape();
  if (a.rank() == 4 && b.rank() == 4)
    throw Error(ErrorCode::Unsupported,
                text_of("LoRA tensor \"", pair.a->name,
                        "\": wanted LoRA of linear layers, found that of a convolution, ", a, " (",
                        file.path().string(), ")"));
  refusal.check(a.rank() == 2 && b.rank() == 2 && a[0] == b[1] && a[0] > 0,
                "wanted A [rank, in] and B [out, rank], found ", a, " and ", b);
  return term;
}

/// x * factor in x's dtype.
Tensor scaled(const Tensor& x, float factor) {
  const std::unique_ptr<Stream> stream = x.device().make_stream();
  Tensor wide = Tensor::empty(x.shape(), DType::F32, x.device());
  copy(*stream, x, wide);
  float* const values = wide.data<float>();
  for (std::int64_t i = 0; i < wide.elements(); ++i) values[i] *= factor;
  return cast(*stream, wide, x.dtype());
}

/// Puts alpha / rank into a term as diffusers does: into A, which is then rounded to its dtype (a
/// small share in part into B, by powers of two). Where that rounds nothing, and for shares below
/// 0, for which diffusers does not end, A stays in place.
void apply_alpha(LoraTerm& term, double share, double& factor) {
  int exponent = 0;
  const bool exact = share <= 0 || std::frexp(share, &exponent) == 0.5;
  if (exact || size_of(term.a.dtype()) > 2 || !term.a.device().host_visible()) {
    factor *= share;
    return;
  }
  double of_a = share, of_b = 1;
  while (of_a * 2 < of_b) {
    of_a *= 2;
    of_b /= 2;
  }
  term.a = scaled(term.a, static_cast<float>(of_a));
  factor *= of_b;
}

}  // namespace

void LoraSet::add(const std::filesystem::path& path, float scale, Device& device) {
  const SafetensorsFile file = SafetensorsFile::open(path, ErrorCode::InvalidRequest);
  require(std::isfinite(scale), ErrorCode::InvalidRequest, "LoRA: wanted a finite scale, found ",
          scale, " (", path.string(), ")");
  const std::optional<LoraConfig> config = read_lora_config(file);
  std::map<std::string, Entry> added;
  for (const auto& [flat, pair] : pairs_of(file)) {
    if (pair.a == nullptr && pair.b == nullptr)
      continue;  // an alpha of nothing, which diffusers drops too
    LoraTerm term = read_term(file, pair, device);
    const std::int64_t rank = term.a.shape()[0];
    double factor = scale;
    if (pair.alpha != nullptr)
      apply_alpha(term, alpha_of(file, *pair.alpha) / static_cast<double>(rank), factor);
    if (config) factor *= scale_of(*config, pair.module, rank, path.string());
    term.scale = static_cast<float>(factor);
    added.emplace(flat, Entry{pair.module, {path.string()}, {std::move(term)}});
  }
  require(!added.empty(), ErrorCode::InvalidRequest,
          "LoRA: wanted at least one pair of A and B, found none (", path.string(), ")");
  // Only now: a file that is refused changes nothing.
  for (auto& [flat, entry] : added) {
    Entry& all = entries_[flat];
    if (all.module.empty() || all.module == flat) all.module = entry.module;  // dots tell more
    all.files.push_back(entry.files.front());
    all.terms.push_back(std::move(entry.terms.front()));
  }
}

std::span<const LoraTerm> LoraSet::terms(std::string_view module) const noexcept {
  const auto found = entries_.find(flattened(module));
  if (found == entries_.end()) return {};
  return found->second.terms;
}

Tensor fused_weight(const Tensor& weight, std::span<const LoraTerm> terms) {
  if (terms.empty()) return weight;
  Device& device = weight.device();
  const std::unique_ptr<Stream> stream = device.make_stream();
  require(weight.shape().rank() == 2 && device.host_visible(), ErrorCode::Unsupported,
          "LoRA: wanted to add to a weight [out, in] on the host, found ", weight.shape(), " on ",
          device.name());
  const std::int64_t out = weight.shape()[0], in = weight.shape()[1];
  Tensor sum = Tensor::empty(weight.shape(), DType::F32, device);
  copy(*stream, weight, sum);
  for (const LoraTerm& term : terms) {
    const std::int64_t rank = term.a.shape()[0];
    require(term.a.shape() == Shape{rank, in} && term.b.shape() == Shape{out, rank},
            ErrorCode::InvalidRequest, "LoRA: wanted [rank, ", in, "] and [", out,
            ", rank], found ", term.a.shape(), " and ", term.b.shape());
    const Tensor a = contiguous(*stream, cast(*stream, term.a, DType::F32));
    const Tensor b = contiguous(*stream, cast(*stream, term.b, DType::F32));
    std::vector<float> product(static_cast<std::size_t>(in));
    for (std::int64_t i = 0; i < out; ++i) {
      std::fill(product.begin(), product.end(), 0.0f);
      for (std::int64_t r = 0; r < rank; ++r) {
        const float factor = b.data<float>()[i * rank + r];
        const float* const row = a.data<float>() + r * in;
        for (std::size_t j = 0; j < product.size(); ++j) product[j] += factor * row[j];
      }
      float* const target = sum.data<float>() + i * in;
      for (std::size_t j = 0; j < product.size(); ++j) target[j] += term.scale * product[j];
    }
  }
  return cast(*stream, sum, weight.dtype());
}

}  // namespace annulus
