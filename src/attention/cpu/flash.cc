#include "attention/cpu/flash.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "attention/cpu/finish.h"
#include "attention/cpu/plan.h"
#include "base/parallel_for.h"
#include "tensor/host_device.h"

namespace annulus {

namespace flash {

namespace {

// Packed keys and values at once: enough heads for a balanced end of each wave, little beside a
// model.
constexpr std::int64_t kWaveBytes = std::int64_t{32} << 20;
constexpr std::int64_t kWaveBytesPerThread = std::int64_t{8} << 20;

// So many rows or fewer are read in place, in f32, sooner than packed for bf16 units: with 24
// heads, 77 or 1024 keys on AMX the two are level at 4, and at 8 packing wins by 1.4.
constexpr std::int64_t kFewRowsOfBf16 = 4;

// One kv head of one entry within a wave.
struct Group {
  std::int64_t entry = 0, kv_head = 0;
  std::int64_t first_block = 0;  // of packed keys, counted over the wave
  std::int64_t first_unit = 0;
  std::int64_t first_tail = 0;  // of blocks of queries that are split over keys
};

constexpr std::size_t padded(std::size_t bytes) noexcept {
  return (bytes + 63) / 64 * 64;
}

// Hands out parts of one piece of memory; with no memory it only counts.
class Arena {
 public:
  explicit Arena(std::byte* memory) noexcept : memory_(memory) {}
  template <class T>
  T* take(std::int64_t count) noexcept {
    T* const part = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + used_);
    used_ += padded(static_cast<std::size_t>(count) * sizeof(T));
    return part;
  }
  std::size_t used() const noexcept { return used_; }

 private:
  std::byte* memory_;
  std::size_t used_ = 0;
};

// Memory of a call. Sizes are the most that any wave needs.
struct Memory {
  Entry* entries = nullptr;
  Group* groups = nullptr;  // of one wave
  Word* keys = nullptr;
  Word* values = nullptr;
  std::uint8_t* odd = nullptr;
  std::byte* scratch = nullptr;  // per thread
  float* partials = nullptr;
};

struct Counts {
  std::int64_t groups = 0, blocks = 0, units = 0, tails = 0, partials = 0;
  std::int64_t most_units = 0, most_blocks = 0;  // of a group

  /// One unit for each group packs for itself, into its thread's panels, at one meeting of the
  /// threads fewer.
  bool packs_ahead() const noexcept { return most_units > 1; }
  std::int64_t panel_blocks(int threads) const noexcept {
    return packs_ahead() ? blocks : threads * most_blocks;
  }
};

Scratch scratch_at(const Kernel& kernel, std::int64_t head_dim, std::byte* memory) noexcept {
  const ScratchSizes sizes = kernel.scratch_of(head_dim);
  Scratch s;
  const auto part = [&memory](std::size_t bytes) {
    std::byte* const at = memory;
    memory += bytes;
    return at;
  };
  s.queries = reinterpret_cast<Word*>(part(sizes.queries));
  s.scores = reinterpret_cast<float*>(part(sizes.scores));
  s.weights = sizes.weights == 0 ? reinterpret_cast<Word*>(s.scores)
                                 : reinterpret_cast<Word*>(part(sizes.weights));
  s.out = reinterpret_cast<float*>(part(sizes.out));
  s.most = reinterpret_cast<float*>(part(sizes.most));
  s.sum = reinterpret_cast<float*>(part(sizes.sum));
  s.sums = reinterpret_cast<float*>(part(sizes.sums));
  return s;
}

std::size_t bytes_of(const ScratchSizes& s) noexcept {
  return s.queries + s.scores + s.weights + s.out + s.most + s.sum + s.sums;
}

// A call with its memory, wave by wave.
class Run {
 public:
  Run(int threads, Workspace& workspace, const Call& call, const AttentionArgs& args)
      : threads_(threads), call_(call) {
    // Entries are needed to know the sizes of all else, so they are made twice: the first time in
    // the workspace's first bytes.
    const std::size_t entry_bytes = padded(static_cast<std::size_t>(call.entries) * sizeof(Entry));
    make_entries(args, reinterpret_cast<Entry*>(workspace.take(entry_bytes)));
    const Counts most = largest_wave();
    std::byte* const memory = workspace.take(lay_out(nullptr, most).second);
    memory_ = lay_out(memory, most).first;
    make_entries(args, memory_.entries);
  }

  void run() noexcept {
    std::int64_t group = 0;
    const std::int64_t groups = call_.entries * call_.kv_heads;
    while (group < groups) {
      const Counts wave = next_wave(group, memory_.groups);
      if (!call_.in_place && wave.packs_ahead()) pack(wave);
      attend(wave);
      merge(wave);
      group += wave.groups;
    }
  }

 private:
  void make_entries(const AttentionArgs& args, Entry* entries) noexcept {
    for (std::int64_t n = 0; n < call_.entries; ++n) entries[n] = entry_of(call_, args, n);
    split_keys(call_, entries);
    memory_.entries = entries;
  }

  std::int64_t partial_floats() const noexcept {
    const Kernel& kernel = *call_.kernel;
    return kernel.block_rows * (kernel.out_stride(call_.head_dim) + 2);
  }

  // Groups from `first` on that are packed and worked through together; written to `groups` when
  // not null.
  Counts next_wave(std::int64_t first, Group* groups) const noexcept {
    const std::int64_t block_bytes =
        (call_.key_words + call_.value_words) * static_cast<std::int64_t>(sizeof(Word));
    const std::int64_t budget = std::max(kWaveBytes, kWaveBytesPerThread * threads_) /
                                std::max<std::int64_t>(block_bytes, 1);
    Counts wave;
    for (std::int64_t g = first; g < call_.entries * call_.kv_heads; ++g) {
      const Entry& e = memory_.entries[g / call_.kv_heads];
      if (wave.groups > 0 && wave.blocks + e.key_blocks > budget) break;
      if (groups != nullptr)
        groups[wave.groups] = {g / call_.kv_heads, g % call_.kv_heads, wave.blocks, wave.units,
                               wave.tails};
      ++wave.groups;
      if (e.blocks > 0) {
        wave.blocks += e.key_blocks;
        wave.most_blocks = std::max(wave.most_blocks, e.key_blocks);
      }
      wave.units += e.blocks * e.splits;
      wave.most_units = std::max(wave.most_units, e.blocks * e.splits);
      if (e.splits > 1) {
        wave.tails += e.blocks;
        wave.partials += e.blocks * e.splits;
      }
    }
    return wave;
  }

  Counts largest_wave() const noexcept {
    Counts most;
    for (std::int64_t group = 0; group < call_.entries * call_.kv_heads;) {
      const Counts wave = next_wave(group, nullptr);
      most.groups = std::max(most.groups, wave.groups);
      most.blocks = std::max(most.blocks, wave.panel_blocks(threads_));
      most.partials = std::max(most.partials, wave.partials);
      group += wave.groups;
    }
    return most;
  }

  std::pair<Memory, std::size_t> lay_out(std::byte* memory, const Counts& most) const noexcept {
    Arena arena(memory);
    Memory m;
    m.entries = arena.take<Entry>(call_.entries);
    m.groups = arena.take<Group>(most.groups);
    m.odd = arena.take<std::uint8_t>(most.blocks);
    m.scratch = arena.take<std::byte>(
        threads_ * static_cast<std::int64_t>(bytes_of(call_.kernel->scratch_of(call_.head_dim))));
    m.partials = arena.take<float>(most.partials * partial_floats());
    m.keys = arena.take<Word>(most.blocks * call_.key_words);
    m.values = arena.take<Word>(most.blocks * call_.value_words);
    return {m, arena.used()};
  }

  // The last group whose `first` is not after `at`.
  template <class First>
  const Group& group_of(const Counts& wave, std::int64_t at, First first) const noexcept {
    const Group* const begin = memory_.groups;
    return *(std::upper_bound(begin, begin + wave.groups, at,
                              [&](std::int64_t x, const Group& g) { return x < g.*first; }) -
             1);
  }

  void pack(const Counts& wave) noexcept {
    parallel_for(threads_, wave.blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t at = begin; at < end; ++at) {
        const Group& g = group_of(wave, at, &Group::first_block);
        pack_block(g, at - g.first_block, at);
      }
    });
  }

  Rows rows_of(Rows all, std::int64_t entry, std::int64_t head) const noexcept {
    all.data += (entry + head) * static_cast<std::int64_t>(size_of(all.dtype));
    return all;
  }
  Rows keys_of(const Group& g) const noexcept {
    return rows_of(call_.k, memory_.entries[g.entry].k, g.kv_head * call_.k_head);
  }
  Rows values_of(const Group& g) const noexcept {
    return rows_of(call_.v, memory_.entries[g.entry].v, g.kv_head * call_.v_head);
  }

  /// Block `block` of a group into the panels of number `at`.
  void pack_block(const Group& g, std::int64_t block, std::int64_t at) noexcept {
    const Entry& e = memory_.entries[g.entry];
    const std::int64_t first_key = block * call_.kernel->key_block;
    PackJob job{keys_of(g).from(first_key), values_of(g).from(first_key)};
    job.count = std::min(e.keys - first_key, call_.kernel->key_block);
    job.head_dim = call_.head_dim;
    job.key_panels = memory_.keys + at * call_.key_words;
    job.value_panels = memory_.values + at * call_.value_words;
    job.odd = memory_.odd + at;
    call_.kernel->pack(job);
  }

  void attend(const Counts& wave) noexcept {
    parallel_for_dynamic(threads_, wave.units, 1,
                         [&](std::int64_t begin, std::int64_t end, int thread) {
                           for (std::int64_t at = begin; at < end; ++at)
                             attend_unit(wave, at, thread);
                         });
  }

  Scratch scratch_of(int thread) const noexcept {
    const std::size_t bytes = bytes_of(call_.kernel->scratch_of(call_.head_dim));
    return scratch_at(*call_.kernel, call_.head_dim,
                      memory_.scratch + static_cast<std::size_t>(thread) * bytes);
  }

  Partial partial_at(std::int64_t index) const noexcept {
    const Kernel& kernel = *call_.kernel;
    const std::int64_t stride = kernel.out_stride(call_.head_dim);
    float* const out = memory_.partials + index * partial_floats();
    float* const most = out + kernel.block_rows * stride;
    return {out, stride, most, most + kernel.block_rows};
  }

  // The partial of a split unit. Groups without splits take no partials, so tails * splits would
  // not do.
  std::int64_t partial_index(const Group& g, const Entry& e, std::int64_t block,
                             std::int64_t split) const noexcept {
    std::int64_t before = 0;
    for (const Group* other = memory_.groups; other != &g; ++other) {
      const Entry& o = memory_.entries[other->entry];
      before += o.splits > 1 ? o.blocks * o.splits : 0;
    }
    return before + block * e.splits + split;
  }

  void attend_unit(const Counts& wave, std::int64_t at, int thread) noexcept {
    const Group& g = group_of(wave, at, &Group::first_unit);
    const Entry& e = memory_.entries[g.entry];
    const std::int64_t block = (at - g.first_unit) / e.splits,
                       split = (at - g.first_unit) % e.splits;
    const Kernel& kernel = *call_.kernel;

    const std::int64_t first_block = wave.packs_ahead() ? g.first_block : thread * wave.most_blocks;
    Unit unit;
    unit.queries = rows_of(call_.q, e.q, g.kv_head * call_.group() * call_.q_head);
    unit.keys = keys_of(g);
    unit.values = values_of(g);
    unit.head_stride = call_.q_head;
    unit.seq_q = e.seq_q;
    unit.first_row = block * e.block_rows;
    unit.rows = std::min(e.block_rows, call_.group() * e.seq_q - unit.first_row);
    unit.head_dim = call_.head_dim;
    unit.negate = call_.negate;
    unit.key_panels = memory_.keys + first_block * call_.key_words;
    unit.value_panels = memory_.values + first_block * call_.value_words;
    unit.key_words = call_.key_words;
    unit.value_words = call_.value_words;
    unit.odd = memory_.odd + first_block;
    unit.first_key = split * e.split_blocks * kernel.key_block;
    unit.last_key = std::min(e.keys, (split + 1) * e.split_blocks * kernel.key_block);
    unit.band = e.band;
    unit.mask = call_.mask;
    if (unit.mask.data != nullptr)
      unit.mask.data += (e.mask + g.kv_head * call_.group() * call_.mask.head) *
                        static_cast<std::int64_t>(size_of(call_.mask.dtype));
    unit.scale = call_.scale;
    unit.exp2_unit = call_.exp2_unit;

    if (!call_.in_place && !wave.packs_ahead())
      for (std::int64_t n = 0; n < e.key_blocks; ++n) pack_block(g, n, first_block + n);
    const auto work = call_.in_place ? kernel.attend_in_place : kernel.attend;
    Scratch scratch = scratch_of(thread);
    if (e.splits > 1) {  // leave the result where merge() looks for it
      const Partial partial = partial_at(partial_index(g, e, block, split));
      scratch.out = partial.out;
      scratch.most = partial.most;
      scratch.sum = partial.sum;
      work(unit, scratch);
      return;
    }
    work(unit, scratch);
    store_rows(call_, e, g.kv_head, unit.first_row, unit.rows,
               {scratch.out, kernel.out_stride(call_.head_dim), scratch.most, scratch.sum});
  }

  void merge(const Counts& wave) noexcept {
    parallel_for(threads_, wave.tails, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t at = begin; at < end; ++at) {
        const Group& g = group_of(wave, at, &Group::first_tail);
        const Entry& e = memory_.entries[g.entry];
        const std::int64_t block = at - g.first_tail, first_row = block * e.block_rows;
        const std::int64_t rows = std::min(e.block_rows, call_.group() * e.seq_q - first_row);
        const Partial total = partial_at(partial_index(g, e, block, 0));
        for (std::int64_t split = 1; split < e.splits; ++split)
          merge_rows(call_, rows, total, partial_at(partial_index(g, e, block, split)));
        store_rows(call_, e, g.kv_head, first_row, rows, total);
      }
    });
  }

  int threads_;
  Call call_;
  Memory memory_;
};

// Which kernel serves which call.
struct Kernels {
  const Kernel& plain;           // bf16 and f16 are widened as they are packed
  const Kernel& bf16;            // for bf16 inputs, unless rows are few: then memory is the limit
  const Kernel* int8 = nullptr;  // for all inputs, with the same exception
};

class Flash final : public AttentionBackend {
 public:
  explicit Flash(Kernels kernels) noexcept : kernels_(kernels) {}

  std::string_view name() const noexcept override {
    return kernels_.int8 == nullptr ? "flash" : "flash_int8";
  }

  std::optional<std::string> refusal(const AttentionSpec& spec) const override {
    if (spec.dtype != DType::F32 && spec.dtype != DType::BF16 && spec.dtype != DType::F16)
      return text_of("no kernel for ", name_of(spec.dtype), ", only f32, bf16 and f16");
    if (kernels_.int8 != nullptr && spec.head_dim > kernels_.int8->most_head_dim)
      return text_of("no kernel for head_dim ", spec.head_dim, ", only up to ",
                     kernels_.int8->most_head_dim);
    return std::nullopt;
  }

  bool approximate() const noexcept override { return kernels_.int8 != nullptr; }

  void run(Stream& stream, Workspace& workspace, const AttentionArgs& args, Tensor& out,
           Tensor* lse) const override {
    check(args, out, lse);
    const Kernel& kernel = kernel_for(args);
    Run(host_threads(stream), workspace, call_of(kernel, args, out, lse), args).run();
  }

  void fold(Stream& stream, Workspace& workspace, const AttentionArgs& args,
            RunningAttention& running) const override {
    check(args, running);
    const Kernel& kernel = kernel_for(args);
    Run(host_threads(stream), workspace, call_of(kernel, args, running), args).run();
  }

 private:
  const Kernel& kernel_for(const AttentionArgs& args) const {
    if (const auto why = refusal(spec_of(args, true)))
      throw Error(ErrorCode::Unsupported, text_of("attention ", name(), ": ", *why));
    const std::int64_t rows = rows_of_longest(args);
    if (kernels_.int8 != nullptr)
      return rows <= kernels_.plain.rows ? kernels_.plain : *kernels_.int8;
    const bool bf16 = args.q.dtype() == DType::BF16 && rows > kFewRowsOfBf16;
    return bf16 ? kernels_.bf16 : kernels_.plain;
  }

  Kernels kernels_;
};

}  // namespace

}  // namespace flash

const AttentionBackend& flash_attention(Isa isa) noexcept {
  using namespace flash;  // NOLINT(google-build-using-namespace): its table of kernels
  static const Flash scalar({scalar_f32(), scalar_f32()});
#if defined(__x86_64__)
  static const Flash avx2({avx2_f32(), avx2_f32()});
  static const Flash avx512({avx512_f32(), avx512_f32()});
  static const Flash avx512_bf16_units({avx512_f32(), avx512_bf16()});
  static const Flash amx({avx512_f32(), amx_bf16()});
  switch (isa) {
    case Isa::Scalar:
      return scalar;
    case Isa::Avx2:
      return avx2;
    case Isa::Avx512:
      return avx512;
    case Isa::Avx512Bf16:
      return avx512_bf16_units;
    case Isa::Amx:
      return amx;
  }
#endif
  static_cast<void>(isa);
  return scalar;
}

const AttentionBackend& flash_int8_attention(Isa isa) noexcept {
  using namespace flash;  // NOLINT(google-build-using-namespace): its table of kernels
  static const Flash scalar({scalar_f32(), scalar_f32(), &scalar_int8()});
#if defined(__x86_64__)
  static const Flash avx2({avx2_f32(), avx2_f32(), &avx2_int8()});
  static const Flash vnni({avx512_f32(), avx512_f32(), &avx512_int8()});
  static const Flash bf16_units({avx512_f32(), avx512_bf16(), &avx512_bf16_int8()});
  static const Flash amx({avx512_f32(), amx_bf16(), &amx_int8()});
  switch (isa) {
    case Isa::Scalar:
      return scalar;
    case Isa::Avx2:
      return avx2;
    case Isa::Avx512:
      return has_vnni() ? vnni : flash_int8_attention_emulated();
    case Isa::Avx512Bf16:
      return bf16_units;
    case Isa::Amx:
      return amx;
  }
#endif
  static_cast<void>(isa);
  return scalar;
}

const AttentionBackend& flash_int8_attention_emulated() noexcept {
  using namespace flash;  // NOLINT(google-build-using-namespace): its table of kernels
#if defined(__x86_64__)
  static const Flash backend({avx512_f32(), avx512_f32(), &avx512_int8_emulated()});
#else
  static const Flash backend({scalar_f32(), scalar_f32(), &scalar_int8()});
#endif
  return backend;
}

const AttentionBackend& flash_attention_emulated_bf16() noexcept {
#if defined(__x86_64__)
  static const flash::Flash backend({flash::avx512_f32(), flash::avx512_bf16_emulated()});
#else
  static const flash::Flash backend({flash::scalar_f32(), flash::scalar_f32()});
#endif
  return backend;
}

}  // namespace annulus
