#include <algorithm>
#include <cmath>
#include <functional>

#include "attention/proof.h"
#include "engine/self_test.h"
#include "nn/conv.h"
#include "nn/elementwise.h"
#include "nn/linear.h"
#include "nn/norms.h"
#include "nn/rope.h"
#include "nn/transfer.h"
#include "parallel/attend.h"

namespace annulus {

namespace {

// A platform set up to run cases.
struct Bench {
  std::unique_ptr<Communicator> world = make_single_rank();
  Mesh mesh{*world, {}};
  Device& device;
  std::unique_ptr<Stream> stream;
  Workspace workspace;
  const OpTable& ops;
  DType dtype, wide;

  Bench(const Platform& platform, DType compute)
      : device(*platform.devices().front()),
        stream(device.make_stream()),
        workspace(device),
        ops(platform.ops()),
        dtype(compute),
        wide(platform.wide_dtype()) {}

  Context context() { return {Lane{device, *stream, workspace, mesh}, ops, dtype, wide}; }
};

// Values in [-1, 1) that both platforms can hold exactly: multiples of 1/64.
std::vector<double> values(std::int64_t count, std::uint32_t seed) {
  std::vector<double> made(static_cast<std::size_t>(count));
  for (double& value : made) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<double>(static_cast<int>(seed >> 25) - 64) / 64.0;
  }
  return made;
}

Tensor input(const Context& ctx, const Shape& shape, std::uint32_t seed) {
  return to_device(ctx, values(shape.elements(), seed), shape, ctx.dtype);
}

Linear layer(const Context& ctx, std::int64_t in, std::int64_t out) {
  return {.weight = input(ctx, {out, in}, 7), .bias = input(ctx, {out}, 8), .adapters = {}};
}

struct OpCase {
  std::string name;
  std::function<Tensor(const Context&)> run;
};

std::vector<OpCase> op_cases() {
  std::vector<OpCase> cases;
  for (const std::int64_t rows : {1, 7, 65})
    cases.push_back({"linear, " + std::to_string(rows) + " rows", [rows](const Context& ctx) {
                       return linear(ctx, input(ctx, {1, rows, 96}, 1), layer(ctx, 96, 80),
                                     Activation::GeluTanh);
                     }});
  cases.push_back({"layer_norm, modulated", [](const Context& ctx) {
                     return modulated_norm(ctx, input(ctx, {2, 5, 72}, 1), 1e-6f,
                                           input(ctx, {2, 1, 72}, 2), input(ctx, {2, 1, 72}, 3));
                   }});
  cases.push_back({"rms_norm", [](const Context& ctx) {
                     return rms_norm(ctx, input(ctx, {3, 5, 72}, 1), {input(ctx, {72}, 2), 1e-6f});
                   }});
  cases.push_back({"l2_norm with SiLU", [](const Context& ctx) {
                     return l2_norm(ctx, input(ctx, {1, 1, 4, 5, 24}, 1),
                                    {input(ctx, {24}, 2), 1e-12f}, Activation::Silu);
                   }});
  for (const RopeLayout layout : {RopeLayout::Pairs, RopeLayout::Halves})
    cases.push_back({layout == RopeLayout::Pairs ? "rope, pairs" : "rope, halves",
                     [layout](const Context& ctx) {
                       Tensor x = input(ctx, {2, 9, 3, 32}, 1);
                       const RmsNorm norm = {input(ctx, {32}, 2), 1e-6f};
                       norm_rope(ctx, x, rope_table(ctx, values(9 * 16, 3), 9, 16), layout, &norm);
                       return x;
                     }});
  cases.push_back({"gated_activate", [](const Context& ctx) {
                     return gated_activate(ctx, input(ctx, {4, 33}, 1), input(ctx, {4, 33}, 2),
                                           Activation::Silu);
                   }});
  cases.push_back({"add_gated", [](const Context& ctx) {
                     Tensor x = input(ctx, {2, 3, 40}, 1);
                     add_gated(ctx, x, input(ctx, {2, 3, 40}, 2), input(ctx, {2, 1, 40}, 3));
                     return x;
                   }});
  cases.push_back({"conv 3x3x3, one frame", [](const Context& ctx) {
                     const Conv kernel = {input(ctx, {20, 12, 3, 3, 3}, 2), input(ctx, {20}, 3)};
                     return conv(ctx, input(ctx, {1, 1, 9, 7, 12}, 1), kernel,
                                 {.pad_before = {2, 1, 1}, .pad_after = {0, 1, 1}});
                   }});
  cases.push_back({"conv 3x3, stride 2", [](const Context& ctx) {
                     const Conv kernel = {input(ctx, {16, 12, 1, 3, 3}, 2), input(ctx, {16}, 3)};
                     return conv(ctx, input(ctx, {1, 2, 8, 10, 12}, 1), kernel,
                                 {.stride = {1, 2, 2}, .pad_after = {0, 1, 1}});
                   }});
  cases.push_back({"upsample_nearest", [](const Context& ctx) {
                     return upsample_nearest(ctx, input(ctx, {1, 2, 3, 5, 8}, 1), 2);
                   }});
  return cases;
}

Tensor attention_case(const Context& ctx, const AttentionBackend& backend, std::int64_t seq,
                      Causal causal) {
  const Tensor q = input(ctx, {2, seq, 4, 32}, 1), k = input(ctx, {2, seq, 2, 32}, 2),
               v = input(ctx, {2, seq, 2, 32}, 3);
  return attend(ctx, {.backend = &backend, .spec = {}, .why = {}, .refused = {}},
                {.q = q, .k = k, .v = v, .causal = causal});
}

double bound_of(DType dtype) {
  return dtype == DType::BF16 ? 3e-2 : dtype == DType::F16 ? 4e-3 : 2e-5;
}

SelfTestLine compare(const std::string& name, Bench& tested, Bench& reference,
                     const std::function<Tensor(const Context&)>& run,
                     const std::function<Tensor(const Context&)>& oracle) {
  SelfTestLine line = {.name = name, .error = 0, .bound = bound_of(tested.dtype), .failure = {}};
  try {
    const Context ctx = tested.context(), exact = reference.context();
    const std::vector<float> found = to_host(ctx, run(ctx)), wanted = to_host(exact, oracle(exact));
    double largest = 1e-30, difference = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      largest = std::max(largest, std::fabs(static_cast<double>(wanted[i])));
      const double one = std::fabs(static_cast<double>(found[i]) - static_cast<double>(wanted[i]));
      difference = std::isnan(one) ? HUGE_VAL : std::max(difference, one);
    }
    line.error = difference / largest;
  } catch (const Error& error) {
    line.failure = error.what();
  }
  return line;
}

}  // namespace

std::vector<SelfTestLine> self_test(const Platform& platform, DType dtype) {
  const std::unique_ptr<Platform> oracle = make_platform("reference", {.threads = 1});
  Bench tested(platform, dtype), reference(*oracle, DType::F64);
  std::vector<SelfTestLine> lines;
  for (const OpCase& op : op_cases())
    lines.push_back(compare(op.name, tested, reference, op.run, op.run));
  const AttentionBackend& exact = *oracle->attention().front();
  for (const AttentionBackend* backend : platform.attention())
    for (const std::int64_t seq : {1, 16, 67})
      for (const Causal causal : {Causal::No, Causal::BottomRight}) {
        // What a backend does not take is no failure; that it failed its proof is one, found below.
        const auto refused = backend->refusal(
            {.heads = 4, .kv_heads = 2, .head_dim = 32, .dtype = dtype, .causal = causal});
        if (refused && !refused->starts_with(kFailedProof)) continue;
        lines.push_back(compare(
            text_of("attention ", backend->name(), ", ", seq, " tokens",
                    causal == Causal::No ? "" : ", causal"),
            tested, reference,
            [&](const Context& ctx) { return attention_case(ctx, *backend, seq, causal); },
            [&](const Context& ctx) { return attention_case(ctx, exact, seq, causal); }));
        if (backend->approximate()) lines.back().bound = std::max(lines.back().bound, 3e-2);
      }
  return lines;
}

}  // namespace annulus
