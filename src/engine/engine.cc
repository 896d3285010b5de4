#include "engine/engine.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <span>

#include "engine/agreement.h"
#include "engine/fingerprint.h"
#include "engine/wire.h"
#include "models/registry.h"
#include "parallel/mesh.h"
#include "tensor/copy.h"

namespace annulus {

namespace {

Json folder_defaults(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "annulus.json";
  if (!std::filesystem::exists(file)) return {};
  return Json::read(file, ErrorCode::CorruptFile).find("defaults").value_or(Json{});
}

std::shared_ptr<const LoraSet> load_adapters(const EngineConfig& config, Device& device) {
  if (config.loras.empty()) return nullptr;
  const auto set = std::make_shared<LoraSet>();
  for (const auto& [file, scale] : config.loras) set->add(file, scale, device);
  return set;
}

// Components without weights (scheduler, tokenizer) have no such files.
std::size_t mapped_bytes(const Checkpoint& checkpoint) {
  std::size_t bytes = 0;
  std::error_code ignored;
  for (const Component& component : checkpoint.components())
    for (const auto& entry : std::filesystem::directory_iterator(component.folder, ignored))
      if (entry.path().extension() == ".safetensors") bytes += entry.file_size(ignored);
  return bytes;
}

constexpr std::int64_t kRowBlock = 64;  // rows at a time where bits must not depend on their number

/// What rank 0 tells the others before each thing that they do together.
enum class Command : std::uint64_t { Stop, Run, Report };

/// What this rank would compute in, and what it could.
struct DTypes {
  DType wanted = DType::F32;
  std::array<bool, 3> can{};  // of kComputed
};
constexpr std::array<DType, 3> kComputed = {DType::F32, DType::BF16, DType::F16};

/// The user's choice, else the first default of a rank that all others can compute in too.
DType compute_dtype(const EngineConfig& config, const Platform& platform,
                    const Checkpoint& checkpoint, Communicator& world) {
  DType dtype =
      config.dtype.value_or(platform.default_dtype(checkpoint.weights_dtype("transformer")));
  if (!config.dtype && world.size() > 1) {
    DTypes mine{dtype, {}};
    for (std::size_t i = 0; i < kComputed.size(); ++i)
      mine.can[i] = platform.supports(kComputed[i]);
    Writer out;
    out.put(mine);
    std::vector<DTypes> all;
    for (const auto& bytes : world.all_gather(out.bytes()))
      all.push_back(Reader(bytes, "dtypes of a rank").get<DTypes>());
    const auto serves_all = [&](DType wanted) {
      const auto at = static_cast<std::size_t>(
          std::find(kComputed.begin(), kComputed.end(), wanted) - kComputed.begin());
      return std::all_of(all.begin(), all.end(), [&](const DTypes& rank) {
        return at < kComputed.size() ? rank.can[at] : rank.wanted == wanted;
      });
    };
    dtype = DType::F32;
    for (auto rank = all.rbegin(); rank != all.rend(); ++rank)
      if (serves_all(rank->wanted)) dtype = rank->wanted;
  }
  return dtype;
}

void check_dtypes(const EngineConfig& config, const Platform& platform,
                  const Checkpoint& checkpoint, DType dtype) {
  require(platform.supports(dtype), ErrorCode::Unsupported, "--dtype: wanted one that ",
          platform.name(), " computes in, found ", name_of(dtype));
  for (const auto& [component, own] : config.component_dtype) {
    require(checkpoint.has_component(component), ErrorCode::InvalidRequest,
            "--component-dtype: wanted a component of the model, found ", component);
    require(platform.supports(own), ErrorCode::Unsupported, "--component-dtype ", component,
            ": wanted one that ", platform.name(), " computes in, found ", name_of(own));
  }
}

void check_components(const EngineConfig& config, const Checkpoint& checkpoint) {
  for (const auto& [component, backend] : config.component_attention)
    require(checkpoint.has_component(component), ErrorCode::InvalidRequest,
            "--component-attention: wanted a component of the model, found ", component,
            " (backend ", backend, ")");
}

/// The options that change what is computed, as one line. The place of the model is not among them:
/// hosts may keep it in different places.
std::string arguments_text(const EngineConfig& config) {
  std::string text = text_of("plan ", to_string(config.plan), ", platform \"", config.platform,
                             config.deterministic ? "\", deterministic, dtype " : "\", dtype ",
                             config.dtype ? name_of(*config.dtype) : "default", ", attention \"",
                             config.attention_backend, "\"");
  for (const auto& [component, dtype] : config.component_dtype)
    text += text_of(", ", component, " in ", name_of(dtype));
  for (const auto& [component, backend] : config.component_attention)
    text += text_of(", ", component, " by ", backend);
  for (const auto& [file, scale] : config.loras)
    text += text_of(", LoRA ", file.filename().string(), ":", scale);
  return text;
}

/// A line for each layer: the backend that does its attention.
std::vector<Statement> attention_statements(const Pipeline& pipeline) {
  std::vector<Statement> lines;
  for (const ComponentAttention& layer : pipeline.attention())
    lines.push_back({text_of("attention backend of ", layer.component, " ", layer.layer),
                     std::string(layer.choice.backend->name())});
  return lines;
}

/// The same ranks for a request without guidance: nobody to share the branches with, so the factor
/// goes to the ring.
ParallelPlan unguided(ParallelPlan plan) {
  plan.ring *= std::exchange(plan.cfg, 1);
  return plan;
}

}  // namespace

// In the order in which they depend on each other; destroyed in reverse.
struct Engine::Parts {
  std::unique_ptr<Communicator> alone = make_single_rank();
  Communicator& world;
  ParallelPlan plan;
  std::optional<Checkpoint> checkpoint;
  std::vector<std::filesystem::path> adapters;  // LoRA files
  std::unique_ptr<Platform> platform;
  std::optional<Mesh> guided_mesh, unguided_mesh;
  std::optional<Mesh> mesh;  // one of the two: the present request's
  std::unique_ptr<Stream> stream;
  std::optional<Workspace> workspace;
  DType dtype = DType::F32;
  std::unique_ptr<Pipeline> pipeline;
  std::size_t mapped = 0;  // bytes of weight files
  std::int64_t row_block = 0;
  bool failed = false;  // the ranks are apart: nothing more can be done together

  Parts(const EngineConfig& config, Communicator* given)
      : world(given == nullptr ? *alone : *given),
        plan(config.plan),
        row_block(config.deterministic ? kRowBlock : 0) {
    for (const auto& [file, scale] : config.loras) adapters.push_back(file);
    require_agreement(world,
                      {{"version", config.version.empty() ? ANNULUS_VERSION : config.version},
                       {"arguments", arguments_text(config)}});
    together(world, [&] {
      checkpoint = Checkpoint::open(config.checkpoint);
      require(!config.deterministic || plan.ulysses == 1, ErrorCode::Unsupported,
              "--deterministic: wanted --ulysses-degree 1 (heads of another number of ranks go "
              "through other sums), found ",
              plan.ulysses);
      platform =
          make_platform(config.platform, {.threads = config.deterministic ? 1 : config.threads});
      require(world.size() == 1 || device().host_visible(), ErrorCode::Unsupported,
              "ranks: wanted one on ", platform->name(), ", found ", world.size(),
              " (its devices do not talk to each other yet)");
      check_components(config, *checkpoint);
      if (world.size() > 1) checkpoint->weights_dtype("transformer");
    });
    std::vector<Statement> machine = {{"platform", std::string(platform->name())}};
    if (config.deterministic) machine.push_back({"instruction set", platform->isa()});
    require_agreement(world, machine);
    dtype = compute_dtype(config, *platform, *checkpoint, world);
    guided_mesh.emplace(world, plan);
    unguided_mesh.emplace(world, unguided(plan));
    mesh = guided_mesh;
    stream = device().make_stream();
    workspace.emplace(device());
    if (world.size() > 1) agree_on_files();
    together(world, [&] { load(config); });
    require_agreement(world, attention_statements(*pipeline));
  }

  Device& device() const noexcept { return *platform->devices().front(); }

  /// Of every rank, in order. Collective.
  std::vector<RankUse> gather_use() {
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    constexpr std::size_t kUnit = 1024;  // of ru_maxrss
    const RankUse mine = {static_cast<std::size_t>(usage.ru_maxrss) * kUnit, device().memory().peak,
                          world.bytes_sent()};
    std::vector<RankUse> all;
    for (const auto& bytes : world.all_gather(std::as_bytes(std::span(&mine, 1))))
      all.push_back(Reader(bytes, "memory of a rank").get<RankUse>());
    return all;
  }

  Context context() noexcept {
    return {Lane{device(), *stream, *workspace, *mesh}, platform->ops(), dtype,
            platform->wide_dtype(), row_block};
  }

 private:
  void agree_on_files() {
    std::vector<Statement> files;
    together(world, [&] { files = fingerprint(*checkpoint, adapters); });
    require_agreement(world, files);
  }

  void load(const EngineConfig& config) {
    check_dtypes(config, *platform, *checkpoint, dtype);
    const LoadOptions options = {
        .ctx = context(),
        .attention = {.order = platform->attention(),
                      .ring_default = platform->default_ring_attention_backend(),
                      .backend = config.attention_backend,
                      .component_backend = config.component_attention,
                      .component = {},
                      .ring = unguided(plan).ring > 1 && !config.deterministic},
        .component_dtype = config.component_dtype,
        .adapters = load_adapters(config, device()),
        .defaults = folder_defaults(config.checkpoint),
    };
    pipeline = model_entry_for(*checkpoint).load(*checkpoint, options);
    for (const ComponentAttention& layer : pipeline->attention())
      if (layer.shared) check_ulysses(layer.layer, layer.choice.spec.heads, plan.ulysses);
    mapped = mapped_bytes(*checkpoint);
  }
};

Engine::Engine(const EngineConfig& config, Communicator* world)
    : parts_(std::make_unique<Parts>(config, world)) {}

Engine::~Engine() {
  Parts& p = *parts_;
  if (p.world.size() == 1 || p.failed || !leads()) return;
  try {
    auto stop = Command::Stop;
    p.world.broadcast(std::as_writable_bytes(std::span(&stop, 1)), 0);
  } catch (const std::exception&) {  // they are gone already
  }
}

Request Engine::complete(Request request) const {
  return parts_->pipeline->complete(std::move(request));
}

Result Engine::run(Request request, const Progress& progress) {
  require(leads(), ErrorCode::InvalidRequest, "engine: wanted rank 0 to run requests, found rank ",
          parts_->world.rank());
  Request completed = complete(std::move(request));
  if (!progress.preview) completed.preview_every = 0;
  if (!progress.checkpoint) completed.checkpoint_every = 0;
  const std::lock_guard turn(turn_);
  Parts& p = *parts_;
  if (p.world.size() > 1) {
    if (completed.latents) completed.latents = contiguous(*p.stream, *completed.latents);
    if (completed.start) completed.start->latents = contiguous(*p.stream, completed.start->latents);
    std::vector<std::byte> bytes = packed(completed);
    std::array<std::uint64_t, 2> head = {static_cast<std::uint64_t>(Command::Run), bytes.size()};
    p.world.broadcast(std::as_writable_bytes(std::span(head).first(1)), 0);
    p.world.broadcast(std::as_writable_bytes(std::span(head).last(1)), 0);
    p.world.broadcast(bytes, 0);
  }
  return work(completed, progress);
}

void Engine::follow() {
  try {
    while (follow_one()) {
    }
  } catch (const Error& error) {
    parts_->failed = true;
    if (error.code() == ErrorCode::PeerFailure) throw quoted_error(error);
    throw;
  }
}

bool Engine::follow_one() {
  Parts& p = *parts_;
  auto command = Command::Stop;
  p.world.broadcast(std::as_writable_bytes(std::span(&command, 1)), 0);
  if (command == Command::Stop) return false;
  if (command == Command::Report) {
    p.gather_use();
    return true;
  }
  std::uint64_t size = 0;
  p.world.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0);
  std::vector<std::byte> bytes(size);
  p.world.broadcast(bytes, 0);
  try {
    work(unpacked_request(bytes, p.device()), {});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Cancelled) throw;  // cancelled together: the next may come
  }
  return true;
}

// The same calls in the same order on every rank, whatever its caller listens to.
Result Engine::work(const Request& request, const Progress& progress) {
  Parts& p = *parts_;
  if (p.world.size() == 1) return p.pipeline->generate(request, progress);
  p.mesh = request.true_cfg_scale.value_or(1) > 1 ? p.guided_mesh : p.unguided_mesh;
  Progress shared = progress;
  shared.cancelled = [&] {  // rank 0 decides for all
    std::byte stop{leads() && progress.cancelled && progress.cancelled()};
    p.world.broadcast({&stop, 1}, 0);
    return stop != std::byte{0};
  };
  if (!shared.preview) shared.preview = [](int, int, const Image&) {};
  if (!shared.checkpoint) shared.checkpoint = [](int, const Tensor&) {};
  try {
    return p.pipeline->generate(request, shared);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::Cancelled) throw;  // on all ranks at once
    p.failed = true;
    if (error.code() == ErrorCode::PeerFailure) throw quoted_error(error);
    p.world.abort(failure_text(p.world.rank(), error));
    throw;
  } catch (const std::exception& error) {
    p.failed = true;
    p.world.abort(failure_text(p.world.rank(), error));
    throw;
  }
}

std::vector<RankUse> Engine::use() {
  Parts& p = *parts_;
  const std::lock_guard turn(turn_);
  auto command = Command::Report;
  p.world.broadcast(std::as_writable_bytes(std::span(&command, 1)), 0);
  return p.gather_use();
}

bool Engine::leads() const noexcept {
  return parts_->world.rank() == 0;
}
const ParallelPlan& Engine::plan() const noexcept {
  return parts_->plan;
}
const Pipeline& Engine::pipeline() const noexcept {
  return *parts_->pipeline;
}
const Platform& Engine::platform() const noexcept {
  return *parts_->platform;
}
const Device& Engine::device() const noexcept {
  return parts_->device();
}
Context Engine::context() const noexcept {
  return parts_->context();
}
DType Engine::dtype() const noexcept {
  return parts_->dtype;
}
std::size_t Engine::weights_mapped() const noexcept {
  return parts_->mapped;
}
std::string Engine::files_digest() const {
  return digest_of(fingerprint(*parts_->checkpoint, parts_->adapters));
}

const std::string& Engine::model_class() const noexcept {
  return parts_->checkpoint->pipeline_class();
}

}  // namespace annulus
