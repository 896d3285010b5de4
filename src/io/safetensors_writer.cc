#include <algorithm>
#include <bit>
#include <cstring>

#include "io/atomic_file.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "io/safetensors_dtype.h"
#include "tensor/copy.h"

namespace annulus {

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  static_assert(std::endian::native == std::endian::little, "the format is little-endian");
  // Widest elements first: then every tensor is aligned without holes.
  std::vector<std::pair<std::string_view, Tensor>> ordered;
  for (const auto& [name, tensor] : tensors) {
    require(name != "__metadata__", ErrorCode::InvalidRequest,
            "tensor: wanted a name of its own, found __metadata__ (", path.string(), ")");
    require(tensor.defined() && tensor.device().host_visible(), ErrorCode::InvalidRequest,
            "tensor \"", name, "\": wanted one the host can read (", path.string(), ")");
    ordered.emplace_back(name, tensor);
  }
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) {
    return size_of(a.second.dtype()) > size_of(b.second.dtype());
  });

  Json header = Json::object();
  if (!metadata.empty()) {
    Json pairs = Json::object();
    for (const auto& [key, value] : metadata) pairs.set(key, value);
    header.set("__metadata__", pairs);
  }
  std::size_t offset = 0;
  for (const auto& [name, tensor] : ordered) {
    const auto extents = tensor.shape().extents();
    header.set(name,
               Json::object(
                   {{"dtype", stored_name_of(tensor.dtype())},
                    {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                    {"data_offsets", std::vector<std::size_t>{offset, offset + tensor.bytes()}}}));
    offset += tensor.bytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');

  AtomicFile file(path);
  const auto length =
      std::bit_cast<std::array<std::byte, 8>>(static_cast<std::uint64_t>(text.size()));
  file.write(length);
  file.write(text);
  for (const auto& [name, tensor] : ordered) {
    const Tensor plain = contiguous(*tensor.device().make_stream(), tensor);
    file.write({plain.address(), plain.bytes()});
  }
  file.commit();
}

}  // namespace annulus
