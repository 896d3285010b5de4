// A model ready to work: platform, device, mesh and one pipeline, and the rule that one request
// runs at a time. On several ranks each has an engine: rank 0's is asked, the others follow.
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
  ParallelPlan plan;                                           // its product is the number of ranks
  /// The same bits for every ring degree (and with or without cfg groups) on one instruction set.
  /// Costs: one thread per rank, rows in padded blocks, all keys and values on every rank, and the
  /// first rank decodes alone. Refuses Ulysses.
  bool deterministic = false;
  std::string version;  // compared between ranks; "": this build's
};

/// What a rank has used so far, in bytes.
struct RankUse {
  std::size_t peak_resident = 0;   // of its process
  std::size_t allocator_peak = 0;  // handed out by its device
  std::uint64_t sent = 0;          // in messages to other ranks
};

class Engine {
 public:
  /// Throws NotFound, Unsupported, CorruptFile, InvalidRequest as its parts do; nothing is half
  /// made.
  ///
  ///   world  the ranks that work together, which outlive the engine; null: one rank. Collective:
  ///          each constructs its engine, and what one throws all throw. PeerFailure, naming rank
  ///          and both values, when they disagree about version, arguments, platform, model files
  ///          or attention backends.
  explicit Engine(const EngineConfig& config, Communicator* world = nullptr);
  /// Rank 0's ends follow() on the others.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// The request with defaults filled in, checked.
  Request complete(Request request) const;

  /// Completes and runs a request. One at a time: a second caller waits its turn. Throws as
  /// Pipeline::generate; what goes wrong on another rank has its number before the message, and
  /// ends the run on all. Rank 0 only: the others follow().
  Result run(Request request, const Progress& progress);

  /// Takes part in what rank 0 runs until its engine ends. Not of rank 0. Throws what ended the
  /// run: PeerFailure, or this rank's own error.
  void follow();

  /// Of every rank, in rank order. Rank 0 only.
  std::vector<RankUse> use();

  bool leads() const noexcept;  // is this rank 0?
  const ParallelPlan& plan() const noexcept;

  const Pipeline& pipeline() const noexcept;
  const Platform& platform() const noexcept;
  const Device& device() const noexcept;
  Context context() const noexcept;  // what the pipeline runs on: a stream of this engine
  DType dtype() const noexcept;
  const std::string& model_class() const noexcept;  // "QwenImagePipeline"
  /// 16 digits that tell the files of this model and its LoRAs from others (digest_of()).
  std::string files_digest() const;
  std::size_t weights_mapped() const noexcept;  // bytes of the model's files that are mapped

 private:
  struct Parts;
  bool follow_one();  // false: it was the last
  Result work(const Request& request, const Progress& progress);
  std::unique_ptr<Parts> parts_;
  std::mutex turn_;
};

}  // namespace annulus
