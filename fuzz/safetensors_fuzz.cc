// A whole safetensors file: header and, where that is accepted, every tensor's bytes.
#include <algorithm>

#include "fuzz.h"
#include "io/safetensors.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

void read_all(const std::filesystem::path& path) {
  HostDevice device(1);
  const SafetensorsFile file = SafetensorsFile::open(path);
  std::size_t bytes = 0;
  for (const StoredTensor& stored : file.tensors()) {
    bytes += stored.bytes;
    fuzz::accepts_or_refuses({ErrorCode::Unsupported, ErrorCode::CorruptFile}, [&] {
      const Tensor tensor = file.tensor(stored, device);
      fuzz::check(tensor.bytes() == stored.bytes);
      unsigned sum = 0;
      std::for_each(tensor.address(), tensor.address() + tensor.bytes(),
                    [&](std::byte b) { sum += std::to_integer<unsigned>(b); });
      volatile unsigned keep = sum;
      (void)keep;
    });
  }
  fuzz::check(bytes <= file.bytes());
}

}  // namespace
}  // namespace annulus

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const annulus::fuzz::MemoryFile file(annulus::fuzz::text_of_input(data, size));
  annulus::fuzz::accepts_or_refuses({annulus::ErrorCode::CorruptFile},
                                    [&] { annulus::read_all(file.path()); });
  return 0;
}
