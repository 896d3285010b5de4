#include "schedulers/shift.h"

namespace annulus {

double shift_mu(std::int64_t image_seq_len, const ShiftRange& range) noexcept {
  const double slope =
      (range.max_shift - range.base_shift) / (range.max_image_seq_len - range.base_image_seq_len);
  const double offset = range.base_shift - slope * range.base_image_seq_len;
  return static_cast<double>(image_seq_len) * slope + offset;
}

double flux2_mu(std::int64_t image_seq_len, int steps) noexcept {
  const double length = static_cast<double>(image_seq_len);
  const double of_200 = 0.00016927 * length + 0.45666666;
  if (image_seq_len > 4300) return of_200;
  const double of_10 = 8.73809524e-05 * length + 1.89833333;
  const double slope = (of_200 - of_10) / 190.0;
  return slope * steps + (of_200 - 200.0 * slope);
}

}  // namespace annulus
