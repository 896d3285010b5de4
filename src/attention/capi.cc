// The C header over the C++ one: what comes from outside is checked here, and every exception
// becomes a status.
#include <annulus/attention.h>

#include <algorithm>
#include <annulus/attention.hpp>
#include <array>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/error.h"

struct annulus_attention {
  annulus::attention::Attention kernels;
  std::string backend, isa;
  std::string_view used_isa;  // a literal, which ends in 0
  std::mutex busy;

  annulus_attention(int threads, std::string the_backend, std::string the_isa)
      : kernels(threads, the_backend, the_isa),
        backend(std::move(the_backend)),
        isa(std::move(the_isa)),
        used_isa(kernels.instruction_set()) {}
};

namespace annulus::attention {

namespace {

constexpr std::int32_t kMostThreads = 4096;
constexpr std::size_t kLargestStruct = 4096;  // of any version to come

void say(std::string_view text, char* message, std::size_t size) noexcept {
  if (message == nullptr || size == 0) return;
  const std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(message, text.data(), length);
  message[length] = '\0';
}

annulus_status status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::InvalidRequest:
      return ANNULUS_INVALID_ARGUMENT;
    case ErrorCode::NotFound:
      return ANNULUS_NOT_FOUND;
    case ErrorCode::Unsupported:
      return ANNULUS_UNSUPPORTED;
    case ErrorCode::OutOfMemory:
      return ANNULUS_OUT_OF_MEMORY;
    default:
      return ANNULUS_INTERNAL;
  }
}

// Runs body(); what it throws becomes the status.
template <class Body>
annulus_status guarded(char* message, std::size_t size, const Body& body) noexcept {
  try {
    body();
    return ANNULUS_OK;
  } catch (const Error& error) {
    say(error.what(), message, size);
    return status_of(error.code());
  } catch (const std::bad_alloc&) {
    say("out of memory", message, size);
    return ANNULUS_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    say(error.what(), message, size);
  } catch (...) {
    say("unknown failure", message, size);
  }
  return ANNULUS_INTERNAL;
}

template <class... Parts>
void want(bool ok, const Parts&... parts) {
  require(ok, ErrorCode::InvalidRequest, parts...);
}

void* present(void* pointer, const char* name) {
  want(pointer != nullptr, name, ": wanted a pointer, found NULL");
  return pointer;
}

// The caller's struct as this version has it. A shorter one, of an older version, is completed with
// zeros; a longer one, of a newer version, may say nothing new.
template <class Struct>
Struct read_struct(const Struct* given, const char* name, std::size_t first_size) {
  want(given != nullptr, name, ": wanted a struct, found NULL");
  std::size_t size = 0;
  std::memcpy(&size, given, sizeof size);  // its first member, all that is sure to be there
  want(size >= first_size && size <= kLargestStruct, name, ": wanted struct_size ", sizeof(Struct),
       ", found ", size);
  const std::span<const char> bytes(reinterpret_cast<const char*>(given), size);
  if (size > sizeof(Struct))
    require(std::ranges::all_of(bytes.subspan(sizeof(Struct)), [](char c) { return c == 0; }),
            ErrorCode::Unsupported, name, ": wanted members that version ", ANNULUS_ATTENTION_ABI,
            " of the library knows, found others in use");
  Struct own{};
  std::memcpy(&own, given, std::min(size, sizeof own));
  return own;
}

DType dtype_of(std::int32_t given, const char* name) {
  switch (given) {
    case ANNULUS_F32:
      return DType::F32;
    case ANNULUS_F16:
      return DType::F16;
    case ANNULUS_BF16:
      return DType::BF16;
    case ANNULUS_I32:
      return DType::I32;
    case ANNULUS_BOOL:
      return DType::Bool;
    default:
      throw Error(ErrorCode::InvalidRequest,
                  text_of(name, ": wanted dtype 0 to 4 (annulus_dtype), found ", given));
  }
}

std::int64_t size_of(DType dtype) noexcept {
  switch (dtype) {
    case DType::Bool:
      return 1;
    case DType::F16:
    case DType::BF16:
      return 2;
    default:
      return 4;
  }
}

// Shape and strides of a caller's array, checked.
struct Layout {
  std::vector<std::int64_t> shape, strides;
  std::int64_t elements = 1;
  std::int64_t span = 0;  // elements from the first to just past the last
};

template <class Array>
Layout layout_of(const Array& a, const char* name) {
  want(a.rank >= 1 && a.rank <= 4, name, ": wanted rank 1 to 4, found ", a.rank);
  want(a.layout == ANNULUS_CONTIGUOUS || a.layout == ANNULUS_STRIDED, name,
       ": wanted layout 0 or 1 (annulus_layout), found ", a.layout);
  want(a.reserved == 0, name, ": wanted 0 in reserved, found ", a.reserved);
  const auto rank = static_cast<std::size_t>(a.rank);
  Layout made;
  made.shape.assign(a.shape, a.shape + rank);
  made.strides.resize(rank);
  std::int64_t step = 1;
  for (std::size_t axis = rank; axis-- > 0;) {
    const std::int64_t extent = made.shape[axis];
    want(extent >= 0 && extent < (std::int64_t{1} << 31), name,
         ": wanted extents of 0 to 2^31 - 1, found ", extent, " along axis ", axis);
    made.strides[axis] = a.layout == ANNULUS_STRIDED ? a.strides[axis] : step;
    want(made.strides[axis] >= 0, name, ": wanted strides >= 0, found ", made.strides[axis],
         " along axis ", axis);
    want(!__builtin_mul_overflow(step, std::max<std::int64_t>(extent, 1), &step), name,
         ": wanted a size that fits in memory, found more than 2^63 elements");
    made.elements *= extent;
    std::int64_t reach = 0;
    want(extent == 0 || (!__builtin_mul_overflow(extent - 1, made.strides[axis], &reach) &&
                         !__builtin_add_overflow(made.span, reach, &made.span)),
         name, ": wanted strides that fit in memory, found ", made.strides[axis], " along axis ",
         axis);
  }
  want(made.elements == 0 || !__builtin_add_overflow(made.span, 1, &made.span), name,
       ": wanted strides that fit in memory, found more than 2^63 elements");
  if (made.elements == 0) made.span = 0;
  return made;
}

// Where the array lies; some address where it has no elements.
template <class Pointer>
Pointer* place_of(Pointer* data, const Layout& layout, DType dtype, const char* name) {
  alignas(64) static constexpr std::array<char, 64> kNowhere{};
  const std::int64_t size = size_of(dtype);
  std::int64_t bytes = 0;
  want(!__builtin_mul_overflow(layout.span, size, &bytes), name,
       ": wanted a size that fits in memory, found ", layout.span, " elements");
  if (layout.elements == 0) return const_cast<char*>(kNowhere.data());  // nothing is touched
  want(data != nullptr, name, ": wanted memory, found NULL");
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  want(address % static_cast<std::uintptr_t>(size) == 0, name, ": wanted memory aligned to ", size,
       " bytes, found ", address % static_cast<std::uintptr_t>(size), " past it");
  // No CPU of today addresses more than 2^56 bytes for a program.
  want(bytes <= std::int64_t{1} << 56 && address + static_cast<std::uintptr_t>(bytes) > address,
       name, ": wanted memory within the address space, found ", bytes, " bytes from ", address);
  return data;
}

Input in(const annulus_input& given, const char* name) {
  const DType dtype = dtype_of(given.dtype, name);
  Layout layout = layout_of(given, name);
  return {place_of(given.data, layout, dtype, name), dtype, std::move(layout.shape),
          std::move(layout.strides)};
}

Input in(const annulus_input* given, const char* name) {
  return given == nullptr ? Input{} : in(*given, name);
}

// Two threads must not write one element: axes, sorted by stride, each step over all inside them.
void check_distinct(const Layout& layout, const char* name) {
  std::vector<std::pair<std::int64_t, std::int64_t>> axes;  // stride, extent
  for (std::size_t axis = 0; axis < layout.shape.size(); ++axis)
    if (layout.shape[axis] > 1) axes.emplace_back(layout.strides[axis], layout.shape[axis]);
  std::ranges::sort(axes);
  std::int64_t inside = 1;
  for (const auto& [stride, extent] : axes) {
    want(stride >= inside, name,
         ": wanted strides under which no two elements share memory, found ", stride,
         " where one step takes ", inside);
    inside = (extent - 1) * stride + inside;
  }
}

Output out(const annulus_output& given, const char* name) {
  const DType dtype = dtype_of(given.dtype, name);
  Layout layout = layout_of(given, name);
  if (layout.elements > 0) check_distinct(layout, name);
  return {place_of(given.data, layout, dtype, name), dtype, std::move(layout.shape),
          std::move(layout.strides)};
}

Output out(const annulus_output* given, const char* name) {
  want(given != nullptr, name, ": wanted an array, found NULL");
  return out(*given, name);
}

Running running_of(const annulus_running* given) {
  want(given != nullptr, "running: wanted a struct, found NULL");
  return {out(given->out, "running.out"), out(given->max, "running.max"),
          out(given->sum, "running.sum")};
}

Arguments arguments_of(const annulus_attention_arguments* given) {
  const auto a = read_struct(given, "arguments", sizeof(annulus_attention_arguments));
  want(a.causal >= ANNULUS_CAUSAL_NO && a.causal <= ANNULUS_CAUSAL_BOTTOM_RIGHT,
       "causal: wanted 0 to 2 (annulus_causal), found ", a.causal);
  want(a.windowed == 0 || a.windowed == 1, "windowed: wanted 0 or 1, found ", a.windowed);
  want(a.reserved == 0, "arguments: wanted 0 in reserved, found ", a.reserved);
  Arguments made;
  made.q = in(a.q, "q");
  made.k = in(a.k, "k");
  made.v = in(a.v, "v");
  made.scale = a.scale;
  made.causal = static_cast<Causal>(a.causal);
  if (a.windowed == 1) made.window = {a.window[0], a.window[1]};
  made.kv_lengths = in(a.kv_lengths, "kv_lengths");
  made.mask = in(a.mask, "mask");
  made.diagonals = in(a.diagonals, "diagonals");
  made.cu_seqlens_q = in(a.cu_seqlens_q, "cu_seqlens_q");
  made.cu_seqlens_k = in(a.cu_seqlens_k, "cu_seqlens_k");
  return made;
}

void check_threads(std::int32_t threads) {
  want(threads >= 0 && threads <= kMostThreads, "threads: wanted 0 to ", kMostThreads, ", found ",
       threads);
}

// Runs body(kernels) while no other thread uses them.
template <class Body>
annulus_status with(annulus_attention* attention, char* message, std::size_t size,
                    const Body& body) noexcept {
  return guarded(message, size, [&] {
    present(attention, "attention");
    const std::lock_guard<std::mutex> alone(attention->busy);
    body(attention->kernels);
  });
}

}  // namespace

}  // namespace annulus::attention

namespace own = annulus::attention;

extern "C" {

const char* annulus_attention_version() {
  return ANNULUS_VERSION;
}

int32_t annulus_attention_abi() {
  return ANNULUS_ATTENTION_ABI;
}

const char* annulus_attention_backend(size_t index) {
  static constexpr std::array<const char*, 3> kNames = {"flash", "flash_int8", "reference"};
  return index < kNames.size() ? kNames[index] : nullptr;
}

const char* annulus_attention_isa(size_t index) {
  try {
    const auto names = own::instruction_sets();  // of literals, which end in 0
    return index < names.size() ? names[index].data() : nullptr;
  } catch (...) {
    return nullptr;
  }
}

const char* annulus_status_name(annulus_status status) {
  static constexpr std::array<const char*, 6> kNames = {
      "ok", "invalid argument", "not found", "unsupported", "out of memory", "internal error"};
  const auto index = static_cast<std::size_t>(status);
  return index < kNames.size() ? kNames[index] : "unknown status";
}

annulus_status annulus_attention_create(const annulus_attention_options* options,
                                        annulus_attention** attention, char* message,
                                        size_t message_size) {
  return own::guarded(message, message_size, [&] {
    own::present(attention, "attention");
    *attention = nullptr;
    annulus_attention_options o = {};
    if (options != nullptr)
      o = own::read_struct(options, "options", sizeof(annulus_attention_options));
    own::check_threads(o.threads);
    own::want(o.reserved == 0, "options: wanted 0 in reserved, found ", o.reserved);
    *attention = new annulus_attention(o.threads, o.backend == nullptr ? "flash" : o.backend,
                                       o.isa == nullptr ? "" : o.isa);
  });
}

void annulus_attention_destroy(annulus_attention* attention) {
  delete attention;
}

const char* annulus_attention_isa_in_use(const annulus_attention* attention) {
  return attention == nullptr ? nullptr : attention->used_isa.data();
}

annulus_status annulus_attention_set_threads(annulus_attention* attention, int32_t threads,
                                             char* message, size_t message_size) {
  return own::with(attention, message, message_size, [&](own::Attention& kernels) {
    own::check_threads(threads);
    kernels = own::Attention(threads, attention->backend, attention->isa);
  });
}

annulus_status annulus_attention_run(annulus_attention* attention,
                                     const annulus_attention_arguments* arguments,
                                     const annulus_output* out, const annulus_output* lse,
                                     char* message, size_t message_size) {
  return own::with(attention, message, message_size, [&](own::Attention& kernels) {
    kernels.run(own::arguments_of(arguments), own::out(out, "out"),
                lse == nullptr ? own::Output{} : own::out(*lse, "lse"));
  });
}

annulus_status annulus_attention_merge(annulus_attention* attention, const annulus_output* out,
                                       const annulus_output* lse, const annulus_input* part_out,
                                       const annulus_input* part_lse, char* message,
                                       size_t message_size) {
  return own::with(attention, message, message_size, [&](own::Attention& kernels) {
    kernels.merge(own::out(out, "out"), own::out(lse, "lse"), own::in(part_out, "part_out"),
                  own::in(part_lse, "part_lse"));
  });
}

annulus_status annulus_attention_start(annulus_attention* attention, const annulus_running* running,
                                       char* message, size_t message_size) {
  return own::with(attention, message, message_size,
                   [&](own::Attention& kernels) { kernels.start(own::running_of(running)); });
}

annulus_status annulus_attention_fold(annulus_attention* attention,
                                      const annulus_attention_arguments* arguments,
                                      const annulus_running* running, char* message,
                                      size_t message_size) {
  return own::with(attention, message, message_size, [&](own::Attention& kernels) {
    kernels.fold(own::arguments_of(arguments), own::running_of(running));
  });
}

annulus_status annulus_attention_finish(annulus_attention* attention,
                                        const annulus_running* running, const annulus_output* out,
                                        const annulus_output* lse, char* message,
                                        size_t message_size) {
  return own::with(attention, message, message_size, [&](own::Attention& kernels) {
    kernels.finish(own::running_of(running), own::out(out, "out"),
                   lse == nullptr ? own::Output{} : own::out(*lse, "lse"));
  });
}

}  // extern "C"
