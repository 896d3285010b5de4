#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "attention/backend.h"

namespace annulus {

/// Runs a few tiny calls of `spec` (its dtype, masks, ratio of heads and head_dim; lengths around
/// 1, 16, 512 and 2048; out and, where the spec has it, LSE) and compares them with the reference
/// on the host. Nothing, or what was wrong, with error and bound; what the backend throws is wrong
/// too.
std::optional<std::string> prove(Device& device, const AttentionBackend& backend,
                                 const AttentionSpec& spec);

/// How the refusal of a backend whose proof failed begins.
constexpr std::string_view kFailedProof = "failed its proof: ";

/// A backend of a device that proves itself before it first serves a spec: success with a wrong
/// result is a reported failure of real stacks, and a refusal here. Remembered while this lives.
/// Safe from several threads.
class ProvenAttention final : public AttentionBackend {
 public:
  /// Both must outlive this.
  ProvenAttention(const AttentionBackend& backend, Device& device) noexcept
      : backend_(backend), device_(device) {}

  std::string_view name() const noexcept override { return backend_.name(); }
  std::optional<std::string> refusal(const AttentionSpec& spec) const override;
  bool approximate() const noexcept override { return backend_.approximate(); }
  void run(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override {
    backend_.run(stream, workspace, args, out, lse);
  }
  void fold(Stream& stream, Workspace& workspace, const AttentionArgs& args,
            RunningAttention& running) const override {
    backend_.fold(stream, workspace, args, running);
  }
  void finish(Stream& stream, Workspace& workspace, const RunningAttention& running, Tensor& out,
              Tensor* lse) const override {
    backend_.finish(stream, workspace, running, out, lse);
  }

 private:
  const AttentionBackend& backend_;
  Device& device_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::optional<std::string>> proofs_;  // by the spec's text
};

}  // namespace annulus
