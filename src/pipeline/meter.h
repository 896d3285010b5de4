// What a run needs, found by walking through it: a device that hands out addresses without memory
// and operations that compute nothing. Models run on it unchanged, so a prediction cannot fall
// behind the code; it takes about as long as the calls themselves. Not here: what a platform's
// libraries keep for themselves. Start with `Meter`.
#pragma once

#include <cstddef>
#include <map>
#include <memory>

#include "attention/backend.h"
#include "nn/context.h"

namespace annulus {

/// Counts what is allocated and which weights are read.
class MeterDevice final : public Device {
 public:
  std::string_view name() const noexcept override { return "meter"; }
  bool host_visible() const noexcept override { return false; }
  std::shared_ptr<Buffer> allocate(std::size_t bytes) override;
  std::shared_ptr<Buffer> adopt(std::shared_ptr<const void> owner, const std::byte* data,
                                std::size_t bytes) override;
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<Stream>(*this); }
  /// Copies nothing; what arrives in the host's memory is zeros.
  void copy(Stream& stream, const Tensor& from, Tensor& to) override;
  void fill(Stream&, Tensor&, double) override {}
  Event record(Stream&) override { return {}; }
  void wait(Stream&, const Event&) override {}
  void synchronize(Stream&, int) override {}
  MemoryUse memory() const noexcept override { return *use_; }

  /// Says that the first `bytes` bytes of a tensor of another device are read.
  void read(const Tensor& weight, std::size_t bytes);
  /// Bytes of other devices' tensors that were read, each counted once.
  std::size_t bytes_read() const noexcept;

 private:
  std::shared_ptr<MemoryUse> use_ = std::make_shared<MemoryUse>();  // live buffers share it
  std::map<const std::byte*, std::size_t> read_;                    // address -> bytes
  std::byte nowhere_{};  // an address that is not null; nobody reads or writes there
};

/// A place to run models on without memory or arithmetic.
class Meter {
 public:
  explicit Meter(const Mesh& mesh) : stream_(device_), workspace_(device_), mesh_(mesh) {}

  /// `ctx` with this meter for its device and operations.
  Context context(const Context& ctx);

  /// Answers every spec and computes nothing: takes the place of a layer's choice.
  static const AttentionBackend& attention() noexcept;

  std::size_t peak() const noexcept { return device_.memory().peak; }
  std::size_t weights() const noexcept { return device_.bytes_read(); }

 private:
  MeterDevice device_;
  Stream stream_;
  Workspace workspace_;
  const Mesh& mesh_;
};

}  // namespace annulus
