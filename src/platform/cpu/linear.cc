// Linear layers. A few rows go to our own kernel, which reads the weight once; more go to oneDNN,
// in blocks wherever an operand has to be converted first, so that no whole copy is ever held.
#include <algorithm>
#include <numeric>

#include "base/parallel_for.h"
#include "platform/cpu/cpu_device.h"
#include "platform/cpu/onednn.h"
#include "platform/cpu/ops.h"
#include "tensor/copy.h"

namespace annulus::cpu {

namespace {

constexpr std::int64_t kWeightBlockBytes = std::int64_t{4} << 20;
constexpr std::int64_t kXBlockBytes = std::int64_t{32} << 20;
constexpr std::int64_t kOutBlockBytes = std::int64_t{16} << 20;
constexpr std::int64_t kLeastOutputs = 512;  // of a product, where there are as many

std::int64_t bytes_of(DType dtype) noexcept {
  return static_cast<std::int64_t>(size_of(dtype));
}

std::int64_t rounded_up(std::int64_t value, std::int64_t step) noexcept {
  return (value + step - 1) / step * step;
}

// How many of `count` lines fit into `bytes`, a multiple of 64 unless it is all of them.
std::int64_t block_of(std::int64_t count, std::int64_t line_bytes, std::int64_t bytes) noexcept {
  const std::int64_t lines =
      std::max<std::int64_t>(bytes / std::max<std::int64_t>(line_bytes, 1), 1);
  return std::min(count, rounded_up(lines, 64));
}

// Rows [first, first + count) of `from` to dense rows of `dtype`.
void convert_rows(const CpuDevice& device, const Rows& from, std::int64_t first, std::int64_t count,
                  DType dtype, std::byte* to) {
  const std::int64_t length = from.length(), pitch = length * bytes_of(dtype);
  parallel_for(device.threads(), count, std::max<std::int64_t>(8192 / length, 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row)
                   device.kernels().convert(from.source(first + row), Activation::None,
                                            {to + row * pitch, dtype}, length);
               });
}

struct Layer {
  Rows x, weight, out;
  Source bias;
  Activation activation;
};

DType arithmetic(const CpuDevice& device, const Layer& layer) noexcept {
  return layer.x.dtype() == DType::BF16 && device.has_bf16_products() ? DType::BF16 : DType::F32;
}

// Is reading the weight dearer than the arithmetic, so that our own kernel is best? Where oneDNN
// would need a converted copy of the weight more rows are few, unless they are short: then sums
// across the lanes of a vector are most of the work.
bool has_few_rows(const CpuDevice& device, const Layer& layer) noexcept {
  constexpr std::int64_t kFew = 8, kFewOfAnotherType = 24, kLong = 1024;
  const std::int64_t rows = layer.x.count(), in = layer.x.length();
  if (layer.weight.dtype() == arithmetic(device, layer)) return rows <= kFew;
  return rows <= (in < kLong ? kFewOfAnotherType : kSmallLinearRows);
}

// Dense f32 products to columns [column, column + length) of rows [first, first + count) of
// the layer's out, activated on the way.
void store_rows(const CpuDevice& device, const Layer& layer, const std::byte* from,
                std::int64_t length, std::int64_t first, std::int64_t count, std::int64_t column) {
  const std::int64_t pitch = length * bytes_of(DType::F32),
                     offset = column * bytes_of(layer.out.dtype());
  parallel_for(device.threads(), count, std::max<std::int64_t>(8192 / length, 1),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   Sink sink = layer.out.sink(first + row);
                   sink.data += offset;
                   device.kernels().convert({from + row * pitch, DType::F32}, layer.activation,
                                            sink, length);
                 }
               });
}

void few_rows(const CpuDevice& device, Workspace& workspace, const Layer& layer) {
  const std::int64_t rows = layer.x.count(), in = layer.x.length(), pitch = rounded_up(in, 16);
  auto* x = reinterpret_cast<float*>(
      workspace.take(static_cast<std::size_t>(rows * pitch) * sizeof(float)));
  for (std::int64_t row = 0; row < rows; ++row) {
    float* const line = x + row * pitch;
    device.kernels().convert(layer.x.source(row), Activation::None,
                             {reinterpret_cast<std::byte*>(line), DType::F32}, in);
    std::fill(line + in, line + pitch, 0.0f);
  }
  const SmallLinear call = {.x = x,
                            .rows = rows,
                            .in = in,
                            .pitch = pitch,
                            .weight = layer.weight,
                            .bias = layer.bias,
                            .activation = layer.activation,
                            .out = layer.out};
  const std::int64_t outputs = layer.out.length();
  parallel_for(device.threads(), outputs,
               std::max<std::int64_t>(32768 / std::max<std::int64_t>(in * rows, 1), 4),
               [&](std::int64_t begin, std::int64_t end) {
                 device.kernels().small_linear(call, begin, end);
               });
}

bool is_dense(const Rows& rows) noexcept {
  return rows.run() == rows.count() &&
         (rows.count() == 1 || rows.pitch() == rows.length() * bytes_of(rows.dtype()));
}

// A layer as products of blocks.
struct Blocks {
  DType factors;  // the arithmetic's type
  DType staged;   // what oneDNN writes
  bool convert_x, convert_weight, stage_out;
  std::int64_t x_rows;         // rows of x that are held converted
  std::int64_t rows, outputs;  // of one product
};

Blocks blocks_of(const CpuDevice& device, const Layer& layer) {
  const std::int64_t count = layer.x.count(), in = layer.x.length(), outputs = layer.out.length();
  Blocks b{};
  b.factors = arithmetic(device, layer);
  b.convert_x = layer.x.dtype() != b.factors || !is_dense(layer.x);
  b.convert_weight = layer.weight.dtype() != b.factors || !is_dense(layer.weight);
  // Products are activated on their way from a block to their place: in bf16 they would be rounded
  // twice, and a pass of its own over a large result costs more.
  b.stage_out = layer.activation != Activation::None || !is_dense(layer.out) ||
                (layer.out.dtype() != DType::F32 && layer.out.dtype() != b.factors);
  b.staged = b.stage_out ? DType::F32 : layer.out.dtype();
  b.x_rows = b.convert_x ? block_of(count, in * bytes_of(b.factors), kXBlockBytes) : count;
  b.outputs = outputs;
  // Blocks of outputs rather than of rows, since oneDNN rearranges the weight in every product.
  if (b.stage_out)
    b.outputs = std::max(block_of(outputs, b.x_rows * bytes_of(DType::F32), kOutBlockBytes),
                         std::min(kLeastOutputs, outputs));
  if (b.convert_weight)
    b.outputs = std::min(b.outputs, block_of(outputs, in * bytes_of(b.factors), kWeightBlockBytes));
  if (b.outputs < outputs && !b.stage_out) {
    b.stage_out = true;
    b.staged = DType::F32;
  }
  b.rows =
      b.stage_out ? block_of(b.x_rows, b.outputs * bytes_of(DType::F32), kOutBlockBytes) : b.x_rows;
  return b;
}

std::shared_ptr<const MadeProduct> product_of(const CpuDevice& device, const Layer& layer,
                                              const Blocks& b, std::int64_t rows,
                                              std::int64_t outputs) {
  const std::int64_t in = layer.x.length();
  return device.onednn().product({.factors = b.factors,
                                  .out = b.staged,
                                  .m = rows,
                                  .k = in,
                                  .n = outputs,
                                  .a_stride = {0, in, 1},
                                  .b_stride = {0, 1, in},
                                  .out_stride = {0, outputs, 1},
                                  .bias = layer.bias.data != nullptr});
}

// Where the parts of the workspace begin.
struct Room {
  std::byte *x, *weight, *out, *scratch;
  float* bias;
};

Room take_room(const CpuDevice& device, Workspace& workspace, const Layer& layer, const Blocks& b) {
  const std::int64_t count = layer.x.count(), in = layer.x.length(), outputs = layer.out.length();
  std::size_t scratch = 0;  // the most that any block needs
  for (const std::int64_t rows : {b.rows, b.x_rows % b.rows, count % b.x_rows % b.rows})
    for (const std::int64_t columns : {b.outputs, outputs % b.outputs})
      if (rows > 0 && columns > 0)
        scratch = std::max(scratch, scratch_bytes(*product_of(device, layer, b, rows, columns)));
  std::size_t total = 0;
  const auto part = [&](bool wanted, std::int64_t elements, DType dtype) {
    const std::size_t begin = total;
    if (wanted) total += static_cast<std::size_t>(rounded_up(elements * bytes_of(dtype), 64));
    return begin;
  };
  const std::size_t x = part(b.convert_x, b.x_rows * in, b.factors);
  const std::size_t weight = part(b.convert_weight, b.outputs * in, b.factors);
  const std::size_t out = part(b.stage_out, b.rows * b.outputs, b.staged);
  const std::size_t bias = part(layer.bias.data != nullptr, outputs, DType::F32);
  std::byte* const base = workspace.take(total + scratch + 64);
  return {.x = base + x,
          .weight = base + weight,
          .out = base + out,
          .scratch = base + total,
          .bias = layer.bias.data != nullptr ? reinterpret_cast<float*>(base + bias) : nullptr};
}

void many_rows(const CpuDevice& device, Workspace& workspace, const Layer& layer) {
  const std::int64_t count = layer.x.count(), in = layer.x.length(), outputs = layer.out.length();
  const Blocks b = blocks_of(device, layer);
  const Room room = take_room(device, workspace, layer, b);
  if (room.bias != nullptr)
    device.kernels().convert(layer.bias, Activation::None,
                             {reinterpret_cast<std::byte*>(room.bias), DType::F32}, outputs);
  const auto product = [&](const std::byte* x, const std::byte* weight, std::int64_t first_row,
                           std::int64_t rows, std::int64_t first_output, std::int64_t columns) {
    std::byte* const to = b.stage_out ? room.out : layer.out.address(first_row);
    device.onednn().run(*product_of(device, layer, b, rows, columns), x, weight,
                        room.bias != nullptr ? room.bias + first_output : nullptr, to,
                        room.scratch);
    if (b.stage_out) store_rows(device, layer, to, columns, first_row, rows, first_output);
  };

  for (std::int64_t x_first = 0; x_first < count; x_first += b.x_rows) {
    const std::int64_t x_rows = std::min(b.x_rows, count - x_first);
    const std::byte* const x = b.convert_x ? room.x : layer.x.address(x_first);
    if (b.convert_x) convert_rows(device, layer.x, x_first, x_rows, b.factors, room.x);
    for (std::int64_t output = 0; output < outputs; output += b.outputs) {
      const std::int64_t columns = std::min(b.outputs, outputs - output);
      const std::byte* const weight = b.convert_weight ? room.weight : layer.weight.address(output);
      if (b.convert_weight)
        convert_rows(device, layer.weight, output, columns, b.factors, room.weight);
      for (std::int64_t row = 0; row < x_rows; row += b.rows)
        product(x + row * in * bytes_of(b.factors), weight, x_first + row,
                std::min(b.rows, x_rows - row), output, columns);
    }
  }
}

}  // namespace

void linear(Stream& stream, Workspace& workspace, const LinearArgs& args) {
  const CpuDevice& device = cpu_device(stream);
  if (args.out.elements() == 0) return;
  const Layer layer = {.x = Rows(args.x),
                       .weight = Rows(args.weight),
                       .out = Rows(args.out),
                       .bias = vector_source(args.bias),
                       .activation = args.activation};
  if (layer.x.length() == 0 || has_few_rows(device, layer))
    few_rows(device, workspace, layer);
  else
    many_rows(device, workspace, layer);
}

}  // namespace annulus::cpu
