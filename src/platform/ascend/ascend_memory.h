#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "platform/ascend/cann.h"
#include "tensor/device.h"

namespace annulus::ascend {

/// A device's context: what every call of a thread needs first. The last reference resets the
/// device.
class DeviceContext {
 public:
  DeviceContext(std::shared_ptr<const Cann> cann, int index);
  ~DeviceContext();
  DeviceContext(const DeviceContext&) = delete;
  DeviceContext& operator=(const DeviceContext&) = delete;

  const Cann& cann() const noexcept { return *cann_; }
  const CannApi& api() const noexcept { return cann_->api(); }
  int index() const noexcept { return index_; }

  /// Makes this device the calling thread's.
  void enter() const;
  bool try_enter() const noexcept;  // for releases, which go on whatever it says

 private:
  std::shared_ptr<const Cann> cann_;
  int index_;
  cann::aclrtContext context_ = nullptr;
};

/// A recorded point of a stream.
class RecordedEvent {
 public:
  RecordedEvent(std::shared_ptr<const DeviceContext> context, cann::aclrtStream stream);
  ~RecordedEvent();
  RecordedEvent(const RecordedEvent&) = delete;
  RecordedEvent& operator=(const RecordedEvent&) = delete;

  void make_wait(cann::aclrtStream stream) const;
  void synchronize() const;

 private:
  std::shared_ptr<const DeviceContext> context_;
  cann::aclrtEvent event_ = nullptr;
};

/// Device memory kept for reuse. aclrtFree and a reuse at once would overtake queued work, so a
/// block given back is handed out again in the order of streams: at once while there is one stream,
/// else after every stream has been told to wait for what all others had queued. Safe from several
/// threads.
class AscendMemory {
 public:
  explicit AscendMemory(std::shared_ptr<const DeviceContext> context);
  ~AscendMemory();  // after all streams
  AscendMemory(const AscendMemory&) = delete;
  AscendMemory& operator=(const AscendMemory&) = delete;

  /// Throws OutOfMemory naming the size.
  std::byte* take(std::size_t bytes);
  /// Memory that no queued work can know: for what is written from outside of streams.
  std::byte* take_fresh(std::size_t bytes);
  void give(std::byte* data) noexcept;
  MemoryUse use() const noexcept;
  static std::size_t rounded(std::size_t bytes) noexcept;

  void add_stream(cann::aclrtStream stream);
  void remove_stream(cann::aclrtStream stream) noexcept;  // its work is done

 private:
  struct Block {
    std::byte* data;
    std::vector<std::shared_ptr<RecordedEvent>> after;
  };

  std::byte* hand_out(std::size_t bytes, bool cached);
  std::byte* reuse(std::size_t bytes);
  std::byte* fresh(std::size_t bytes);
  void release_cached() noexcept;

  std::shared_ptr<const DeviceContext> context_;
  mutable std::mutex mutex_;
  std::map<std::byte*, std::size_t> handed_out_;
  std::multimap<std::size_t, Block> cached_;  // by size
  std::vector<cann::aclrtStream> streams_;
  MemoryUse use_;
};

}  // namespace annulus::ascend
