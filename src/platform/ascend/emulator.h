// For tests: the emulator of CANN (tests/fakes/cann) in the place of an installed one, and host
// tensors sent to its device and back.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/dynamic_library.h"
#include "platform/ascend/ascend_device.h"
#include "platform/ascend/ascend_platform.h"
#include "tensor/host_device.h"

namespace annulus::ascend {

/// CANN is the emulator while this lives, set up by `settings` (FAKE_CANN_...). When it ends it
/// expects that nobody broke a rule of the ABI and that nothing was left behind.
class Emulator {
 public:
  struct Setting {
    std::string name, value;
  };
  using Settings = std::initializer_list<Setting>;

  explicit Emulator(Settings settings = {}) {
    set("ASCEND_HOME_PATH", ANNULUS_FAKE_CANN);
    set("FAKE_CANN_DEVICES", "4");
    for (const auto& [name, value] : settings) set(name, value);
    library_ = DynamicLibrary::open(std::string(ANNULUS_FAKE_CANN) + "/lib64/libascendcl.so");
    if (library_) problems();
  }
  ~Emulator() {
    if (library_ && !allowed_) {
      EXPECT_EQ(problems(), "");
    }
    for (const std::string& name : names_) unsetenv(name.c_str());
    // Its libraries stay loaded, and are found by name: other tests of this process see no device.
    setenv("FAKE_CANN_DEVICES", "0", 1);
  }
  Emulator(const Emulator&) = delete;
  Emulator& operator=(const Emulator&) = delete;

  /// What went wrong since the last call, a line each.
  std::string problems() const {
    using Function = int(char*, std::size_t);
    std::array<char, 4096> text{};
    reinterpret_cast<Function*>(library_->symbol("fakeCannProblems"))(text.data(), text.size());
    return text.data();
  }
  void allow_problems() { allowed_ = true; }

  std::uint64_t calls(const char* function) const {
    using Function = std::uint64_t(const char*);
    return reinterpret_cast<Function*>(library_->symbol("fakeCannCalls"))(function);
  }

 private:
  void set(const std::string& name, const std::string& value) {
    setenv(name.c_str(), value.c_str(), 1);
    names_.push_back(name);
  }
  std::vector<std::string> names_;
  std::optional<DynamicLibrary> library_;
  bool allowed_ = false;
};

/// A platform of the emulator with a stream, and the host beside it.
struct Bench {
  std::unique_ptr<Platform> platform = make_ascend_platform({});
  HostDevice host{1};
  std::unique_ptr<Stream> host_stream = host.make_stream();
  AscendDevice& device = static_cast<AscendDevice&>(*platform->devices().front());
  std::unique_ptr<Stream> stream = device.make_stream();
  Workspace workspace{device};

  Tensor sent(const Tensor& x) {
    Tensor made = Tensor::empty(x.shape(), x.dtype(), device);
    device.copy(*stream, x, made);
    return made;
  }
  Tensor fetched(const Tensor& x) {
    Tensor made = Tensor::empty(x.shape(), x.dtype(), host);
    device.copy(*stream, x, made);
    device.synchronize(*stream, 60000);
    return made;
  }
};

/// A backend of the device for calls on host tensors.
class Sent final : public AttentionBackend {
 public:
  Sent(Bench& bench, const AttentionBackend& backend) : bench_(bench), backend_(backend) {}
  std::string_view name() const noexcept override { return backend_.name(); }
  std::optional<std::string> refusal(const AttentionSpec& spec) const override {
    return backend_.refusal(spec);
  }
  void run(Stream&, Workspace&, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override {
    const auto sent = [&](const Tensor* x) { return x != nullptr ? bench_.sent(*x) : Tensor(); };
    const auto given = [](const Tensor& x) { return x.defined() ? &x : nullptr; };
    const Tensor q = sent(&args.q), k = sent(&args.k), v = sent(&args.v), mask = sent(args.mask);
    Tensor to = bench_.sent(out), to_lse = sent(lse);
    backend_.run(*bench_.stream, bench_.workspace,
                 {.q = q,
                  .k = k,
                  .v = v,
                  .scale = args.scale,
                  .causal = args.causal,
                  .window = args.window,
                  .kv_lengths = args.kv_lengths,  // lengths stay on the host
                  .mask = given(mask),
                  .diagonals = args.diagonals,
                  .cu_seqlens_q = args.cu_seqlens_q,
                  .cu_seqlens_k = args.cu_seqlens_k},
                 to, lse != nullptr ? &to_lse : nullptr);
    bench_.device.copy(*bench_.stream, to, out);
    if (lse != nullptr) bench_.device.copy(*bench_.stream, to_lse, *lse);
    bench_.device.synchronize(*bench_.stream, 60000);
  }

 private:
  Bench& bench_;
  const AttentionBackend& backend_;
};

}  // namespace annulus::ascend
