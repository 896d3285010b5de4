// A platform is a kind of device with all that runs on it. Nothing above this folder knows which
// one it has. To add one: implement Platform in a folder of its own and add a line to platform.cc.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attention/selection.h"
#include "comm/communicator.h"
#include "platform/op_table.h"

namespace annulus {

struct PlatformOptions {
  int threads = 0;  // per rank; 0: the cores this process may use
};

/// What a device can do at most, measured.
struct PeakRate {
  std::string name, unit;  // "f32 fma avx512", "flop/s"; "memory read", "byte/s"
  double per_second;
};

class Platform {
 public:
  virtual ~Platform() = default;
  virtual std::string_view name() const noexcept = 0;  // "cpu", "reference", "ascend"
  virtual std::string description()
      const = 0;  // for people: "avx512_bf16, 2 threads, oneDNN 2.6.3"
  virtual std::string isa()
      const = 0;  // the instruction set in use, "" where there is none to name
  virtual int threads() const noexcept = 0;  // that its operations may use
  virtual std::span<Device* const> devices() const noexcept = 0;
  virtual const OpTable& ops() const noexcept = 0;

  /// In order of preference.
  virtual std::span<const AttentionBackend* const> attention() const noexcept = 0;
  /// The first backend that serves this device with LSE; null: none has one.
  virtual const AttentionBackend* default_ring_attention_backend() const noexcept = 0;

  /// The fastest compute dtype here (inputs of GEMM and attention) for weights stored as `weights`.
  virtual DType default_dtype(DType weights) const noexcept = 0;
  virtual bool supports(DType compute) const noexcept = 0;
  /// Of the residual stream, norms, modulation and latents: f32, or f64 on the reference platform.
  virtual DType wide_dtype() const noexcept = 0;

  /// Measures the peaks of this device, about `seconds` each. Empty where there is nothing to
  /// measure.
  virtual std::vector<PeakRate> measure_peaks(double /*seconds*/) const { return {}; }

  /// Bytes of memory that is free for this process.
  virtual std::size_t free_memory() const noexcept = 0;
};

/// One line of the list of platforms.
struct PlatformEntry {
  std::string_view name;
  bool listed;  // does `doctor` show it? (`reference` is for tests)
  std::optional<std::string> (
      *probe)();  // why it is absent on this machine; nothing when it is there
  std::unique_ptr<Platform> (*make)(const PlatformOptions&);
};

/// All platforms this build knows, best first.
std::span<const PlatformEntry> platforms() noexcept;

/// The platform of that name, or the first that is there when `name` is empty. Throws NotFound
/// naming the known ones, Unsupported with the reason when it is absent.
std::unique_ptr<Platform> make_platform(std::string_view name, const PlatformOptions& options);

}  // namespace annulus
