#include <array>
#include <regex>

#include "base/random/numpy_generator.h"
#include "base/random/numpy_random_state.h"
#include "base/random/torch_generator.h"
#include "kinds.h"

namespace annulus::goldens {
namespace {

/// What a rule may use: the numbers in the tensor's name, the case's arguments, its seed.
struct Drawing {
  std::vector<std::uint64_t> numbers;
  const Json& args;
  std::uint64_t seed;
  HostDevice& host;
};

/// A new tensor filled by draw(span).
template <class T, class Draw>
Tensor drawn(const Drawing& drawing, const Shape& shape, Draw&& draw) {
  Tensor tensor = Tensor::empty(shape, kDTypeOf<T>, drawing.host);
  draw(std::span<T>(tensor.data<T>(), static_cast<std::size_t>(tensor.elements())));
  return tensor;
}

template <class T>
Tensor randn(const Drawing& drawing, std::uint64_t seed, const Shape& shape) {
  TorchGenerator generator(seed);
  return drawn<T>(drawing, shape, [&](std::span<T> out) { generator.randn(out); });
}

/// Draws the tensor with an own generator of the case's seed.
template <class Generator, class T, class Draw>
Tensor with(const Drawing& drawing, std::size_t size_at, Draw&& draw) {
  Generator generator(static_cast<std::uint32_t>(drawing.seed));
  return drawn<T>(drawing, {static_cast<std::int64_t>(drawing.numbers[size_at])},
                  [&](std::span<T> out) { draw(generator, out); });
}

std::int64_t signed_of(std::uint64_t number) {
  return static_cast<std::int64_t>(number);
}

Tensor words_of_seed(const Drawing& d) {
  TorchGenerator generator(d.numbers[0]);
  return drawn<std::int64_t>(d, {8}, [&](std::span<std::int64_t> out) {
    generator.randint(0, std::int64_t{1} << 32, out);
  });
}

/// Call j of list i of args.calls, all calls of a list drawn from one generator of seed + i.
Tensor nth_call(const Drawing& d) {
  const std::vector<std::int64_t> sizes =
      d.args["calls"].at(d.numbers[0]).as<std::vector<std::int64_t>>();
  require(d.numbers[1] < sizes.size(), ErrorCode::CorruptFile, "golden case: wanted call ",
          d.numbers[1], ", found ", sizes.size());
  TorchGenerator generator(d.seed + d.numbers[0]);
  for (std::size_t call = 0;; ++call) {
    Tensor numbers =
        drawn<float>(d, {sizes[call]}, [&](std::span<float> out) { generator.randn(out); });
    if (call == d.numbers[1]) return numbers;
  }
}

Tensor of_shape(const Drawing& d) {
  const std::vector<std::int64_t> extents(d.numbers.begin(), d.numbers.end());
  return randn<float>(d, d.seed, Shape(std::span<const std::int64_t>(extents)));
}

Tensor two_legacy_calls(const Drawing& d) {
  NumpyRandomState state(static_cast<std::uint32_t>(d.seed));
  return drawn<double>(d, {signed_of(d.numbers[0] + d.numbers[1])}, [&](std::span<double> out) {
    state.randn(out.first(d.numbers[0]));
    state.randn(out.subspan(d.numbers[0]));
  });
}

Tensor legacy_words(const Drawing& d) {
  NumpyRandomState state(static_cast<std::uint32_t>(d.seed));
  return drawn<std::int64_t>(
      d, {8}, [&](std::span<std::int64_t> out) { state.randint(0, std::int64_t{1} << 32, out); });
}

using Doubles = std::span<double>;
using Integers = std::span<std::int64_t>;

struct Rule {
  const char* name;  // a regular expression over the whole name
  Tensor (*draw)(const Drawing&);
};

constexpr std::array<Rule, 19> kRules = {{
    {"seed[0-9]+\\.randn[0-9]+",
     [](const Drawing& d) { return randn<float>(d, d.numbers[0], {signed_of(d.numbers[1])}); }},
    {"seed[0-9]+\\.bits32", words_of_seed},
    {"calls[0-9]+\\.[0-9]+", nth_call},
    {"shape[0-9x]+", of_shape},
    {"randn_f64_[0-9]+",
     [](const Drawing& d) { return randn<double>(d, d.seed, {signed_of(d.numbers[1])}); }},
    {"randn_f16_[0-9]+",
     [](const Drawing& d) { return randn<F16>(d, d.seed, {signed_of(d.numbers[1])}); }},
    {"randn_bf16_[0-9]+",
     [](const Drawing& d) { return randn<Bf16>(d, d.seed, {signed_of(d.numbers[1])}); }},
    {"normal_strided_[0-9]+",
     [](const Drawing& d) {
       return with<TorchGenerator, float>(d, 0, [](auto& g, auto out) { g.randn_one_by_one(out); });
     }},
    {"rand[0-9]+",
     [](const Drawing& d) {
       return with<TorchGenerator, float>(d, 0, [](auto& g, auto out) { g.rand(out); });
     }},
    {"randint[0-9]+_[0-9]+",
     [](const Drawing& d) {
       return with<TorchGenerator, std::int64_t>(
           d, 1, [&](auto& g, auto out) { g.randint(0, signed_of(d.numbers[0]), out); });
     }},
    {"randperm[0-9]+",
     [](const Drawing& d) {
       return with<TorchGenerator, std::int64_t>(d, 0, [](auto& g, auto out) { g.randperm(out); });
     }},
    {"bernoulli_f32_[0-9]+",
     [](const Drawing& d) {
       return with<TorchGenerator, float>(d, 1, [](auto& g, auto out) { g.bernoulli(0.3, out); });
     }},
    {"numpy\\.uint32", legacy_words},
    {"numpy\\.random_sample[0-9]+",
     [](const Drawing& d) {
       return with<NumpyRandomState, double>(d, 0, [](auto& g, Doubles out) { g.random(out); });
     }},
    {"numpy\\.randn[0-9]+_then_[0-9]+", two_legacy_calls},
    {"numpy\\.pcg64_random[0-9]+",
     [](const Drawing& d) {
       return with<NumpyGenerator, double>(d, 1, [](auto& g, Doubles out) { g.random(out); });
     }},
    {"numpy\\.pcg64_standard_normal[0-9]+",
     [](const Drawing& d) {
       return with<NumpyGenerator, double>(d, 1,
                                           [](auto& g, Doubles out) { g.standard_normal(out); });
     }},
    {"numpy\\.pcg64_integers[0-9]+_[0-9]+",
     [](const Drawing& d) {
       return with<NumpyGenerator, std::int64_t>(
           d, 2, [&](auto& g, Integers out) { g.integers(0, signed_of(d.numbers[1]), out); });
     }},
    {"numpy\\.randint[0-9]+_[0-9]+",
     [](const Drawing& d) {
       return with<NumpyRandomState, std::int64_t>(
           d, 1, [&](auto& g, Integers out) { g.randint(0, signed_of(d.numbers[0]), out); });
     }},
}};

std::vector<std::uint64_t> numbers_in(const std::string& name) {
  const std::regex digits("[0-9]+");
  std::vector<std::uint64_t> numbers;
  for (std::sregex_iterator at(name.begin(), name.end(), digits), end; at != end; ++at)
    numbers.push_back(std::stoull(at->str()));
  return numbers;
}

const Rule* rule_for(const std::string& name) {
  for (const Rule& rule : kRules)
    if (std::regex_match(name, std::regex(rule.name))) return &rule;
  return nullptr;
}

}  // namespace

/// The case's table holds numbers under names that say how they were drawn; all must be equal.
void run_rng(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Json args = golden.json()["args"];
  const SafetensorsFile table = SafetensorsFile::open(golden.folder() / "avx2.safetensors");
  for (const StoredTensor& stored : table.tensors()) {
    const Rule* rule = rule_for(stored.name);
    if (rule == nullptr) {
      comparison.add_check(stored.name, false, "no rule says how this is drawn");
      continue;
    }
    const Drawing drawing{numbers_in(stored.name), args, args.get<std::uint64_t>("seed"),
                          bench.host()};
    comparison.add(stored.name, rule->draw(drawing), table.tensor(stored, bench.host()), {});
  }
}

}  // namespace annulus::goldens
