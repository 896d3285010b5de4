#include "platform/ascend/ascend_platform.h"

#include <array>

#include "attention/proof.h"
#include "platform/ascend/ascend_attention.h"
#include "platform/ascend/ops.h"

namespace annulus {

namespace {

OpTable with_aclnn_softmax() noexcept {
  OpTable ops = ascend::ops();
  ops.softmax = ascend::aclnn_softmax;
  return ops;
}

class AscendPlatform final : public Platform {
 public:
  AscendPlatform(const PlatformOptions& options, std::shared_ptr<const Cann> cann)
      : cann_(std::move(cann)),
        device_(cann_, 0),
        threads_(options.threads > 0 ? options.threads : 1),
        fia_(cann_),
        softmax_(MathAttention("softmax", with_aclnn_softmax(), "returns no log-sum-exp")),
        math_(MathAttention(ascend::ops())) {}

  std::string_view name() const noexcept override { return "ascend"; }
  std::string description() const override {
    return text_of(cann_->soc().name, " (", name_of(cann_->soc().family), "), ", cann_->devices(),
                   cann_->devices() == 1 ? " device" : " devices");
  }
  std::string isa() const override { return cann_->soc().name; }
  int threads() const noexcept override { return threads_; }
  std::span<Device* const> devices() const noexcept override { return devices_; }
  const OpTable& ops() const noexcept override { return ascend::ops(); }
  std::span<const AttentionBackend* const> attention() const noexcept override {
    return attention_;
  }
  const AttentionBackend* default_ring_attention_backend() const noexcept override {
    if (cann_->soc().fused_attention > 0) return &proven_fia_;
    return &proven_math_;
  }
  DType default_dtype(DType weights) const noexcept override {
    // f16 ends at 65504, which some models' activations pass.
    return weights != DType::F16 && cann_->soc().bf16 ? DType::BF16 : DType::F16;
  }
  bool supports(DType compute) const noexcept override {
    return compute == DType::F32 || compute == DType::F16 ||
           (compute == DType::BF16 && cann_->soc().bf16);
  }
  DType wide_dtype() const noexcept override { return DType::F32; }
  std::size_t free_memory() const noexcept override { return device_.free_memory(); }

 private:
  std::shared_ptr<const Cann> cann_;
  ascend::AscendDevice device_;
  int threads_;
  ascend::FiaAttention fia_;
  ascend::ComposedAttention softmax_, math_;
  ProvenAttention proven_fia_{fia_, device_}, proven_softmax_{softmax_, device_},
      proven_math_{math_, device_};
  std::array<Device*, 1> devices_ = {&device_};
  std::array<const AttentionBackend*, 3> attention_ = {&proven_fia_, &proven_softmax_,
                                                       &proven_math_};
};

}  // namespace

std::optional<std::string> probe_ascend() {
  return probe_cann();
}

std::unique_ptr<Platform> make_ascend_platform(const PlatformOptions& options) {
  return std::make_unique<AscendPlatform>(options, Cann::shared());
}

}  // namespace annulus
