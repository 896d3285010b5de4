#include "attention_case.h"

#include <algorithm>

#include "attention/cpu/flash.h"
#include "attention/reference.h"

namespace annulus::goldens {
namespace {

Causal causal_of(const Json& args) {
  const std::string causal = args.get<std::string>("causal", "");
  if (causal.empty()) return Causal::No;
  require(causal == "top_left" || causal == "bottom_right", ErrorCode::CorruptFile,
          "golden case: wanted causal top_left or bottom_right, found ", causal);
  return causal == "top_left" ? Causal::TopLeft : Causal::BottomRight;
}

const Tensor* given(const Tensor& x) noexcept {
  return x.defined() ? &x : nullptr;
}

}  // namespace

AttentionCase::AttentionCase(const GoldenCase& golden, Device& host)
    : q_(golden.input("q", host)),
      k_(golden.input("k", host)),
      v_(golden.input("v", host)),
      scale_(golden.json().get<float>("scale")) {
  const Json args = golden.json()["args"];
  causal_ = causal_of(args);
  if (const std::optional<Json> window = args.find("window"))
    window_ = {window->at(0).as<std::int64_t>(), window->at(1).as<std::int64_t>()};
  const auto take = [&](const char* name, Tensor& tensor) {
    if (golden.has_input(name)) tensor = golden.input(name, host);
  };
  take("kv_lens", kv_lens_);
  take("mask", mask_);
  take("cu_seqlens_q", cu_seqlens_q_);
  take("cu_seqlens_k", cu_seqlens_k_);
}

AttentionArgs AttentionCase::args() const {
  return {.q = q_,
          .k = k_,
          .v = v_,
          .scale = scale_,
          .causal = causal_,
          .window = window_,
          .kv_lengths = given(kv_lens_),
          .mask = given(mask_),
          .cu_seqlens_q = given(cu_seqlens_q_),
          .cu_seqlens_k = given(cu_seqlens_k_)};
}

Shape AttentionCase::lse_shape() const {
  if (cu_seqlens_q_.defined()) return {q_.shape()[1], q_.shape()[0]};
  return {q_.shape()[0], q_.shape()[2], q_.shape()[1]};
}

Tensor AttentionCase::diagonal_mask(std::int64_t begin, std::int64_t end, Device& host) const {
  const std::int64_t seq_q = q_.shape()[1], seq_kv = k_.shape()[1];
  Tensor mask = Tensor::empty({1, 1, seq_q, end - begin}, DType::Bool, host);
  bool* seen = mask.data<bool>();
  for (std::int64_t query = 0; query < seq_q; ++query) {
    const std::int64_t right = query + seq_kv - seq_q;  // of the bottom-right diagonal
    for (std::int64_t key = begin; key < end; ++key) {
      const bool before =
          causal_ == Causal::No || key <= (causal_ == Causal::TopLeft ? query : right);
      const bool in_window = (window_[0] < 0 || key >= right - window_[0]) &&
                             (window_[1] < 0 || key <= right + window_[1]);
      *seen++ = before && in_window;
    }
  }
  return mask;
}

AttentionCase AttentionCase::of_keys(std::int64_t begin, std::int64_t end, Device& host) const {
  AttentionCase part = *this;
  part.k_ = k_.slice(1, begin, end);
  part.v_ = v_.slice(1, begin, end);
  if (kv_lens_.defined()) {
    part.kv_lens_ = Tensor::empty(kv_lens_.shape(), DType::I32, host);
    for (std::int64_t i = 0; i < kv_lens_.elements(); ++i)
      part.kv_lens_.data<std::int32_t>()[i] = static_cast<std::int32_t>(
          std::clamp<std::int64_t>(kv_lens_.data<std::int32_t>()[i] - begin, 0, end - begin));
  }
  if (mask_.defined()) part.mask_ = mask_.slice(3, begin, end);
  if (causal_ != Causal::No || window_ != std::array<std::int64_t, 2>{-1, -1}) {
    require(!mask_.defined() && !cu_seqlens_q_.defined(), ErrorCode::CorruptFile,
            "golden case: wanted a diagonal or a mask for a part of the keys, found both");
    part.mask_ = diagonal_mask(begin, end, host);
    part.causal_ = Causal::No;
    part.window_ = {-1, -1};
  }
  return part;
}

std::vector<NamedBackend> attention_backends() {
  std::vector<NamedBackend> backends = {{"reference", &reference_attention()}};
  for (const Isa isa : usable_isas())
    backends.push_back({"flash " + std::string(name_of(isa)), &flash_attention(isa)});
  return backends;
}

}  // namespace annulus::goldens
