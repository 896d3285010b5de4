// libascendcl.so: devices, contexts, streams, events, memory.

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <type_traits>

#include "core.h"
#include "fake_cann.h"
#include "memory.h"
#include "stream.h"

namespace fake_cann {

namespace {

namespace abi = annulus::cann;
constexpr const char* kNoContext = "the thread has no context: call aclrtSetDevice in it first";

// A point in a stream.
struct Mark {
  std::mutex mutex;
  std::condition_variable reached;
  bool done = false;
};

struct Event {
  std::uint32_t flag;
  bool timing;  // aclrtCreateEvent: may be waited for, too
  int device;
  std::shared_ptr<Mark> mark;
};

struct DeviceState {
  int references = 0;
  std::uint64_t generation = 0;  // of its context
};

struct Runtime {
  std::mutex mutex;
  bool initialised = false;
  std::map<int, DeviceState> devices;
  std::map<Stream*, std::unique_ptr<Stream>> streams;
  std::map<Event*, std::unique_ptr<Event>> events;
  std::string soc;
};

Runtime& runtime() {
  static Runtime& made = *new Runtime;
  return made;
}

struct Current {
  int device = -1;
  std::uint64_t generation = 0;
};
thread_local Current current;

// A context's handle holds device and generation: there is one context per device here.
void* handle_of(int device, std::uint64_t generation) {
  return reinterpret_cast<void*>((generation << 16) | static_cast<std::uint64_t>(device + 1));
}

bool alive(Runtime& r, const Current& c) {
  const auto found = r.devices.find(c.device);
  return found != r.devices.end() && found->second.references > 0 &&
         found->second.generation == c.generation;
}

// Functions that release something do so all the same, and then say that they failed.
int injected(const char* function) {
  return fail(abi::ACL_ERROR_RT_INTERNAL_ERROR, std::string(function) + ": injected failure");
}

int no_context(const char* function) {
  problem(std::string(function) + " in a thread without a context");
  return fail(abi::ACL_ERROR_RT_CONTEXT_NULL, std::string(function) + ": " + kNoContext);
}

Event* event_of(void* handle) {
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  const auto found = r.events.find(static_cast<Event*>(handle));
  return found == r.events.end() ? nullptr : found->second.get();
}

int bad_handle(const char* function) {
  problem(std::string(function) + " of a handle that is none (any more)");
  return fail(abi::ACL_ERROR_RT_INVALID_HANDLE, std::string(function) + ": invalid handle");
}

void end_device(Runtime& r, int device) {
  for (auto at = r.streams.begin(); at != r.streams.end();) {
    const bool own = at->second->device() == device;
    if (own) problem("leak: a stream lives when its device is reset");
    at = own ? r.streams.erase(at) : std::next(at);
  }
  for (auto at = r.events.begin(); at != r.events.end();) {
    const bool own = at->second->device == device;
    if (own) problem("leak: an event lives when its device is reset");
    at = own ? r.events.erase(at) : std::next(at);
  }
  if (device_memory_in_use(device) > 0)
    problem("leak: " + std::to_string(device_memory_in_use(device)) +
            " bytes are allocated when their device is reset");
}

int new_event(const char* function, void** event, std::uint32_t flag, bool timing) {
  if (called(function)) return injected(function);
  const int device = current_device();
  if (device < 0) return no_context(function);
  if (event == nullptr || (!timing && flag == 0))
    return fail(abi::ACL_ERROR_RT_PARAM_INVALID,
                std::string(function) + ": no address, or no flag");
  auto made = std::make_unique<Event>(Event{flag, timing, device, nullptr});
  *event = made.get();
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  r.events[made.get()] = std::move(made);
  return 0;
}

// Checks a copy's two ends and the direction that is claimed; 0, or the error.
int check_copy(const char* function, const void* to, std::size_t to_bytes, const void* from,
               std::size_t bytes, abi::aclrtMemcpyKind kind) {
  const std::string name = function;
  if (to == nullptr || from == nullptr || bytes == 0 || to_bytes < bytes) {
    problem(name + " of nothing, or into too little room");
    return fail(abi::ACL_ERROR_RT_PARAM_INVALID, name + ": invalid size or address");
  }
  const bool to_device = region_of(to).place == Place::Device,
             from_device = region_of(from).place == Place::Device;
  const abi::aclrtMemcpyKind real =
      to_device ? (from_device ? abi::ACL_MEMCPY_DEVICE_TO_DEVICE : abi::ACL_MEMCPY_HOST_TO_DEVICE)
                : (from_device ? abi::ACL_MEMCPY_DEVICE_TO_HOST : abi::ACL_MEMCPY_HOST_TO_HOST);
  if (real == kind) return 0;
  problem(name + ": kind " + std::to_string(kind) + " for addresses of kind " +
          std::to_string(real));
  return fail(abi::ACL_ERROR_RT_PARAM_INVALID, name + ": kind does not fit the addresses");
}

}  // namespace

int current_device() {
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  return alive(r, current) ? current.device : -1;
}

Stream* stream_of(void* handle) {
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  const auto found = r.streams.find(static_cast<Stream*>(handle));
  return found == r.streams.end() ? nullptr : found->second.get();
}

int check_stream(const char* function, void* handle) {
  const int device = current_device();
  if (device < 0) return no_context(function);
  const Stream* const stream = stream_of(handle);
  if (stream == nullptr) return bad_handle(function);
  if (stream->device() == device) return 0;
  problem(std::string(function) + " on a stream of another context");
  return fail(abi::ACL_ERROR_RT_STREAM_CONTEXT,
              std::string(function) + ": the stream belongs to another context");
}

}  // namespace fake_cann

using namespace fake_cann;  // the functions below are C's

extern "C" {

int aclInit(const char*) {
  if (called("aclInit")) return injected("aclInit");
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  if (r.initialised) return fail(abi::ACL_ERROR_REPEAT_INITIALIZE, "aclInit: was called before");
  read_settings();
  r.soc = settings().soc;
  r.initialised = true;
  return 0;
}

int aclFinalize() {
  const bool fails = called("aclFinalize");
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  if (!r.initialised) return fail(abi::ACL_ERROR_REPEAT_FINALIZE, "aclFinalize: nothing to end");
  for (const auto& [device, state] : r.devices)
    if (state.references > 0)
      problem("aclFinalize while device " + std::to_string(device) + " is set");
  r.initialised = false;
  return fails ? injected("aclFinalize") : 0;
}

const char* aclGetRecentErrMsg() {
  return take_error_text();
}

const char* aclrtGetSocName() {
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  return r.initialised ? r.soc.c_str() : nullptr;
}

int aclrtGetVersion(std::int32_t* major, std::int32_t* minor, std::int32_t* patch) {
  *major = 1, *minor = 17, *patch = 0;
  return 0;
}

int aclrtGetDeviceCount(std::uint32_t* number) {
  {
    Runtime& r = runtime();
    const std::lock_guard lock(r.mutex);
    if (!r.initialised) read_settings();
  }
  if (called("aclrtGetDeviceCount")) return injected("aclrtGetDeviceCount");
  *number = static_cast<std::uint32_t>(settings().devices);
  return 0;
}

int aclrtSetDevice(std::int32_t device) {
  if (called("aclrtSetDevice")) return injected("aclrtSetDevice");
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  if (!r.initialised) {
    problem("aclrtSetDevice before aclInit");
    return fail(abi::ACL_ERROR_UNINITIALIZE, "aclrtSetDevice: call aclInit first");
  }
  if (device < 0 || device >= settings().devices)
    return fail(abi::ACL_ERROR_RT_INVALID_DEVICEID, "aclrtSetDevice: no such device");
  DeviceState& state = r.devices[device];
  if (state.references++ == 0) ++state.generation;
  current = {device, state.generation};
  return 0;
}

int aclrtResetDevice(std::int32_t device) {
  const bool fails = called("aclrtResetDevice");
  Runtime& r = runtime();
  std::unique_lock lock(r.mutex);
  DeviceState& state = r.devices[device];
  if (state.references == 0) {
    problem("aclrtResetDevice of a device that is not set");
    return fail(abi::ACL_ERROR_RT_INVALID_DEVICEID, "aclrtResetDevice: not set");
  }
  if (--state.references == 0) end_device(r, device);
  return fails ? injected("aclrtResetDevice") : 0;
}

int aclrtSetDeviceSatMode(annulus::cann::aclrtFloatOverflowMode mode) {
  if (called("aclrtSetDeviceSatMode")) return injected("aclrtSetDeviceSatMode");
  if (current_device() < 0) return no_context("aclrtSetDeviceSatMode");
  const bool newest = settings().soc.starts_with("Ascend950");
  if (newest && mode != abi::ACL_RT_OVERFLOW_MODE_INFNAN)
    return fail(abi::ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "aclrtSetDeviceSatMode: INFNAN only");
  return 0;
}

int aclrtGetCurrentContext(void** context) {
  if (called("aclrtGetCurrentContext")) return injected("aclrtGetCurrentContext");
  if (current_device() < 0)
    return fail(abi::ACL_ERROR_RT_CONTEXT_NULL,
                std::string("aclrtGetCurrentContext: ") + kNoContext);
  *context = handle_of(current.device, current.generation);
  return 0;
}

int aclrtSetCurrentContext(void* context) {
  if (called("aclrtSetCurrentContext")) return injected("aclrtSetCurrentContext");
  const auto bits = reinterpret_cast<std::uint64_t>(context);
  const Current wanted{static_cast<int>(bits & 0xffff) - 1, bits >> 16};
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  if (!alive(r, wanted)) return bad_handle("aclrtSetCurrentContext");
  current = wanted;
  return 0;
}

int aclrtCreateStream(void** stream) {
  if (called("aclrtCreateStream")) return injected("aclrtCreateStream");
  const int device = current_device();
  if (device < 0) return no_context("aclrtCreateStream");
  auto made = std::make_unique<Stream>(device);
  *stream = made.get();
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  r.streams[made.get()] = std::move(made);
  return 0;
}

int aclrtDestroyStream(void* handle) {
  const bool fails = called("aclrtDestroyStream");
  if (const int wrong = check_stream("aclrtDestroyStream", handle)) return wrong;
  std::unique_ptr<Stream> stream;
  {
    Runtime& r = runtime();
    const std::lock_guard lock(r.mutex);
    const auto found = r.streams.find(static_cast<Stream*>(handle));
    stream = std::move(found->second);
    r.streams.erase(found);
  }
  stream.reset();  // waits
  return fails ? injected("aclrtDestroyStream") : 0;
}

int aclrtSynchronizeStreamWithTimeout(void* handle, std::int32_t timeout_ms) {
  if (called("aclrtSynchronizeStreamWithTimeout"))
    return injected("aclrtSynchronizeStreamWithTimeout");
  if (const int wrong = check_stream("aclrtSynchronizeStreamWithTimeout", handle)) return wrong;
  const auto fault = stream_of(handle)->wait(
      timeout_ms < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(timeout_ms)));
  if (!fault)
    return fail(abi::ACL_ERROR_RT_WAIT_TIMEOUT, "aclrtSynchronizeStreamWithTimeout: timeout");
  return fault->code == 0 ? 0 : fail(fault->code, fault->text);
}

int aclrtSynchronizeStream(void* handle) {
  if (called("aclrtSynchronizeStream")) return injected("aclrtSynchronizeStream");
  if (const int wrong = check_stream("aclrtSynchronizeStream", handle)) return wrong;
  const auto fault = stream_of(handle)->wait(std::nullopt);
  return fault->code == 0 ? 0 : fail(fault->code, fault->text);
}

int aclrtCreateEvent(void** event) {
  return new_event("aclrtCreateEvent", event, 0, true);
}
int aclrtCreateEventWithFlag(void** event, std::uint32_t flag) {
  return new_event("aclrtCreateEventWithFlag", event, flag, false);
}
int aclrtCreateEventExWithFlag(void** event, std::uint32_t flag) {
  return new_event("aclrtCreateEventExWithFlag", event, flag, false);
}

int aclrtDestroyEvent(void* handle) {
  const bool fails = called("aclrtDestroyEvent");
  if (current_device() < 0) return no_context("aclrtDestroyEvent");
  if (event_of(handle) == nullptr) return bad_handle("aclrtDestroyEvent");
  Runtime& r = runtime();
  const std::lock_guard lock(r.mutex);
  r.events.erase(static_cast<Event*>(handle));
  return fails ? injected("aclrtDestroyEvent") : 0;
}

int aclrtRecordEvent(void* handle, void* stream) {
  if (called("aclrtRecordEvent")) return injected("aclrtRecordEvent");
  if (const int wrong = check_stream("aclrtRecordEvent", stream)) return wrong;
  Event* const event = event_of(handle);
  if (event == nullptr) return bad_handle("aclrtRecordEvent");
  const auto mark = std::make_shared<Mark>();
  event->mark = mark;
  stream_of(stream)->add([mark]() -> std::optional<Fault> {
    const std::lock_guard lock(mark->mutex);
    mark->done = true;
    mark->reached.notify_all();
    return std::nullopt;
  });
  return 0;
}

int aclrtStreamWaitEvent(void* stream, void* handle) {
  if (called("aclrtStreamWaitEvent")) return injected("aclrtStreamWaitEvent");
  if (const int wrong = check_stream("aclrtStreamWaitEvent", stream)) return wrong;
  Event* const event = event_of(handle);
  if (event == nullptr) return bad_handle("aclrtStreamWaitEvent");
  if (!event->timing && (event->flag & abi::ACL_EVENT_SYNC) == 0) {
    problem("aclrtStreamWaitEvent for an event made without ACL_EVENT_SYNC");
    return fail(abi::ACL_ERROR_RT_PARAM_INVALID, "aclrtStreamWaitEvent: event without SYNC");
  }
  stream_of(stream)->add([mark = event->mark]() -> std::optional<Fault> {
    if (mark == nullptr) return std::nullopt;  // never recorded: complete
    std::unique_lock lock(mark->mutex);
    mark->reached.wait(lock, [&] { return mark->done; });
    return std::nullopt;
  });
  return 0;
}

int aclrtSynchronizeEvent(void* handle) {
  if (called("aclrtSynchronizeEvent")) return injected("aclrtSynchronizeEvent");
  Event* const event = event_of(handle);
  if (event == nullptr) return bad_handle("aclrtSynchronizeEvent");
  const std::shared_ptr<Mark> mark = event->mark;
  if (mark == nullptr) return 0;
  std::unique_lock lock(mark->mutex);
  mark->reached.wait(lock, [&] { return mark->done; });
  return 0;
}

int aclrtMalloc(void** memory, std::size_t bytes, annulus::cann::aclrtMemMallocPolicy policy) {
  if (called("aclrtMalloc"))
    return fail(abi::ACL_ERROR_RT_MEMORY_ALLOCATION, "aclrtMalloc: injected failure");
  const int device = current_device();
  if (device < 0) return no_context("aclrtMalloc");
  if (memory == nullptr || bytes == 0 || policy < 0 || policy > abi::ACL_MEM_MALLOC_NORMAL_ONLY) {
    problem("aclrtMalloc of no bytes, or of an unknown policy");
    return fail(abi::ACL_ERROR_RT_PARAM_INVALID, "aclrtMalloc: invalid size or policy");
  }
  *memory = allocate_device(device, bytes);
  return *memory != nullptr
             ? 0
             : fail(abi::ACL_ERROR_RT_MEMORY_ALLOCATION, "aclrtMalloc: out of device memory");
}

int aclrtFree(void* memory) {
  const bool fails = called("aclrtFree");
  if (current_device() < 0) return no_context("aclrtFree");
  if (!free_device(memory)) return bad_handle("aclrtFree");
  return fails ? injected("aclrtFree") : 0;
}

int aclrtMallocHost(void** memory, std::size_t bytes) {
  if (called("aclrtMallocHost"))
    return fail(abi::ACL_ERROR_RT_MEMORY_ALLOCATION, "aclrtMallocHost: injected failure");
  if (current_device() < 0) return no_context("aclrtMallocHost");
  if (bytes == 0) return fail(abi::ACL_ERROR_RT_PARAM_INVALID, "aclrtMallocHost: no bytes");
  *memory = allocate_pinned(bytes);
  if (*memory == nullptr)
    return fail(abi::ACL_ERROR_RT_MEMORY_ALLOCATION, "aclrtMallocHost: out of memory");
  count("pinned block", 1);
  return 0;
}

int aclrtFreeHost(void* memory) {
  const bool fails = called("aclrtFreeHost");
  if (!free_pinned(memory)) return bad_handle("aclrtFreeHost");
  count("pinned block", -1);
  return fails ? injected("aclrtFreeHost") : 0;
}

int aclrtMemcpy(void* to, std::size_t to_bytes, const void* from, std::size_t bytes,
                annulus::cann::aclrtMemcpyKind kind) {
  if (called("aclrtMemcpy")) return injected("aclrtMemcpy");
  const int device = current_device();
  if (device < 0) return no_context("aclrtMemcpy");
  if (const int wrong = check_copy("aclrtMemcpy", to, to_bytes, from, bytes, kind)) return wrong;
  Pins pins;
  for (const void* end : {static_cast<const void*>(to), from}) {
    if (region_of(end).place == Place::Pageable) continue;
    if (const std::string wrong = pins.add(end, bytes, device); !wrong.empty()) {
      problem("aclrtMemcpy: " + wrong);
      return fail(abi::ACL_ERROR_RT_PARAM_INVALID, "aclrtMemcpy: " + wrong);
    }
  }
  std::memcpy(shadow_of(to), shadow_of(from), bytes);
  return 0;
}

int aclrtMemcpyAsync(void* to, std::size_t to_bytes, const void* from, std::size_t bytes,
                     annulus::cann::aclrtMemcpyKind kind, void* stream) {
  if (called("aclrtMemcpyAsync")) return injected("aclrtMemcpyAsync");
  if (const int wrong = check_stream("aclrtMemcpyAsync", stream)) return wrong;
  if (const int wrong = check_copy("aclrtMemcpyAsync", to, to_bytes, from, bytes, kind))
    return wrong;
  if (kind == abi::ACL_MEMCPY_HOST_TO_HOST)
    return fail(abi::ACL_ERROR_RT_FEATURE_NOT_SUPPORT, "aclrtMemcpyAsync: host to host");
  Pins pins;
  for (const void* end : {static_cast<const void*>(to), from})
    if (const std::string wrong = pins.add(end, bytes, current_device()); !wrong.empty()) {
      problem("aclrtMemcpyAsync: " + wrong);
      return fail(abi::ACL_ERROR_RT_PARAM_INVALID, "aclrtMemcpyAsync: " + wrong);
    }
  stream_of(stream)->add(
      [=]() -> std::optional<Fault> {
        std::memmove(shadow_of(to), shadow_of(from), bytes);
        return std::nullopt;
      },
      std::move(pins));
  return 0;
}

int aclrtMemsetAsync(void* memory, std::size_t memory_bytes, std::int32_t value, std::size_t bytes,
                     void* stream) {
  if (called("aclrtMemsetAsync")) return injected("aclrtMemsetAsync");
  if (const int wrong = check_stream("aclrtMemsetAsync", stream)) return wrong;
  Pins pins;
  std::string wrong = memory_bytes < bytes ? "more bytes than there is room"
                                           : pins.add(memory, bytes, current_device());
  if (!wrong.empty()) {
    problem("aclrtMemsetAsync: " + wrong);
    return fail(abi::ACL_ERROR_RT_PARAM_INVALID, "aclrtMemsetAsync: " + wrong);
  }
  stream_of(stream)->add(
      [=]() -> std::optional<Fault> {
        std::memset(shadow_of(memory), value, bytes);
        return std::nullopt;
      },
      std::move(pins));
  return 0;
}

int aclrtGetMemInfo(annulus::cann::aclrtMemAttr, std::size_t* free, std::size_t* total) {
  if (called("aclrtGetMemInfo")) return injected("aclrtGetMemInfo");
  const int device = current_device();
  if (device < 0) return no_context("aclrtGetMemInfo");
  *total = settings().memory;
  *free = *total - device_memory_in_use(device);
  return 0;
}

int fakeCannProblems(char* text, std::size_t bytes) {
  std::string all;
  int number = 0;
  for (const auto& list : {take_problems(), live_objects()})
    for (const std::string& line : list) {
      all += line + "\n";
      ++number;
    }
  if (text != nullptr && bytes > 0) {
    const std::size_t kept = std::min(all.size(), bytes - 1);
    std::memcpy(text, all.data(), kept);
    text[kept] = '\0';
  }
  return number;
}

std::uint64_t fakeCannCalls(const char* function) {
  return calls_of(function);
}

void fakeCannForgetCalls() {
  forget_calls();
}
}

// Each is what clients declare.
static_assert(std::is_same_v<decltype(::aclInit), annulus::cann::aclInit>);
static_assert(std::is_same_v<decltype(::aclFinalize), annulus::cann::aclFinalize>);
static_assert(std::is_same_v<decltype(::aclGetRecentErrMsg), annulus::cann::aclGetRecentErrMsg>);
static_assert(std::is_same_v<decltype(::aclrtGetSocName), annulus::cann::aclrtGetSocName>);
static_assert(std::is_same_v<decltype(::aclrtGetVersion), annulus::cann::aclrtGetVersion>);
static_assert(std::is_same_v<decltype(::aclrtGetDeviceCount), annulus::cann::aclrtGetDeviceCount>);
static_assert(std::is_same_v<decltype(::aclrtSetDevice), annulus::cann::aclrtSetDevice>);
static_assert(std::is_same_v<decltype(::aclrtResetDevice), annulus::cann::aclrtResetDevice>);
static_assert(
    std::is_same_v<decltype(::aclrtSetDeviceSatMode), annulus::cann::aclrtSetDeviceSatMode>);
static_assert(
    std::is_same_v<decltype(::aclrtGetCurrentContext), annulus::cann::aclrtGetCurrentContext>);
static_assert(
    std::is_same_v<decltype(::aclrtSetCurrentContext), annulus::cann::aclrtSetCurrentContext>);
static_assert(std::is_same_v<decltype(::aclrtCreateStream), annulus::cann::aclrtCreateStream>);
static_assert(std::is_same_v<decltype(::aclrtDestroyStream), annulus::cann::aclrtDestroyStream>);
static_assert(
    std::is_same_v<decltype(::aclrtSynchronizeStream), annulus::cann::aclrtSynchronizeStream>);
static_assert(std::is_same_v<decltype(::aclrtSynchronizeStreamWithTimeout),
                             annulus::cann::aclrtSynchronizeStreamWithTimeout>);
static_assert(std::is_same_v<decltype(::aclrtCreateEvent), annulus::cann::aclrtCreateEvent>);
static_assert(
    std::is_same_v<decltype(::aclrtCreateEventWithFlag), annulus::cann::aclrtCreateEventWithFlag>);
static_assert(std::is_same_v<decltype(::aclrtCreateEventExWithFlag),
                             annulus::cann::aclrtCreateEventExWithFlag>);
static_assert(std::is_same_v<decltype(::aclrtDestroyEvent), annulus::cann::aclrtDestroyEvent>);
static_assert(std::is_same_v<decltype(::aclrtRecordEvent), annulus::cann::aclrtRecordEvent>);
static_assert(
    std::is_same_v<decltype(::aclrtStreamWaitEvent), annulus::cann::aclrtStreamWaitEvent>);
static_assert(
    std::is_same_v<decltype(::aclrtSynchronizeEvent), annulus::cann::aclrtSynchronizeEvent>);
static_assert(std::is_same_v<decltype(::aclrtMalloc), annulus::cann::aclrtMalloc>);
static_assert(std::is_same_v<decltype(::aclrtFree), annulus::cann::aclrtFree>);
static_assert(std::is_same_v<decltype(::aclrtMallocHost), annulus::cann::aclrtMallocHost>);
static_assert(std::is_same_v<decltype(::aclrtFreeHost), annulus::cann::aclrtFreeHost>);
static_assert(std::is_same_v<decltype(::aclrtMemcpy), annulus::cann::aclrtMemcpy>);
static_assert(std::is_same_v<decltype(::aclrtMemcpyAsync), annulus::cann::aclrtMemcpyAsync>);
static_assert(std::is_same_v<decltype(::aclrtMemsetAsync), annulus::cann::aclrtMemsetAsync>);
static_assert(std::is_same_v<decltype(::aclrtGetMemInfo), annulus::cann::aclrtGetMemInfo>);
