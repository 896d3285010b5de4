// The names in a LoRA file, and its metadata: the first line of the input is the configuration,
// each further line the name of a tensor of 2 x 2.
#include "fuzz.h"
#include "io/lora.h"
#include "tensor/host_device.h"

namespace annulus {
namespace {

std::string lora_file(std::string_view text) {
  Json header = Json::object();
  std::size_t offset = 0;
  for (bool first = true; !text.empty(); first = false) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (first) {
      header.set("__metadata__", Json::object({{"lora_adapter_metadata", line}}));
      continue;
    }
    if (header.has(line)) continue;
    header.set(line,
               Json::object({{"dtype", "F32"},
                             {"shape", std::vector<int>{2, 2}},
                             {"data_offsets", std::vector<std::size_t>{offset, offset + 16}}}));
    offset += 16;
  }
  const std::string json = header.dump();
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(json.size() >> (8 * i) & 0xff);
  return file + json + std::string(offset, '\0');
}

}  // namespace
}  // namespace annulus

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace annulus;  // NOLINT(google-build-using-namespace): one function
  const std::string_view text = fuzz::text_of_input(data, size);
  if (text.size() > 4096) return 0;
  const fuzz::MemoryFile file(lora_file(text));
  HostDevice device(1);
  LoraSet set;
  fuzz::accepts_or_refuses({ErrorCode::InvalidRequest, ErrorCode::Unsupported}, [&] {
    set.add(file.path(), 1, device);
    for (const auto& [key, entry] : set.entries()) fuzz::check(set.terms(entry.module).size() == 1);
  });
  return 0;
}
