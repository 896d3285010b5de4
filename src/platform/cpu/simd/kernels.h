// The one source of the kernels of every instruction set. A kernels_*.cc defines kLanes (floats of
// a vector), kDotRows and the vectors' conversions in its own namespace, opens its target region,
// and includes this file there: nothing in simd/ includes anything or may be included elsewhere.

// Each file uses those before it:
// clang-format off
#include "platform/cpu/simd/vectors.h"
#include "platform/cpu/simd/tiles.h"
#include "platform/cpu/simd/math.h"
#include "platform/cpu/simd/norms.h"
#include "platform/cpu/simd/rope.h"
#include "platform/cpu/simd/elementwise.h"
#include "platform/cpu/simd/softmax.h"
#include "platform/cpu/simd/small_linear.h"
#include "platform/cpu/simd/table.h"
// clang-format on
