#include "engine/wire.h"

#include "tensor/copy.h"

namespace annulus {

namespace {

void put(Writer& out, const std::vector<std::string>& texts) {
  out.put(static_cast<std::uint64_t>(texts.size()));
  for (const std::string& text : texts) out.put(text);
}

std::vector<std::string> get_texts(Reader& in) {
  std::vector<std::string> texts(in.count());
  for (std::string& text : texts) text = in.text();
  return texts;
}

template <class T>
void put(Writer& out, const std::vector<T>& values) {
  out.put(static_cast<std::uint64_t>(values.size()));
  for (const T& value : values) out.put(value);
}

template <class T>
std::vector<T> get_values(Reader& in) {
  std::vector<T> values(in.count());
  for (T& value : values) value = in.get<T>();
  return values;
}

void put(Writer& out, const std::optional<float>& value) {
  out.put(value.has_value());
  out.put(value.value_or(0));
}

std::optional<float> get_optional(Reader& in) {
  const bool there = in.get<bool>();
  const auto value = in.get<float>();
  return there ? std::optional(value) : std::nullopt;
}

void put(Writer& out, const Tensor& x) {
  require(x.device().host_visible() && x.is_contiguous(), ErrorCode::Unsupported,
          "latents: wanted contiguous memory of the host to send them to other ranks");
  out.put(x.dtype());
  const std::span<const std::int64_t> extents = x.shape().extents();
  put(out, std::vector<std::int64_t>(extents.begin(), extents.end()));
  out.put_bytes({x.address(), x.bytes()});
}

Tensor get_tensor(Reader& in, Device& device) {
  const auto dtype = in.get<DType>();
  const std::vector<std::int64_t> extents = get_values<std::int64_t>(in);
  Tensor x = Tensor::empty(Shape(std::span<const std::int64_t>(extents)), dtype, device);
  const std::span<const std::byte> bytes = in.take(x.bytes());
  std::memcpy(x.address(), bytes.data(), bytes.size());
  return x;
}

}  // namespace

void Writer::put_bytes(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const std::size_t at = bytes_.size();
  bytes_.resize(at + bytes.size());
  std::memcpy(bytes_.data() + at, bytes.data(), bytes.size());
}

void Writer::put(const std::string& text) {
  put(static_cast<std::uint64_t>(text.size()));
  put_bytes(std::as_bytes(std::span(text)));
}

std::string Reader::text() {
  const std::size_t size = count();
  const std::span<const std::byte> bytes = take(size);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::size_t Reader::count() {
  const auto count = get<std::uint64_t>();
  require(count <= rest_.size(), ErrorCode::PeerFailure, what_, ": wanted ", count,
          " elements, found ", rest_.size(), " bytes");
  return count;
}

std::span<const std::byte> Reader::take(std::size_t bytes) {
  require(bytes <= rest_.size(), ErrorCode::PeerFailure, what_, ": wanted ", bytes,
          " bytes, found ", rest_.size());
  const std::span<const std::byte> taken = rest_.first(bytes);
  rest_ = rest_.subspan(bytes);
  return taken;
}

std::vector<std::byte> packed(const Request& request) {
  Writer out;
  out.put(request.task);
  put(out, request.prompts);
  put(out, request.negative_prompts);
  put(out, request.seeds);
  out.put(static_cast<std::uint64_t>(request.images.size()));
  for (const auto& image : request.images) {
    out.put(image->width);
    out.put(image->height);
    out.put(static_cast<std::uint64_t>(image->pixels.size()));
    out.put_bytes(std::as_bytes(std::span(image->pixels)));
  }
  out.put(request.width);
  out.put(request.height);
  out.put(request.frames);
  out.put(request.fps);
  out.put(request.steps);
  put(out, request.guidance_scale);
  put(out, request.true_cfg_scale);
  put(out, request.guidance_scale_2);
  put(out, request.strength);
  out.put(request.max_sequence_length);
  out.put(request.latents.has_value());
  if (request.latents) put(out, *request.latents);
  put(out, request.sigmas);
  out.put(request.vae_tiling);
  out.put(request.preview_every);
  out.put(request.checkpoint_every);
  out.put(request.start.has_value());
  if (request.start) {
    out.put(request.start->steps);
    put(out, request.start->latents);
  }
  return out.bytes();
}

Request unpacked_request(std::span<const std::byte> bytes, Device& device) {
  Reader in(bytes, "request from rank 0");
  Request request;
  request.task = in.get<Task>();
  request.prompts = get_texts(in);
  request.negative_prompts = get_texts(in);
  request.seeds = get_values<std::uint64_t>(in);
  for (std::size_t left = in.count(); left > 0; --left) {
    Image image;
    image.width = in.get<int>();
    image.height = in.get<int>();
    const std::span<const std::byte> pixels = in.take(in.count());
    const auto* first = reinterpret_cast<const std::uint8_t*>(pixels.data());
    image.pixels.assign(first, first + pixels.size());
    request.images.push_back(std::make_shared<const Image>(std::move(image)));
  }
  request.width = in.get<std::int64_t>();
  request.height = in.get<std::int64_t>();
  request.frames = in.get<std::int64_t>();
  request.fps = in.get<double>();
  request.steps = in.get<int>();
  request.guidance_scale = get_optional(in);
  request.true_cfg_scale = get_optional(in);
  request.guidance_scale_2 = get_optional(in);
  request.strength = get_optional(in);
  request.max_sequence_length = in.get<int>();
  if (in.get<bool>()) request.latents = get_tensor(in, device);
  request.sigmas = get_values<float>(in);
  request.vae_tiling = in.get<Request::VaeTiling>();
  request.preview_every = in.get<int>();
  request.checkpoint_every = in.get<int>();
  if (in.get<bool>()) {
    const int steps = in.get<int>();
    request.start = {steps, get_tensor(in, device)};
  }
  return request;
}

}  // namespace annulus
