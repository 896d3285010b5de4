#include "platform/ascend/ascend_memory.h"

#include <algorithm>

#include "base/error.h"

namespace annulus::ascend {

DeviceContext::DeviceContext(std::shared_ptr<const Cann> cann, int index)
    : cann_(std::move(cann)), index_(index) {
  cann_->check(api().aclrtSetDevice(index_), "aclrtSetDevice");
  try {
    cann_->check(api().aclrtGetCurrentContext(&context_), "aclrtGetCurrentContext");
    // Infinities and NaN as IEEE has them: masks and the check for finite values rely on it.
    if (api().aclrtSetDeviceSatMode != nullptr && cann_->soc().family != SocFamily::Ascend310P &&
        cann_->soc().family != SocFamily::Other)
      cann_->check(api().aclrtSetDeviceSatMode(cann::ACL_RT_OVERFLOW_MODE_INFNAN),
                   "aclrtSetDeviceSatMode");
  } catch (...) {
    api().aclrtResetDevice(index_);
    throw;
  }
}

DeviceContext::~DeviceContext() {
  try_enter();
  api().aclrtResetDevice(index_);
}

void DeviceContext::enter() const {
  cann_->check(api().aclrtSetCurrentContext(context_), "aclrtSetCurrentContext");
}

bool DeviceContext::try_enter() const noexcept {
  return api().aclrtSetCurrentContext(context_) == cann::ACL_SUCCESS;
}

RecordedEvent::RecordedEvent(std::shared_ptr<const DeviceContext> context, cann::aclrtStream stream)
    : context_(std::move(context)) {
  const CannApi& api = context_->api();
  auto* const create = api.aclrtCreateEventExWithFlag != nullptr ? api.aclrtCreateEventExWithFlag
                                                                 : api.aclrtCreateEventWithFlag;
  context_->cann().check(create(&event_, cann::ACL_EVENT_SYNC), "aclrtCreateEventWithFlag");
  const int status = api.aclrtRecordEvent(event_, stream);
  if (status == cann::ACL_SUCCESS) return;
  api.aclrtDestroyEvent(event_);
  context_->cann().check(status, "aclrtRecordEvent");
}

RecordedEvent::~RecordedEvent() {
  context_->try_enter();
  context_->api().aclrtDestroyEvent(event_);
}

void RecordedEvent::make_wait(cann::aclrtStream stream) const {
  context_->cann().check(context_->api().aclrtStreamWaitEvent(stream, event_),
                         "aclrtStreamWaitEvent");
}

void RecordedEvent::synchronize() const {
  context_->cann().check(context_->api().aclrtSynchronizeEvent(event_), "aclrtSynchronizeEvent");
}

AscendMemory::AscendMemory(std::shared_ptr<const DeviceContext> context)
    : context_(std::move(context)) {}

AscendMemory::~AscendMemory() {
  release_cached();
}

std::size_t AscendMemory::rounded(std::size_t bytes) noexcept {
  constexpr std::size_t kSmall = 512, kLarge = std::size_t{1} << 20;
  const std::size_t step = bytes < kLarge ? kSmall : kLarge;
  return (std::max<std::size_t>(bytes, 1) + step - 1) / step * step;
}

std::byte* AscendMemory::take(std::size_t bytes) {
  return hand_out(bytes, true);
}

std::byte* AscendMemory::take_fresh(std::size_t bytes) {
  return hand_out(bytes, false);
}

std::byte* AscendMemory::hand_out(std::size_t bytes, bool cached) {
  constexpr std::size_t kMost = std::size_t{1} << 62;
  require(bytes < kMost, ErrorCode::OutOfMemory, "device memory: wanted ", bytes, " bytes");
  const std::size_t size = rounded(bytes);
  context_->enter();
  const std::lock_guard lock(mutex_);
  std::byte* data = cached ? reuse(size) : nullptr;
  if (data == nullptr) data = fresh(size);
  use_.in_use += handed_out_[data];
  use_.peak = std::max(use_.peak, use_.in_use);
  return data;
}

// The smallest block that is not much too large.
std::byte* AscendMemory::reuse(std::size_t bytes) {
  const auto found = cached_.lower_bound(bytes);
  if (found == cached_.end() || found->first > bytes + bytes / 4) return nullptr;
  for (const auto& event : found->second.after)
    for (const cann::aclrtStream stream : streams_) event->make_wait(stream);
  std::byte* const data = found->second.data;
  handed_out_[data] = found->first;
  use_.cached -= found->first;
  cached_.erase(found);
  return data;
}

std::byte* AscendMemory::fresh(std::size_t bytes) {
  const CannApi& api = context_->api();
  void* data = nullptr;
  int status = api.aclrtMalloc(&data, bytes, cann::ACL_MEM_MALLOC_HUGE_FIRST);
  if (status != cann::ACL_SUCCESS && !cached_.empty()) {
    release_cached();
    status = api.aclrtMalloc(&data, bytes, cann::ACL_MEM_MALLOC_HUGE_FIRST);
  }
  if (status == cann::ACL_ERROR_RT_MEMORY_ALLOCATION || status == cann::ACL_ERROR_RT_DEVICE_OOM)
    throw Error(ErrorCode::OutOfMemory,
                text_of("device memory: wanted ", bytes, " bytes, found too little free (ascend:",
                        context_->index(), ", ", use_.in_use, " bytes in use)"));
  context_->cann().check(status, "aclrtMalloc");
  handed_out_[static_cast<std::byte*>(data)] = bytes;
  return static_cast<std::byte*>(data);
}

void AscendMemory::give(std::byte* data) noexcept {
  const std::lock_guard lock(mutex_);
  const auto found = handed_out_.find(data);
  const std::size_t bytes = found->second;
  handed_out_.erase(found);
  use_.in_use -= bytes;
  try {
    Block block{data, {}};
    if (streams_.size() > 1) {
      context_->enter();
      for (const cann::aclrtStream stream : streams_)
        block.after.push_back(std::make_shared<RecordedEvent>(context_, stream));
    }
    cached_.emplace(bytes, std::move(block));
    use_.cached += bytes;
  } catch (...) {  // of unknown state: never handed out again, freed once nothing runs
    context_->try_enter();
    for (const cann::aclrtStream stream : streams_) context_->api().aclrtSynchronizeStream(stream);
    context_->api().aclrtFree(data);
  }
}

// Queued work may still use what is cached: it is waited for.
void AscendMemory::release_cached() noexcept {
  context_->try_enter();
  for (const cann::aclrtStream stream : streams_) context_->api().aclrtSynchronizeStream(stream);
  for (const auto& [bytes, block] : cached_) {
    context_->api().aclrtFree(block.data);
    use_.cached -= bytes;
  }
  cached_.clear();
}

MemoryUse AscendMemory::use() const noexcept {
  const std::lock_guard lock(mutex_);
  return use_;
}

// What was given back so far is ordered after the streams there were; the new one may run ahead.
void AscendMemory::add_stream(cann::aclrtStream stream) {
  const std::lock_guard lock(mutex_);
  for (const cann::aclrtStream other : streams_) {
    const RecordedEvent event(context_, other);
    event.make_wait(stream);
  }
  streams_.push_back(stream);
}

void AscendMemory::remove_stream(cann::aclrtStream stream) noexcept {
  const std::lock_guard lock(mutex_);
  std::erase(streams_, stream);
}

}  // namespace annulus::ascend
