#include <array>
#include <atomic>

#include "base/parallel_for.h"
#include "platform/cpu/cpu_device.h"
#include "platform/cpu/ops.h"

namespace annulus::cpu {

namespace {

// run(kernels, begin, end) over the tiles of a walk.
template <class Run>
void over_tiles(Stream& stream, const Walk& walk, const Run& run) {
  const CpuDevice& device = cpu_device(stream);
  parallel_for(device.threads(), walk.tiles(), walk.grain(),
               [&](std::int64_t begin, std::int64_t end) { run(device.kernels(), begin, end); });
}

}  // namespace

void activate(Stream& stream, Workspace&, const ActivateArgs& args) {
  const Walk walk({&args.out, &args.x});
  over_tiles(stream, walk, [&](const Kernels& kernels, std::int64_t begin, std::int64_t end) {
    kernels.activate(walk, args.activation, begin, end);
  });
}

void gated_activate(Stream& stream, Workspace&, const GatedActivateArgs& args) {
  const Walk walk({&args.out, &args.gate, &args.up});
  over_tiles(stream, walk, [&](const Kernels& kernels, std::int64_t begin, std::int64_t end) {
    kernels.gated_activate(walk, args.activation, begin, end);
  });
}

void add_gated(Stream& stream, Workspace&, const AddGatedArgs& args) {
  const Tensor gate = args.gate.expand(args.x.shape());
  const Walk walk({&args.x, &args.x, &args.y, &gate});
  over_tiles(stream, walk, [&](const Kernels& kernels, std::int64_t begin, std::int64_t end) {
    kernels.add_gated(walk, begin, end);
  });
}

void combine(Stream& stream, Workspace&, const CombineArgs& args) {
  constexpr std::size_t kMost = Walk::kMaxOperands - 1;
  require(!args.terms.empty() && args.terms.size() <= kMost, ErrorCode::InvalidRequest,
          "combine: wanted 1 to ", kMost, " terms, found ", args.terms.size());
  std::array<const Tensor*, Walk::kMaxOperands> operands = {&args.out};
  std::array<float, kMost> factors{};
  for (std::size_t i = 0; i < args.terms.size(); ++i) {
    operands[i + 1] = args.terms[i].x;
    factors[i] = args.terms[i].factor;
  }
  const Walk walk(operands.data(), args.terms.size() + 1);
  over_tiles(stream, walk, [&](const Kernels& kernels, std::int64_t begin, std::int64_t end) {
    kernels.combine(walk, factors.data(), begin, end);
  });
}

void scale_shift(Stream& stream, Workspace&, const ScaleShiftArgs& args) {
  const Walk walk({&args.out, &args.x, &args.scale, &args.shift});
  over_tiles(stream, walk, [&](const Kernels& kernels, std::int64_t begin, std::int64_t end) {
    kernels.scale_shift(walk, begin, end);
  });
}

bool all_finite(Stream& stream, Workspace&, const AllFiniteArgs& args) {
  const Walk walk({&args.x});
  std::atomic<bool> finite = true;
  over_tiles(stream, walk, [&](const Kernels& kernels, std::int64_t begin, std::int64_t end) {
    if (!kernels.all_finite(walk, begin, end)) finite = false;
  });
  return finite;
}

}  // namespace annulus::cpu
