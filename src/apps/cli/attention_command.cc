#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <iostream>
#include <limits>

#include "apps/cli/commands.h"
#include "apps/cli/values.h"
#include "io/safetensors.h"
#include "platform/platform.h"
#include "tensor/copy.h"
#include "tensor/host_device.h"

namespace annulus::cli {

namespace {

struct CaseOptions {
  std::string file, output, backend, platform, causal, window;
  float scale = 0;
  int threads = 0;
};

// The tensors of a case, on the device. Absent ones are undefined.
struct Case {
  Tensor q, k, v, mask, kv_lengths, cu_seqlens_q, cu_seqlens_k;
};

Tensor optional_tensor(const SafetensorsFile& file, std::string_view name, Device& device) {
  return file.find(name) != nullptr ? file.tensor(name, device) : Tensor{};
}

// Lengths may be stored as any integer; backends take i32, so that what counts rows of `x` is
// checked before it is made narrower.
Tensor lengths(const SafetensorsFile& file, std::string_view name, const Tensor& x,
               Stream& stream) {
  if (file.find(name) == nullptr) return {};
  HostDevice host(1);
  const std::unique_ptr<Stream> reading = host.make_stream();
  const Tensor stored = file.tensor(name, host);
  require(!is_floating(stored.dtype()) && stored.dtype() != DType::Bool, ErrorCode::InvalidRequest,
          name, ": wanted integers, found ", name_of(stored.dtype()), " (", file.path().string(),
          ")");
  require(stored.shape().rank() == 1, ErrorCode::InvalidRequest, name, ": wanted one axis, found ",
          stored.shape(), " (", file.path().string(), ")");
  const int rank = x.shape().rank();
  const std::int64_t most = std::min<std::int64_t>(rank >= 3 ? x.shape()[rank - 3] : 0,
                                                   std::numeric_limits<std::int32_t>::max());
  const Tensor values = cast(*reading, stored, DType::I64);
  const View<const std::int64_t, 1> at = values.view<std::int64_t, 1>();
  for (std::int64_t i = 0; i < values.elements(); ++i)
    require(at(i) >= 0 && at(i) <= most, ErrorCode::InvalidRequest, name, ": wanted 0 to ", most,
            ", found ", at(i), " at ", i, " (", file.path().string(), ")");
  return cast(stream, file.tensor(name, stream.device()), DType::I32);
}

Case read_case(const SafetensorsFile& file, Stream& stream) {
  Device& device = stream.device();
  Case c = {.q = file.tensor("q", device),
            .k = file.tensor("k", device),
            .v = file.tensor("v", device),
            .mask = optional_tensor(file, "mask", device)};
  c.kv_lengths = lengths(file, "kv_lens", c.k, stream);
  c.cu_seqlens_q = lengths(file, "cu_seqlens_q", c.q, stream);
  c.cu_seqlens_k = lengths(file, "cu_seqlens_k", c.k, stream);
  return c;
}

const Tensor* given(const Tensor& x) {
  return x.defined() ? &x : nullptr;
}

Causal parse_causal(const std::string& text) {
  constexpr std::array<std::pair<std::string_view, Causal>, 2> kForms = {
      {{"top_left", Causal::TopLeft}, {"bottom_right", Causal::BottomRight}}};
  return text.empty() ? Causal::No : parse_choice("causal", text, kForms);
}

std::array<std::int64_t, 2> parse_window(const std::string& text) {
  if (text.empty()) return {-1, -1};
  const std::size_t comma = text.find(',');
  require(comma != std::string::npos, ErrorCode::InvalidRequest,
          "--window: wanted LEFT,RIGHT in keys (-1: all), found \"", text, "\"");
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  return {parse_integer("window", text.substr(0, comma), -1, kMost),
          parse_integer("window", text.substr(comma + 1), -1, kMost)};
}

AttentionChoice choose_backend(const Platform& platform, const CaseOptions& options,
                               const AttentionSpec& spec) {
  const AttentionSelection selection = {.order = platform.attention(),
                                        .ring_default = platform.default_ring_attention_backend(),
                                        .backend = options.backend,
                                        .component_backend = {},
                                        .component = "attention"};
  return selection.choose("attention", spec);
}

void run_case(const CaseOptions& options) {
  const std::unique_ptr<Platform> platform =
      make_platform(options.platform, {.threads = options.threads});
  Device& device = *platform->devices().front();
  const std::unique_ptr<Stream> stream = device.make_stream();
  Workspace workspace(device);

  const SafetensorsFile file = SafetensorsFile::open(options.file, ErrorCode::InvalidRequest);
  const Case c = read_case(file, *stream);
  const AttentionArgs args = {.q = c.q,
                              .k = c.k,
                              .v = c.v,
                              .scale = options.scale,
                              .causal = parse_causal(options.causal),
                              .window = parse_window(options.window),
                              .kv_lengths = given(c.kv_lengths),
                              .mask = given(c.mask),
                              .cu_seqlens_q = given(c.cu_seqlens_q),
                              .cu_seqlens_k = given(c.cu_seqlens_k)};
  // The LSE is wanted, but a backend that has none is no failure here: it says so instead.
  AttentionChoice choice = choose_backend(*platform, options, spec_of(args, false));
  AttentionSpec with_lse = choice.spec;
  with_lse.lse = true;
  const bool lse_there = !choice.backend->refusal(with_lse).has_value();

  Tensor out = Tensor::empty(c.q.shape(), c.q.dtype(), device);
  const Shape& q = c.q.shape();
  Tensor lse = Tensor::empty(q.rank() == 3 ? Shape{q[1], q[0]} : Shape{q[0], q[2], q[1]},
                             DType::F32, device);
  choice.backend->run(*stream, workspace, args, out, lse_there ? &lse : nullptr);
  device.synchronize(*stream, 60000);

  std::map<std::string, Tensor> results = {{"out", out}};
  if (lse_there)
    results.emplace("lse", lse);
  else
    std::cerr << "annulus: attention backend " << choice.backend->name()
              << " returns no log-sum-exp: no `lse` is written\n";
  write_safetensors(
      options.output, results,
      {{"backend", std::string(choice.backend->name())}, {"spec", to_string(choice.spec)}});
  std::cout << options.output << '\n';
}

}  // namespace

int run_attention(const Arguments& arguments) {
  CaseOptions options;
  CLI::App app(
      "One attention case from a safetensors file: q, k, v, optional mask, kv_lens, cu_seqlens_q, "
      "cu_seqlens_k.",
      "annulus attention");
  app.add_option(
         "file", options.file,
         "tensors q, k, v: [batch, seq, heads, head_dim], or packed [tokens, heads, head_dim]")
      ->required();
  app.add_option("--output", options.output, "file to write: `out`, and `lse` (natural log, f32)")
      ->required();
  app.add_option("--backend", options.backend, "[the platform's first that serves the case]");
  app.add_option("--scale", options.scale, "multiplies q.k [1 / sqrt(head_dim)]");
  app.add_option("--causal", options.causal, "top_left or bottom_right [none]");
  app.add_option("--window", options.window,
                 "LEFT,RIGHT: keys seen beside the bottom-right diagonal, -1: all [-1,-1]");
  app.add_option("--platform", options.platform, "[the best one there is]");
  app.add_option("--threads", options.threads, "[the cores this process may use]")
      ->check(CLI::Range(1, 4096));
  if (parse(app, arguments) == Parsed::HelpShown) return 0;
  run_case(options);
  return 0;
}

}  // namespace annulus::cli
