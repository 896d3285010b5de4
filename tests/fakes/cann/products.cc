// libopapi.so: matrix products and convolutions, with sums in f32.

#include <type_traits>

#include "objects.h"

using namespace fake_cann;
using namespace annulus::cann;

namespace {

using Floats = std::vector<float>;

Floats floats(const aclTensor& x) {
  const Values values = gather(x);
  return Floats(values.begin(), values.end());
}

// out [m, n] += a [m, k] b [k, n]
void multiply(const float* a, const float* b, float* out, std::int64_t m, std::int64_t k,
              std::int64_t n) {
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t l = 0; l < k; ++l) {
      const float factor = a[i * k + l];
      for (std::int64_t j = 0; j < n; ++j) out[i * n + j] += factor * b[l * n + j];
    }
}

int plan_product(const char* name, std::size_t rank, In self, In other, Out out, Bytes bytes,
                 aclOpExecutor** executor) {
  fake_cann::Plan plan(name, bytes, executor);
  const aclTensor a = plan.tensor(self), b = plan.tensor(other), to = plan.tensor(out);
  if (plan.failed()) return plan.done({});
  plan.require(is_floating(a.type) && a.type == b.type && a.type == to.type,
               ACLNN_ERR_PARAM_INVALID, "self, mat2 and out are not of one floating dtype");
  plan.require(a.dims.size() == rank && b.dims.size() == rank && to.dims.size() == rank,
               ACLNN_ERR_PARAM_INVALID, "not of rank " + std::to_string(rank));
  if (plan.failed()) return plan.done({});
  const std::int64_t batch = rank == 3 ? a.dims[0] : 1, m = a.dims[rank - 2], k = a.dims[rank - 1],
                     n = b.dims[rank - 1];
  plan.require(b.dims[rank - 2] == k && to.dims[rank - 2] == m && to.dims[rank - 1] == n &&
                   (rank == 2 || (b.dims[0] == batch && to.dims[0] == batch)),
               ACLNN_ERR_PARAM_INVALID,
               text_of(a.dims) + " x " + text_of(b.dims) + " is not " + text_of(to.dims));
  return plan.done(
      [=] {
        const Floats x = floats(a), y = floats(b);
        Floats result(static_cast<std::size_t>(batch * m * n), 0);
        for (std::int64_t i = 0; i < batch; ++i)
          multiply(x.data() + i * m * k, y.data() + i * k * n, result.data() + i * m * n, m, k, n);
        scatter(to, Values(result.begin(), result.end()));
      },
      512);
}

// A convolution over frames, height and width; one axis of extent 1 in front for 2-D.
struct Conv {
  Dims x, weight, out;  // [batch, channels, frames, height, width]
  Dims stride, padding;
};

// Rows of a matrix [channels * taps, pixels] of one picture.
Floats columns_of(const Conv& c, const float* x) {
  const std::int64_t channels = c.x[1], frames = c.out[2], height = c.out[3], width = c.out[4];
  Floats columns;
  columns.reserve(static_cast<std::size_t>(channels * c.weight[2] * c.weight[3] * c.weight[4] *
                                           frames * height * width));
  for (std::int64_t channel = 0; channel < channels; ++channel)
    for (std::int64_t kt = 0; kt < c.weight[2]; ++kt)
      for (std::int64_t kh = 0; kh < c.weight[3]; ++kh)
        for (std::int64_t kw = 0; kw < c.weight[4]; ++kw)
          for (std::int64_t t = 0; t < frames; ++t)
            for (std::int64_t h = 0; h < height; ++h)
              for (std::int64_t w = 0; w < width; ++w) {
                const std::int64_t at_t = t * c.stride[0] - c.padding[0] + kt,
                                   at_h = h * c.stride[1] - c.padding[1] + kh,
                                   at_w = w * c.stride[2] - c.padding[2] + kw;
                const bool inside = at_t >= 0 && at_t < c.x[2] && at_h >= 0 && at_h < c.x[3] &&
                                    at_w >= 0 && at_w < c.x[4];
                columns.push_back(
                    inside ? x[((channel * c.x[2] + at_t) * c.x[3] + at_h) * c.x[4] + at_w] : 0);
              }
  return columns;
}

Dims with_frames(Dims dims, std::size_t at, std::int64_t extent) {
  dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(at), extent);
  return dims;
}

}  // namespace

extern "C" {

int aclnnMatmulGetWorkspaceSize(In self, In other, Out out, std::int8_t, Bytes bytes,
                                aclOpExecutor** executor) {
  return plan_product("aclnnMatmul", 2, self, other, out, bytes, executor);
}

int aclnnBatchMatMulGetWorkspaceSize(In self, In other, Out out, std::int8_t, Bytes bytes,
                                     aclOpExecutor** executor) {
  return plan_product("aclnnBatchMatMul", 3, self, other, out, bytes, executor);
}

int aclnnConvolutionGetWorkspaceSize(In x, In weight, In bias, Ints stride, Ints padding,
                                     Ints dilation, bool transposed, Ints output_padding,
                                     std::int64_t groups, Out out, std::int8_t, Bytes bytes,
                                     aclOpExecutor** executor) {
  fake_cann::Plan plan("aclnnConvolution", bytes, executor);
  const aclTensor a = plan.tensor(x), kernel = plan.tensor(weight), to = plan.tensor(out);
  plan.optional(bias);
  plan.require(is_live(stride) && is_live(padding) && is_live(dilation), ACLNN_ERR_PARAM_NULLPTR,
               "stride, padding or dilation is NULL");
  plan.require(!transposed && groups == 1, ACLNN_ERR_PARAM_INVALID,
               "transposed and grouped convolutions are not emulated");
  plan.require(output_padding == nullptr || is_live(output_padding), ACLNN_ERR_PARAM_INVALID,
               "outputPadding was destroyed");
  if (plan.failed()) return plan.done({});
  const bool three = a.format == ACL_FORMAT_NCDHW;
  const std::size_t axes = three ? 3 : 2;
  plan.require(three || a.format == ACL_FORMAT_NCHW, ACLNN_ERR_PARAM_INVALID,
               "the format is neither NCHW nor NCDHW");
  plan.require(kernel.format == a.format && to.format == a.format, ACLNN_ERR_PARAM_INVALID,
               "mixed formats");
  plan.require(a.dims.size() == axes + 2 && kernel.dims.size() == axes + 2 &&
                   to.dims.size() == axes + 2 && stride->values.size() == axes &&
                   padding->values.size() == axes && dilation->values == Dims(axes, 1),
               ACLNN_ERR_PARAM_INVALID, "ranks do not fit the format");
  plan.require(is_floating(a.type) && kernel.type == a.type && to.type == a.type &&
                   (bias == nullptr || bias->type == a.type),
               ACLNN_ERR_PARAM_INVALID, "mixed dtypes");
  if (plan.failed()) return plan.done({});
  Conv c{a.dims, kernel.dims, to.dims, stride->values, padding->values};
  if (!three)
    c = {with_frames(c.x, 2, 1), with_frames(c.weight, 2, 1), with_frames(c.out, 2, 1),
         with_frames(c.stride, 0, 1), with_frames(c.padding, 0, 0)};
  bool fits = c.x[1] == c.weight[1] && c.out[0] == c.x[0] && c.out[1] == c.weight[0];
  for (std::size_t i = 0; i < 3; ++i)
    fits =
        fits && c.out[2 + i] == (c.x[2 + i] + 2 * c.padding[i] - c.weight[2 + i]) / c.stride[i] + 1;
  plan.require(fits, ACLNN_ERR_PARAM_INVALID, "shapes do not fit: " + text_of(to.dims));
  const bool biased = bias != nullptr;
  const aclTensor added = biased ? *bias : a;
  return plan.done(
      [=] {
        const Floats values = floats(a), taps = floats(kernel);
        const Values b = biased ? gather(added) : Values(static_cast<std::size_t>(c.out[1]), 0);
        const std::int64_t pixels = c.out[2] * c.out[3] * c.out[4],
                           sums = product(c.weight) / c.weight[0];
        Floats result(static_cast<std::size_t>(product(c.out)), 0);
        for (std::int64_t i = 0; i < c.x[0]; ++i) {
          const Floats columns = columns_of(c, values.data() + i * product(c.x) / c.x[0]);
          float* const picture = result.data() + i * c.out[1] * pixels;
          for (std::int64_t channel = 0; channel < c.out[1]; ++channel)
            for (std::int64_t j = 0; j < pixels; ++j)
              picture[channel * pixels + j] =
                  static_cast<float>(b[static_cast<std::size_t>(channel)]);
          multiply(taps.data(), columns.data(), picture, c.out[1], sums, pixels);
        }
        scatter(to, Values(result.begin(), result.end()));
      },
      1024);
}

int aclnnMatmul(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnMatmul", w, n, e, s);
}
int aclnnBatchMatMul(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnBatchMatMul", w, n, e, s);
}
int aclnnConvolution(void* w, std::uint64_t n, aclOpExecutor* e, void* s) {
  return run("aclnnConvolution", w, n, e, s);
}
}

// Each is what clients declare.
static_assert(std::is_same_v<decltype(::aclnnMatmulGetWorkspaceSize), annulus::cann::aclnnMatmul>);
static_assert(std::is_same_v<decltype(::aclnnMatmul), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnBatchMatMulGetWorkspaceSize), annulus::cann::aclnnBatchMatMul>);
static_assert(std::is_same_v<decltype(::aclnnBatchMatMul), annulus::cann::aclnnRun>);
static_assert(
    std::is_same_v<decltype(::aclnnConvolutionGetWorkspaceSize), annulus::cann::aclnnConvolution>);
static_assert(std::is_same_v<decltype(::aclnnConvolution), annulus::cann::aclnnRun>);
