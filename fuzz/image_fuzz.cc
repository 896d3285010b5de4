// A picture of any kind: header, pixels, orientation. What is accepted is whole.
#include <span>

#include "fuzz.h"
#include "io/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace annulus;  // NOLINT(google-build-using-namespace): one function
  fuzz::accepts_or_refuses({ErrorCode::InvalidRequest}, [&] {
    const ImageLimits limits{.side = 2000, .pixels = 1 << 18};
    const Image image = decode_image(std::as_bytes(std::span(data, size)), "fuzz", limits);
    fuzz::check(image.width > 0 && image.height > 0 &&
                image.pixels.size() == std::size_t{3} * static_cast<std::size_t>(image.width) *
                                           static_cast<std::size_t>(image.height));
  });
  return 0;
}
