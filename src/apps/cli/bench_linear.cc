#include "apps/cli/bench.h"

namespace annulus::cli {

namespace {

// rows, in, out
const std::vector<std::vector<std::int64_t>>& default_shapes() {
  static const std::vector<std::vector<std::int64_t>> shapes = {{4096, 3072, 3072},
                                                                {4096, 3072, 12288},
                                                                {1024, 1024, 1024},
                                                                {256, 3072, 3072},
                                                                {1, 3072, 18432}};
  return shapes;
}

BenchRow bench_one(const Platform& platform, const BenchOptions& options, DType compute,
                   DType stored, const std::vector<std::int64_t>& s) {
  Device& device = *platform.devices().front();
  const std::unique_ptr<Stream> stream = device.make_stream();
  Workspace workspace(device);
  const Tensor x = random_tensor(*stream, {s[0], s[1]}, compute, 1),
               weight = random_tensor(*stream, {s[2], s[1]}, stored, 2);
  const Tensor bias = random_tensor(*stream, {s[2]}, stored, 3);
  Tensor out = Tensor::empty({s[0], s[2]}, compute, device);
  require(platform.ops().linear != nullptr, ErrorCode::Unsupported,
          "bench linear: wanted a platform with linear, found ", platform.name());
  const Timing timing = time_runs(options.seconds, [&] {
    platform.ops().linear(
        *stream, workspace,
        {.x = x, .weight = weight, .bias = &bias, .activation = Activation::None, .out = out});
    device.synchronize(*stream, 600000);
  });
  return {"linear",
          text_of(s[0], ",", s[1], ",", s[2]),
          compute == stored ? std::string(name_of(compute))
                            : text_of(name_of(compute), ", weights ", name_of(stored)),
          timing,
          2.0 * static_cast<double>(s[0]) * static_cast<double>(s[1]) * static_cast<double>(s[2]),
          static_cast<double>(x.bytes() + weight.bytes() + out.bytes())};
}

}  // namespace

std::vector<BenchRow> bench_linear(const Platform& platform, const BenchOptions& options) {
  std::vector<BenchRow> rows;
  for (const std::vector<std::int64_t>& shape :
       options.shapes.empty() ? default_shapes() : options.shapes) {
    require(shape.size() == 3, ErrorCode::InvalidRequest, "--shape: wanted ROWS,IN,OUT, found ",
            shape.size(), " numbers");
    for (const DType dtype : options.dtypes) {
      rows.push_back(bench_one(platform, options, dtype, dtype, shape));
      if (dtype == DType::F32)
        rows.push_back(bench_one(platform, options, dtype, DType::BF16, shape));
    }
  }
  return rows;
}

}  // namespace annulus::cli
