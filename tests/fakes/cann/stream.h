// Streams of the emulator: a worker thread each, which runs tasks in order, late and with random
// pauses, so that a client which forgets to wait reads garbage.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "memory.h"

namespace fake_cann {

/// What a task says when it is done: an error code of the runtime with its text, or nothing.
struct Fault {
  int code;
  std::string text;
};

using Task = std::function<std::optional<Fault>()>;

class Stream {
 public:
  explicit Stream(int device);
  ~Stream();  // waits for the work
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  int device() const noexcept { return device_; }

  /// Runs `task` after all before it. After a fault nothing runs any more.
  void add(Task task, Pins pins = {});

  /// Waits for all work; nothing when it takes longer than that. Code 0: all went well.
  std::optional<Fault> wait(std::optional<std::chrono::milliseconds> most);

 private:
  struct Queue;
  static void work(Queue& queue);
  int device_;
  std::unique_ptr<Queue> queue_;
};

/// The live stream behind a handle, or null.
Stream* stream_of(void* handle);

/// The device of the calling thread's context; -1: it has none.
int current_device();

/// Whether work of `stream` may be issued by this thread: 0, or the error code, with its text set.
int check_stream(const char* function, void* stream);

}  // namespace fake_cann
