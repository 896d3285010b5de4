#include "engine/engine.h"

#include "models/registry.h"
#include "parallel/mesh.h"

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

DType compute_dtype(const EngineConfig& config, const Platform& platform,
                    const Checkpoint& checkpoint) {
  const DType dtype =
      config.dtype.value_or(platform.default_dtype(checkpoint.weights_dtype("transformer")));
  require(platform.supports(dtype), ErrorCode::Unsupported, "--dtype: wanted one that ",
          platform.name(), " computes in, found ", name_of(dtype));
  for (const auto& [component, own] : config.component_dtype) {
    require(checkpoint.has_component(component), ErrorCode::InvalidRequest,
            "--component-dtype: wanted a component of the model, found ", component);
    require(platform.supports(own), ErrorCode::Unsupported, "--component-dtype ", component,
            ": wanted one that ", platform.name(), " computes in, found ", name_of(own));
  }
  return dtype;
}

}  // namespace

// In the order in which they depend on each other; destroyed in reverse.
struct Engine::Parts {
  Checkpoint checkpoint;
  std::unique_ptr<Platform> platform;
  std::unique_ptr<Communicator> world;
  Mesh mesh;
  Device& device;
  std::unique_ptr<Stream> stream;
  Workspace workspace;
  DType dtype;
  std::unique_ptr<Pipeline> pipeline;
  std::size_t mapped = 0;  // bytes of weight files

  explicit Parts(const EngineConfig& config)
      : checkpoint(Checkpoint::open(config.checkpoint)),
        platform(make_platform(config.platform, {.threads = config.threads})),
        world(make_single_rank()),
        mesh(*world, config.plan),
        device(*platform->devices().front()),
        stream(device.make_stream()),
        workspace(device),
        dtype(compute_dtype(config, *platform, checkpoint)) {
    for (const auto& [component, backend] : config.component_attention)
      require(checkpoint.has_component(component), ErrorCode::InvalidRequest,
              "--component-attention: wanted a component of the model, found ", component,
              " (backend ", backend, ")");
    const LoadOptions options = {
        .ctx = context(),
        .attention = {.order = platform->attention(),
                      .ring_default = platform->default_ring_attention_backend(),
                      .backend = config.attention_backend,
                      .component_backend = config.component_attention,
                      .component = {},
                      .ring = config.plan.ring > 1},
        .component_dtype = config.component_dtype,
        .adapters = load_adapters(config, device),
        .defaults = folder_defaults(config.checkpoint),
    };
    pipeline = model_entry_for(checkpoint).load(checkpoint, options);
    mapped = mapped_bytes(checkpoint);
  }

  Context context() noexcept {
    return {Lane{device, *stream, workspace, mesh}, platform->ops(), dtype, platform->wide_dtype()};
  }
};

Engine::Engine(const EngineConfig& config) : parts_(std::make_unique<Parts>(config)) {}

Engine::~Engine() = default;

Request Engine::complete(Request request) const {
  return parts_->pipeline->complete(std::move(request));
}

Result Engine::run(Request request, const Progress& progress) {
  const Request completed = complete(std::move(request));
  const std::lock_guard turn(turn_);
  return parts_->pipeline->generate(completed, progress);
}

const Pipeline& Engine::pipeline() const noexcept {
  return *parts_->pipeline;
}
const Platform& Engine::platform() const noexcept {
  return *parts_->platform;
}
const Device& Engine::device() const noexcept {
  return parts_->device;
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
const std::string& Engine::model_class() const noexcept {
  return parts_->checkpoint.pipeline_class();
}

}  // namespace annulus
