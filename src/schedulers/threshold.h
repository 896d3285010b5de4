#pragma once

#include "nn/context.h"

namespace annulus {

/// Dynamic thresholding: per batch entry, s = the `ratio` quantile of |x| within [1, most]; x is
/// cut to
/// [-s, s] and divided by s. For models of pixels; goes through the host.
/// Source: Saharia et al. (Imagen), arXiv 2205.11487, section 2.3; torch.quantile, linear.
Tensor thresholded(const Context& ctx, const Tensor& x, double ratio, double most);

}  // namespace annulus
