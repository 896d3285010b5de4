// A model ready to work: platform, device, communicator, mesh and one pipeline, and the rule that
// one request runs at a time.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "parallel/plan.h"
#include "pipeline/pipeline.h"
#include "platform/platform.h"

namespace annulus {

struct EngineConfig {
  std::filesystem::path checkpoint;  // a folder in diffusers' layout
  std::string platform;              // "": the best one there is
  int threads = 0;                   // per rank; 0: the cores this process may use
  std::optional<DType> dtype;  // nothing: the platform's default for the transformer's weights
  std::map<std::string, DType, std::less<>> component_dtype;
  std::string attention_backend;  // "": the platform's order
  std::map<std::string, std::string, std::less<>> component_attention;
  std::vector<std::pair<std::filesystem::path, float>> loras;  // file, scale
  ParallelPlan plan;
};

class Engine {
 public:
  /// Throws NotFound, Unsupported, CorruptFile, InvalidRequest as its parts do; nothing is half
  /// made.
  explicit Engine(const EngineConfig& config);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// The request with defaults filled in, checked.
  Request complete(Request request) const;

  /// Completes and runs a request. One at a time: a second caller waits its turn. Throws as
  /// Pipeline::generate.
  Result run(Request request, const Progress& progress);

  const Pipeline& pipeline() const noexcept;
  const Platform& platform() const noexcept;
  const Device& device() const noexcept;
  Context context() const noexcept;  // what the pipeline runs on: a stream of this engine
  DType dtype() const noexcept;
  const std::string& model_class() const noexcept;  // "QwenImagePipeline"
  std::size_t weights_mapped() const noexcept;      // bytes of the model's files that are mapped

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
  std::mutex turn_;
};

}  // namespace annulus
