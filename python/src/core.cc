// annulus_attention._core: the C interface for arrays of Python. Arrays come by DLPack or the
// buffer protocol and are used in place; the interpreter is free while kernels work. What users
// call, and how results are made in their framework, is in annulus_attention/__init__.py.
#include <annulus/attention.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <array>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace nb = nanobind;

namespace {

using ReadArray = nb::ndarray<nb::ro>;
using WriteArray = nb::ndarray<>;
using Message = std::array<char, 512>;

void check(annulus_status status, const Message& message) {
  if (status == ANNULUS_OK) return;
  if (status == ANNULUS_OUT_OF_MEMORY) throw std::bad_alloc();
  if (status == ANNULUS_INVALID_ARGUMENT || status == ANNULUS_NOT_FOUND)
    throw nb::value_error(message.data());
  throw std::runtime_error(std::string(annulus_status_name(status)) + ": " + message.data());
}

struct Destroy {
  void operator()(annulus_attention* attention) const { annulus_attention_destroy(attention); }
};
using Handle = std::unique_ptr<annulus_attention, Destroy>;

// Objects of the C interface that no call uses: each holds memory that the next call takes over.
class Pool {
 public:
  // One object for one call of this thread.
  class Lease {
   public:
    explicit Lease(Pool& pool) : pool_(pool), handle_(pool.take(threads_)) {}
    ~Lease() { pool_.give_back(std::move(handle_), threads_); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    annulus_attention* get() const { return handle_.get(); }

   private:
    Pool& pool_;
    int threads_ = 0;
    Handle handle_;
  };

  int threads() {
    const std::lock_guard<std::mutex> alone(busy_);
    return threads_;
  }

  void set_threads(int threads) {
    const std::lock_guard<std::mutex> alone(busy_);
    free_.clear();
    threads_ = threads;
  }

 private:
  Handle take(int& threads) {
    const std::lock_guard<std::mutex> alone(busy_);
    threads = threads_;
    if (!free_.empty()) {
      Handle handle = std::move(free_.back());
      free_.pop_back();
      return handle;
    }
    annulus_attention_options options = {};
    options.struct_size = sizeof options;
    options.threads = threads_;
    annulus_attention* made = nullptr;
    Message message{};
    check(annulus_attention_create(&options, &made, message.data(), message.size()), message);
    return Handle(made);
  }

  void give_back(Handle handle, int threads) {
    const std::lock_guard<std::mutex> alone(busy_);
    if (threads == threads_) free_.push_back(std::move(handle));
  }

  std::mutex busy_;
  int threads_ = 0;
  std::vector<Handle> free_;
};

template <class Array>
Array import(nb::handle object, const char* name) {
  Array array;
  if (!nb::try_cast(object, array, false)) {
    constexpr bool kWrites = std::is_same_v<Array, WriteArray>;
    throw nb::type_error((std::string(name) + ": wanted " + (kWrites ? "a writable" : "an") +
                          " array with DLPack or the buffer protocol, found " +
                          nb::type_name(object.type()).c_str())
                             .c_str());
  }
  if (array.device_type() != nb::device::cpu::value)
    throw nb::value_error(
        (std::string(name) + ": wanted an array in the memory of the CPU").c_str());
  return array;
}

// NumPy has no bf16 in DLPack: such arrays come as views of uint16.
std::int32_t dtype_of(nb::dlpack::dtype dtype, const char* name) {
  const auto is = [dtype](nb::dlpack::dtype_code code, int bits) {
    return dtype.code == static_cast<std::uint8_t>(code) && dtype.bits == bits && dtype.lanes == 1;
  };
  if (is(nb::dlpack::dtype_code::Float, 32)) return ANNULUS_F32;
  if (is(nb::dlpack::dtype_code::Float, 16)) return ANNULUS_F16;
  if (is(nb::dlpack::dtype_code::Bfloat, 16) || is(nb::dlpack::dtype_code::UInt, 16))
    return ANNULUS_BF16;
  if (is(nb::dlpack::dtype_code::Int, 32)) return ANNULUS_I32;
  if (is(nb::dlpack::dtype_code::Bool, 8)) return ANNULUS_BOOL;
  throw nb::value_error(
      (std::string(name) + ": wanted float32, float16, bfloat16, int32 or bool").c_str());
}

template <class To, class Array>
To described(const Array& array, const char* name) {
  if (array.ndim() < 1 || array.ndim() > 4)
    throw nb::value_error(
        (std::string(name) + ": wanted 1 to 4 axes, found " + std::to_string(array.ndim()))
            .c_str());
  To made = {};
  made.data = array.data();
  made.dtype = dtype_of(array.dtype(), name);
  made.rank = static_cast<std::int32_t>(array.ndim());
  made.layout = ANNULUS_STRIDED;
  for (std::size_t axis = 0; axis < array.ndim(); ++axis) {
    made.shape[axis] = static_cast<std::int64_t>(array.shape(axis));
    // An axis of one element has any stride in NumPy.
    made.strides[axis] = made.shape[axis] > 1 ? array.stride(axis) : 0;
  }
  return made;
}

// An array that a call reads; the object keeps its memory alive.
struct Reading {
  ReadArray array;
  annulus_input described_array = {};

  Reading(nb::handle object, const char* name)
      : array(import <ReadArray>(object, name)),
        described_array(described<annulus_input>(array, name)) {}
};

// One that may be None.
struct MaybeReading {
  ReadArray array;
  annulus_input described_array = {};
  const annulus_input* pointer = nullptr;

  MaybeReading(nb::handle object, const char* name) {
    if (object.is_none()) return;
    array = import <ReadArray>(object, name);
    described_array = described<annulus_input>(array, name);
    pointer = &described_array;
  }
  ~MaybeReading() = default;
  MaybeReading(const MaybeReading&) = delete;
  MaybeReading& operator=(const MaybeReading&) = delete;

  // Axes that NumPy's broadcasting adds in front and repeats at the end.
  void broadcast(std::int64_t last_extent) {
    if (pointer == nullptr) return;
    annulus_input wide = described_array;
    wide.rank = 4;
    for (int axis = 0; axis < 4; ++axis) {
      const int from = axis - (4 - described_array.rank);
      wide.shape[axis] = from < 0 ? 1 : described_array.shape[from];
      wide.strides[axis] = from < 0 ? 0 : described_array.strides[from];
    }
    if (wide.shape[3] == 1 && last_extent != 1) wide.shape[3] = last_extent, wide.strides[3] = 0;
    described_array = wide;
  }
};

struct Writing {
  WriteArray array;
  annulus_output described_array = {};

  Writing(nb::handle object, const char* name)
      : array(import <WriteArray>(object, name)),
        described_array(described<annulus_output>(array, name)) {}
};

void run(Pool& pool, nb::handle q, nb::handle k, nb::handle v, nb::handle out, nb::handle lse,
         float scale, int causal, std::int64_t left, std::int64_t right, nb::handle kv_lengths,
         nb::handle mask) {
  const Reading q_array(q, "q"), k_array(k, "k"), v_array(v, "v");
  const Writing out_array(out, "out"), lse_array(lse, "lse");
  const MaybeReading lengths(kv_lengths, "kv_lengths");
  MaybeReading mask_array(mask, "mask");
  if (k_array.described_array.rank == 4) mask_array.broadcast(k_array.described_array.shape[1]);

  annulus_attention_arguments arguments = {};
  arguments.struct_size = sizeof arguments;
  arguments.q = q_array.described_array;
  arguments.k = k_array.described_array;
  arguments.v = v_array.described_array;
  arguments.scale = scale;
  arguments.causal = causal;
  arguments.windowed = 1;
  arguments.window[0] = left;
  arguments.window[1] = right;
  arguments.kv_lengths = lengths.pointer;
  arguments.mask = mask_array.pointer;

  Message message{};
  annulus_status status = ANNULUS_OK;
  {
    const nb::gil_scoped_release others_may_run;
    const Pool::Lease lease(pool);
    status = annulus_attention_run(lease.get(), &arguments, &out_array.described_array,
                                   &lse_array.described_array, message.data(), message.size());
  }
  check(status, message);
}

void merge(Pool& pool, nb::handle out, nb::handle lse, nb::handle part_out, nb::handle part_lse) {
  const Writing total(out, "out"), total_lse(lse, "lse");
  const Reading part(part_out, "part_out"), its_lse(part_lse, "part_lse");
  Message message{};
  annulus_status status = ANNULUS_OK;
  {
    const nb::gil_scoped_release others_may_run;
    const Pool::Lease lease(pool);
    status = annulus_attention_merge(lease.get(), &total.described_array,
                                     &total_lse.described_array, &part.described_array,
                                     &its_lse.described_array, message.data(), message.size());
  }
  check(status, message);
}

nb::list instruction_sets() {
  nb::list names;
  for (std::size_t i = 0; annulus_attention_isa(i) != nullptr; ++i)
    names.append(annulus_attention_isa(i));
  return names;
}

}  // namespace

NB_MODULE(_core, module) {
  const auto pool = std::make_shared<Pool>();
  module.def(
      "run",
      [pool](nb::handle q, nb::handle k, nb::handle v, nb::handle out, nb::handle lse, float scale,
             int causal, std::int64_t left, std::int64_t right, nb::handle kv_lengths,
             nb::handle mask) {
        run(*pool, q, k, v, out, lse, scale, causal, left, right, kv_lengths, mask);
      },
      nb::arg("q"), nb::arg("k"), nb::arg("v"), nb::arg("out"), nb::arg("lse"), nb::arg("scale"),
      nb::arg("causal"), nb::arg("left"), nb::arg("right"), nb::arg("kv_lengths").none(),
      nb::arg("mask").none());
  module.def(
      "merge",
      [pool](nb::handle out, nb::handle lse, nb::handle part_out, nb::handle part_lse) {
        merge(*pool, out, lse, part_out, part_lse);
      },
      nb::arg("out"), nb::arg("lse"), nb::arg("part_out"), nb::arg("part_lse"));
  module.def(
      "set_threads",
      [pool](int threads) {
        if (threads < 0 || threads > 4096)
          throw nb::value_error("threads: wanted 0 to 4096 (0: as many as the process may use)");
        pool->set_threads(threads);
      },
      nb::arg("threads"));
  module.def("threads", [pool] { return pool->threads(); });
  module.def("instruction_sets", &instruction_sets);
  module.def("version", [] { return std::string(annulus_attention_version()); });
}
