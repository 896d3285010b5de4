// The two JSON files that say what a model's folder holds: model_index.json and an index of shards.
#include "fuzz.h"
#include "io/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace annulus;  // NOLINT(google-build-using-namespace): one function
  fuzz::accepts_or_refuses({ErrorCode::CorruptFile}, [&] {
    const Json json = Json::parse(fuzz::text_of_input(data, size), "index", ErrorCode::CorruptFile);
    fuzz::accepts_or_refuses({ErrorCode::CorruptFile}, [&] {
      for (const auto& [tensor, shard] : read_weight_index(json))
        fuzz::check(shard.find('/') == std::string::npos);
    });
    for (const Component& component : read_components(json, "/model"))
      fuzz::check(component.folder.parent_path() == "/model");
  });
  return 0;
}
