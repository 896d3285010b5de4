#include "platform/cpu/onednn.h"

#include <list>
#include <map>
#include <mutex>

#include "base/parallel_for.h"
#include "platform/cpu/onednn_primitives.h"

namespace annulus::cpu {

namespace {

// The most recently used values by key.
template <class Key, class Value>
class Recent {
 public:
  explicit Recent(std::size_t most) : most_(most) {}

  template <class Make>
  std::shared_ptr<const Value> get(const Key& key, const Make& make) {
    const std::lock_guard lock(mutex_);
    if (const auto found = where_.find(key); found != where_.end()) {
      entries_.splice(entries_.begin(), entries_, found->second);
      return entries_.front().second;
    }
    entries_.emplace_front(key, std::make_shared<const Value>(make()));
    where_[key] = entries_.begin();
    if (entries_.size() > most_) {
      where_.erase(entries_.back().first);
      entries_.pop_back();
    }
    return entries_.front().second;
  }

 private:
  using Entries = std::list<std::pair<Key, std::shared_ptr<const Value>>>;
  std::size_t most_;
  std::mutex mutex_;
  Entries entries_;
  std::map<Key, typename Entries::iterator> where_;
};

}  // namespace

struct OneDnn::Primitives {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  Recent<Product, MadeProduct> products{256};
  Recent<Convolution, MadeConvolution> convolutions{128};
  Recent<std::array<std::int64_t, 2>, MadeSoftmax> softmaxes{32};

  dnnl::memory memory(const dnnl::memory::desc& desc, const void* data) const {
    return {desc, engine, const_cast<void*>(data)};
  }
  template <class Primitive>
  void run(const Primitive& primitive, std::unordered_map<int, dnnl::memory> args) const {
    dnnl::stream stream(engine);
    primitive.execute(stream, args);
    stream.wait();
  }
};

OneDnn::OneDnn(int threads)
    : primitives_(with_our_errors("engine", [] { return std::make_unique<Primitives>(); })),
      threads_(threads) {}

OneDnn::~OneDnn() = default;

std::shared_ptr<const MadeProduct> OneDnn::product(const Product& wanted) {
  const LibraryThreads threads(threads_);  // a primitive is made for a number of threads
  return with_our_errors("product", [&] {
    return primitives_->products.get(wanted,
                                     [&] { return make_product(primitives_->engine, wanted); });
  });
}

std::shared_ptr<const MadeConvolution> OneDnn::convolution(const Convolution& wanted) {
  const LibraryThreads threads(threads_);
  return with_our_errors("convolution", [&] {
    return primitives_->convolutions.get(
        wanted, [&] { return make_convolution(primitives_->engine, wanted); });
  });
}

void OneDnn::run(const MadeProduct& made, const void* a, const void* b, const float* bias,
                 void* out, std::byte* scratch) const {
  const LibraryThreads threads(threads_);
  with_our_errors("product", [&] {
    const Primitives& p = *primitives_;
    std::unordered_map<int, dnnl::memory> args = {
        {DNNL_ARG_SRC, p.memory(made.desc.src_desc(), a)},
        {DNNL_ARG_WEIGHTS, p.memory(made.desc.weights_desc(), b)},
        {DNNL_ARG_DST, p.memory(made.desc.dst_desc(), out)},
        {DNNL_ARG_SCRATCHPAD, p.memory(made.desc.scratchpad_desc(), scratch)}};
    if (bias != nullptr) args.emplace(DNNL_ARG_BIAS, p.memory(made.bias, bias));
    p.run(made.primitive, std::move(args));
  });
}

void OneDnn::arrange_weight(const MadeConvolution& made, const void* weight,
                            std::byte* arranged) const {
  const LibraryThreads threads(threads_);
  with_our_errors("convolution", [&] {
    const Primitives& p = *primitives_;
    p.run(made.arrange, {{DNNL_ARG_FROM, p.memory(made.weight, weight)},
                         {DNNL_ARG_TO, p.memory(made.desc.weights_desc(), arranged)}});
  });
}

void OneDnn::run(const MadeConvolution& made, const void* x, const std::byte* arranged,
                 const float* bias, void* out, std::byte* scratch) const {
  const LibraryThreads threads(threads_);
  with_our_errors("convolution", [&] {
    const Primitives& p = *primitives_;
    std::unordered_map<int, dnnl::memory> args = {
        {DNNL_ARG_SRC, p.memory(made.desc.src_desc(), x)},
        {DNNL_ARG_WEIGHTS, p.memory(made.desc.weights_desc(), arranged)},
        {DNNL_ARG_DST, p.memory(made.desc.dst_desc(), out)},
        {DNNL_ARG_SCRATCHPAD, p.memory(made.desc.scratchpad_desc(), scratch)}};
    if (bias != nullptr) args.emplace(DNNL_ARG_BIAS, p.memory(made.bias, bias));
    p.run(made.primitive, std::move(args));
  });
}

void OneDnn::softmax(std::int64_t rows, std::int64_t columns, const float* x, float* out) {
  const LibraryThreads threads(threads_);
  with_our_errors("softmax", [&] {
    Primitives& p = *primitives_;
    const auto made =
        p.softmaxes.get({rows, columns}, [&] { return make_softmax(p.engine, rows, columns); });
    p.run(made->primitive, {{DNNL_ARG_SRC, p.memory(made->desc.src_desc(), x)},
                            {DNNL_ARG_DST, p.memory(made->desc.dst_desc(), out)}});
  });
}

std::size_t scratch_bytes(const MadeProduct& made) noexcept {
  return made.desc.scratchpad_desc().get_size();
}

std::size_t scratch_bytes(const MadeConvolution& made) noexcept {
  return made.desc.scratchpad_desc().get_size();
}

std::size_t arranged_bytes(const MadeConvolution& made) noexcept {
  return made.desc.weights_desc().get_size();
}

bool same_arrangement(const MadeConvolution& a, const MadeConvolution& b) noexcept {
  return a.desc.weights_desc() == b.desc.weights_desc();
}

std::string implementation(const MadeProduct& made) {
  return made.desc.impl_info_str();
}

std::string implementation(const MadeConvolution& made) {
  return made.desc.impl_info_str();
}

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return text_of(version->major, ".", version->minor, ".", version->patch);
}

void limit_onednn(Isa isa) noexcept {
  dnnl_cpu_isa_t limit = dnnl_cpu_isa_avx512_core_bf16;
  if (isa == Isa::Amx) return;
  if (isa == Isa::Scalar) limit = dnnl_cpu_isa_sse41;
  if (isa == Isa::Avx2) limit = dnnl_cpu_isa_avx2;
  if (isa == Isa::Avx512) limit = dnnl_cpu_isa_avx512_core_vnni;
  static_cast<void>(dnnl_set_max_cpu_isa(limit));
}

}  // namespace annulus::cpu
