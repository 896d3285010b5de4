#include "objects.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <mutex>
#include <type_traits>
#include <unordered_set>

#include "base/half.h"
#include "memory.h"
#include "stream.h"

namespace annulus::cann {

std::int64_t aclTensor::elements() const {
  return fake_cann::product(dims);
}

bool aclTensor::contiguous() const {
  std::int64_t step = 1;
  for (std::size_t axis = dims.size(); axis-- > 0;) {
    if (dims[axis] != 1 && strides[axis] != step) return false;
    step *= dims[axis];
  }
  return true;
}

}  // namespace annulus::cann

namespace fake_cann {

namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_set<const void*> live;
};

Registry& registry() {
  static Registry& made = *new Registry;
  return made;
}

template <class T>
T* registered(T* object, const char* kind) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  r.live.insert(object);
  count(kind, 1);
  return object;
}

template <class T>
int destroy(const T* object, const char* kind) {
  if (object == nullptr) return 0;
  {
    Registry& r = registry();
    const std::lock_guard lock(r.mutex);
    if (r.live.erase(object) == 0) {
      problem(std::string(kind) + " destroyed that does not live (any more)");
      return fail(abi::ACLNN_ERR_PARAM_INVALID, "not a live object");
    }
  }
  count(kind, -1);
  delete object;
  return 0;
}

// Bytes from the first to past the last element.
std::size_t span_of(const abi::aclTensor& x) {
  if (x.elements() == 0) return 0;
  std::int64_t last = 0;
  for (std::size_t axis = 0; axis < x.dims.size(); ++axis)
    last += (x.dims[axis] - 1) * x.strides[axis];
  return static_cast<std::size_t>(last + 1) * size_of(x.type);
}

std::byte* first_of(const abi::aclTensor& x) {
  return static_cast<std::byte*>(x.data) + static_cast<std::size_t>(x.offset) * size_of(x.type);
}

double load(const std::byte* at, abi::aclDataType type) {
  const auto as = [at](auto value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  switch (type) {
    case abi::ACL_FLOAT:
      return static_cast<double>(as(float{}));
    case abi::ACL_FLOAT16:
      return static_cast<double>(annulus::to_float(as(annulus::F16{})));
    case abi::ACL_BF16:
      return static_cast<double>(annulus::to_float(as(annulus::Bf16{})));
    case abi::ACL_DOUBLE:
      return as(double{});
    case abi::ACL_INT64:
      return static_cast<double>(as(std::int64_t{}));
    case abi::ACL_INT32:
      return as(std::int32_t{});
    case abi::ACL_INT16:
      return as(std::int16_t{});
    case abi::ACL_INT8:
      return as(std::int8_t{});
    default:
      return as(std::uint8_t{});
  }
}

void store(std::byte* at, abi::aclDataType type, double value) {
  const auto as = [at](auto converted) { std::memcpy(at, &converted, sizeof converted); };
  switch (type) {
    case abi::ACL_FLOAT:
      return as(static_cast<float>(value));
    case abi::ACL_FLOAT16:
      return as(annulus::to_f16(static_cast<float>(value)));
    case abi::ACL_BF16:
      return as(annulus::to_bf16(static_cast<float>(value)));
    case abi::ACL_DOUBLE:
      return as(value);
    case abi::ACL_INT64:
      return as(static_cast<std::int64_t>(value));
    case abi::ACL_INT32:
      return as(static_cast<std::int32_t>(value));
    case abi::ACL_INT16:
      return as(static_cast<std::int16_t>(value));
    case abi::ACL_INT8:
      return as(static_cast<std::int8_t>(value));
    case abi::ACL_BOOL:
      return as(static_cast<std::uint8_t>(value != 0));
    default:
      return as(static_cast<std::uint8_t>(value));
  }
}

// Calls each(offset in elements) in row-major order.
template <class Each>
void for_each_element(const Dims& dims, const Dims& strides, Each each) {
  if (product(dims) == 0) return;
  Dims index(dims.size(), 0);
  std::int64_t at = 0;
  while (true) {
    each(at);
    std::size_t axis = dims.size();
    while (axis > 0) {
      --axis;
      at += strides[axis];
      if (++index[axis] < dims[axis]) break;
      at -= strides[axis] * dims[axis];
      index[axis] = 0;
      if (axis == 0) return;
    }
    if (dims.empty()) return;
  }
}

const abi::aclTensor& nothing() {
  static const abi::aclTensor none{{0}, {1}, 0, abi::ACL_FLOAT, abi::ACL_FORMAT_ND, {0}, nullptr};
  return none;
}

}  // namespace

std::int64_t product(const Dims& dims) {
  std::int64_t all = 1;
  for (const std::int64_t extent : dims) all *= extent;
  return all;
}

std::string text_of(const Dims& dims) {
  std::string text;
  for (const std::int64_t extent : dims) text += (text.empty() ? "" : ",") + std::to_string(extent);
  return "[" + text + "]";
}

bool is_floating(abi::aclDataType type) {
  return type == abi::ACL_FLOAT || type == abi::ACL_FLOAT16 || type == abi::ACL_BF16;
}

std::size_t size_of(abi::aclDataType type) {
  switch (type) {
    case abi::ACL_FLOAT:
    case abi::ACL_INT32:
      return 4;
    case abi::ACL_DOUBLE:
    case abi::ACL_INT64:
      return 8;
    case abi::ACL_FLOAT16:
    case abi::ACL_BF16:
    case abi::ACL_INT16:
      return 2;
    default:
      return 1;
  }
}

Values gather(const abi::aclTensor& x) {
  return gather(x, x.dims);
}

Values gather(const abi::aclTensor& x, const Dims& dims) {
  Dims strides(dims.size(), 0);
  const std::size_t missing = dims.size() - x.dims.size();
  for (std::size_t axis = 0; axis < x.dims.size(); ++axis)
    if (x.dims[axis] != 1) strides[missing + axis] = x.strides[axis];
  Values values;
  values.reserve(static_cast<std::size_t>(product(dims)));
  const std::byte* const from = shadow_of(first_of(x));
  const auto size = static_cast<std::int64_t>(size_of(x.type));
  for_each_element(dims, strides,
                   [&](std::int64_t at) { values.push_back(load(from + at * size, x.type)); });
  return values;
}

void scatter(const abi::aclTensor& x, const Values& values) {
  std::byte* const to = shadow_of(first_of(x));
  const auto size = static_cast<std::int64_t>(size_of(x.type));
  std::size_t next = 0;
  for_each_element(x.dims, x.strides,
                   [&](std::int64_t at) { store(to + at * size, x.type, values[next++]); });
}

bool broadcasts(const Dims& from, const Dims& to) {
  if (from.size() > to.size()) return false;
  const std::size_t missing = to.size() - from.size();
  for (std::size_t axis = 0; axis < from.size(); ++axis)
    if (from[axis] != 1 && from[axis] != to[missing + axis]) return false;
  return true;
}

bool is_live(const void* object) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  return object != nullptr && r.live.contains(object);
}

Plan::Plan(const char* name, std::uint64_t* workspace, abi::aclOpExecutor** executor)
    : name_(name), workspace_(workspace), executor_(executor) {
  const std::string function = std::string(name) + "GetWorkspaceSize";
  if (called(function.c_str())) code_ = fail(abi::ACLNN_ERR_INNER, function + ": injected failure");
  require(current_device() >= 0, abi::ACLNN_ERR_RUNTIME_ERROR, "the thread has no context");
  require(workspace != nullptr && executor != nullptr, abi::ACLNN_ERR_PARAM_NULLPTR,
          "workspaceSize or executor is NULL");
}

const abi::aclTensor& Plan::tensor(const abi::aclTensor* x) {
  require(x != nullptr, abi::ACLNN_ERR_PARAM_NULLPTR, "a tensor is NULL");
  if (failed()) return nothing();
  require(is_live(x), abi::ACLNN_ERR_PARAM_INVALID, "a tensor's descriptor was destroyed");
  if (failed()) return nothing();
  require(x->data != nullptr || x->elements() == 0, abi::ACLNN_ERR_PARAM_NULLPTR,
          "a tensor has no memory");
  tensors_.push_back(*x);
  return *x;
}

void Plan::optional(const abi::aclTensor* x) {
  if (x != nullptr) tensor(x);
}

void Plan::require(bool ok, int code, const std::string& text) {
  if (ok || failed()) return;
  code_ = fail(code, std::string(name_) + ": " + text);
  problem(std::string(name_) + " refused (" + std::to_string(code) + "): " + text);
}

int Plan::done(std::function<void()> body, std::uint64_t workspace) {
  if (failed()) return code_;
  *workspace_ = workspace;
  *executor_ = registered(
      new abi::aclOpExecutor{name_, std::move(tensors_), workspace, std::move(body)}, "executor");
  return 0;
}

int run(const char* name, void* workspace, std::uint64_t bytes, abi::aclOpExecutor* executor,
        void* stream) {
  if (!is_live(executor)) {
    problem(std::string(name) + ": an executor was run twice, or is none");
    return fail(abi::ACLNN_ERR_PARAM_NULLPTR, std::string(name) + ": no executor");
  }
  abi::aclOpExecutor work = std::move(*executor);
  destroy(executor, "executor");
  const auto refuse = [&](int code, const std::string& text) {
    problem(std::string(name) + ": " + text);
    return fail(code, std::string(name) + ": " + text);
  };
  if (called(name)) return fail(abi::ACLNN_ERR_INNER, std::string(name) + ": injected failure");
  if (work.name != name) return refuse(abi::ACLNN_ERR_PARAM_INVALID, "executor of " + work.name);
  // A client that has no memory for the workspace gets rid of the executor so: no breach.
  if (workspace == nullptr && work.workspace > 0)
    return fail(abi::ACLNN_ERR_PARAM_NULLPTR, std::string(name) + ": workspace is NULL");
  if (bytes < work.workspace) return refuse(abi::ACLNN_ERR_PARAM_INVALID, "workspace too small");
  if (const int wrong = check_stream(name, stream)) return wrong;
  const int device = current_device();
  Pins pins;
  for (const abi::aclTensor& x : work.tensors)
    if (const std::string wrong = pins.add(first_of(x), span_of(x), device); !wrong.empty())
      return refuse(abi::ACLNN_ERR_PARAM_INVALID, wrong);
  if (work.workspace > 0)
    if (const std::string wrong = pins.add(workspace, work.workspace, device); !wrong.empty())
      return refuse(abi::ACLNN_ERR_PARAM_INVALID, "workspace: " + wrong);
  const bool faulty = called("task");
  stream_of(stream)->add(
      [workspace, faulty, work = std::move(work)]() -> std::optional<Fault> {
        if (faulty)
          return Fault{abi::ACL_ERROR_RT_AICORE_EXCEPTION, work.name + ": injected device fault"};
        if (work.workspace > 0) std::memset(shadow_of(workspace), 0xa5, work.workspace);
        work.body();
        return std::nullopt;
      },
      std::move(pins));
  return 0;
}

}  // namespace fake_cann

using namespace fake_cann;  // the functions below are C's

extern "C" {

annulus::cann::aclTensor* aclCreateTensor(const std::int64_t* dims, std::uint64_t rank,
                                          annulus::cann::aclDataType type,
                                          const std::int64_t* strides, std::int64_t offset,
                                          annulus::cann::aclFormat format,
                                          const std::int64_t* storage_dims,
                                          std::uint64_t storage_rank, void* data) {
  if (called("aclCreateTensor")) return nullptr;
  const auto refuse = [](const char* text) -> annulus::cann::aclTensor* {
    problem(std::string("aclCreateTensor: ") + text);
    fail(abi::ACLNN_ERR_PARAM_INVALID, text);
    return nullptr;
  };
  if ((dims == nullptr && rank > 0) || rank > 8) return refuse("dims NULL, or more than 8 axes");
  annulus::cann::aclTensor made{Dims(dims, dims + rank),
                                Dims(rank),
                                offset,
                                type,
                                format,
                                Dims(storage_dims, storage_dims + storage_rank),
                                data};
  if (strides != nullptr) {
    made.strides.assign(strides, strides + rank);
  } else {
    std::int64_t step = 1;
    for (std::size_t axis = rank; axis-- > 0; step *= made.dims[axis]) made.strides[axis] = step;
  }
  for (std::size_t axis = 0; axis < rank; ++axis)
    if (made.dims[axis] < 0 || made.strides[axis] < 0) return refuse("negative extent or stride");
  if (data != nullptr && region_of(data).place != Place::Device)
    return refuse("the data lies in host memory");
  if (reinterpret_cast<std::uintptr_t>(data) % 32 != 0)
    return refuse("the data is not aligned to 32 bytes");
  if (offset < 0 || span_of(made) / size_of(type) + static_cast<std::size_t>(offset) >
                        static_cast<std::size_t>(product(made.storage)))
    return refuse("the view reaches beyond its storage");
  return registered(new annulus::cann::aclTensor(std::move(made)), "tensor");
}

int aclDestroyTensor(const annulus::cann::aclTensor* tensor) {
  return destroy(tensor, "tensor");
}

annulus::cann::aclScalar* aclCreateScalar(void* value, annulus::cann::aclDataType type) {
  if (called("aclCreateScalar")) return nullptr;
  if (value == nullptr) return nullptr;
  return registered(
      new annulus::cann::aclScalar{load(static_cast<const std::byte*>(value), type), type},
      "scalar");
}

int aclDestroyScalar(const annulus::cann::aclScalar* scalar) {
  return destroy(scalar, "scalar");
}

annulus::cann::aclIntArray* aclCreateIntArray(const std::int64_t* values, std::uint64_t number) {
  if (called("aclCreateIntArray")) return nullptr;
  if (values == nullptr && number > 0) return nullptr;
  return registered(new annulus::cann::aclIntArray{Dims(values, values + number)}, "int array");
}

int aclDestroyIntArray(const annulus::cann::aclIntArray* array) {
  return destroy(array, "int array");
}

annulus::cann::aclTensorList* aclCreateTensorList(const annulus::cann::aclTensor* const* tensors,
                                                  std::uint64_t number) {
  if (called("aclCreateTensorList")) return nullptr;
  for (std::uint64_t i = 0; i < number; ++i)
    if (!is_live(tensors[i])) {
      problem("aclCreateTensorList of a tensor that does not live");
      return nullptr;
    }
  return registered(new annulus::cann::aclTensorList{{tensors, tensors + number}}, "tensor list");
}

int aclDestroyTensorList(const annulus::cann::aclTensorList* list) {
  if (list == nullptr) return 0;
  if (!is_live(list)) return destroy(list, "tensor list");
  for (const annulus::cann::aclTensor* member : list->members) destroy(member, "tensor");
  return destroy(list, "tensor list");
}
}

// Each is what clients declare.
static_assert(std::is_same_v<decltype(::aclCreateTensor), annulus::cann::aclCreateTensor>);
static_assert(std::is_same_v<decltype(::aclDestroyTensor), annulus::cann::aclDestroyTensor>);
static_assert(std::is_same_v<decltype(::aclCreateScalar), annulus::cann::aclCreateScalar>);
static_assert(std::is_same_v<decltype(::aclDestroyScalar), annulus::cann::aclDestroyScalar>);
static_assert(std::is_same_v<decltype(::aclCreateIntArray), annulus::cann::aclCreateIntArray>);
static_assert(std::is_same_v<decltype(::aclDestroyIntArray), annulus::cann::aclDestroyIntArray>);
static_assert(std::is_same_v<decltype(::aclCreateTensorList), annulus::cann::aclCreateTensorList>);
static_assert(
    std::is_same_v<decltype(::aclDestroyTensorList), annulus::cann::aclDestroyTensorList>);
