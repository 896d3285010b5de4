// A model from a folder, and pictures from prompts: what `annulus generate` does, for programs.
// Link annulus::engine (CMake) or annulus-engine (pkg-config).
//
//   annulus::engine::Engine engine({.model = "demo/storybook"});
//   const auto pictures = engine.run({.prompts = {"a purple house in the snow"}, .seeds = {7}});
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace annulus::engine {

struct Options {
  std::string model;          // a folder in diffusers' layout
  std::string platform = {};  // "": the best one there is
  std::string dtype = {};     // "f32", "bf16"; "": what is fastest here and fits the weights
  std::string attention_backend = {};  // "": the platform's order
  int threads = 0;                     // 0: the cores this process may use
};

struct Request {
  std::vector<std::string> prompts;                // one picture each
  std::vector<std::string> negative_prompts = {};  // as many, or one for all, or none: the default
  std::vector<std::uint64_t> seeds = {};           // one per picture
  std::int64_t width = 0, height = 0;              // pixels; 0: the model's default
  int steps = 0;                                   // 0: the model's default
  std::optional<float> guidance_scale = {};
  std::optional<float> true_cfg_scale = {};
  int max_sequence_length = 0;  // tokens of a prompt; a longer one is refused; 0: the default
};

struct Picture {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> pixels;  // [height, width, 3], red, green, blue, 0 to 255
};

/// Called between steps with "encode", "denoise" or "decode" and how much of it is done; false
/// stops the run.
using Progress = std::function<bool(const char* stage, int done, int total)>;

/// Thrown by run() when Progress said stop.
struct Stopped : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A loaded model. Calls from several threads take turns.
class Engine {
 public:
  /// Throws std::runtime_error, saying what was wanted and what was found, for a folder or an
  /// option that does not serve.
  explicit Engine(const Options& options);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  /// One picture per prompt, the same for the same seed. Throws std::runtime_error for a request
  /// that the model cannot serve, Stopped.
  std::vector<Picture> run(const Request& request, const Progress& progress = {});

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace annulus::engine
