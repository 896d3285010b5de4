#include "stream.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <thread>

#include "core.h"

namespace fake_cann {

struct Stream::Queue {
  struct Item {
    Task task;
    std::unique_ptr<Pins> pins;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Item> items;
  bool busy = false, stop = false;
  Fault fault{0, {}};
  std::minstd_rand random;
  int delay_us = 0;
  std::thread worker;
};

Stream::Stream(int device) : device_(device), queue_(std::make_unique<Queue>()) {
  const Settings now = settings();
  queue_->delay_us = now.delay_us;
  queue_->random.seed(static_cast<unsigned>(now.seed + reinterpret_cast<std::uintptr_t>(this)));
  queue_->worker = std::thread([this] { work(*queue_); });
}

Stream::~Stream() {
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->stop = true;
  }
  queue_->changed.notify_all();
  queue_->worker.join();
}

void Stream::work(Queue& queue) {
  std::unique_lock lock(queue.mutex);
  while (true) {
    queue.changed.wait(lock, [&] { return queue.stop || !queue.items.empty(); });
    if (queue.items.empty()) return;
    Queue::Item item = std::move(queue.items.front());
    queue.items.pop_front();
    queue.busy = true;
    const bool failed = queue.fault.code != 0;
    const auto pause =
        queue.delay_us > 0 ? queue.random() % static_cast<unsigned>(queue.delay_us + 1) : 0u;
    lock.unlock();
    if (pause > 0) std::this_thread::sleep_for(std::chrono::microseconds(pause));
    std::optional<Fault> fault;
    if (!failed) fault = item.task();
    item = {};
    lock.lock();
    if (fault) queue.fault = *fault;
    queue.busy = false;
    queue.changed.notify_all();
  }
}

void Stream::add(Task task, Pins pins) {
  {
    const std::lock_guard lock(queue_->mutex);
    queue_->items.push_back({std::move(task), std::make_unique<Pins>(std::move(pins))});
  }
  queue_->changed.notify_all();
}

std::optional<Fault> Stream::wait(std::optional<std::chrono::milliseconds> most) {
  std::unique_lock lock(queue_->mutex);
  const auto idle = [this] { return queue_->items.empty() && !queue_->busy; };
  if (!most)
    queue_->changed.wait(lock, idle);
  else if (!queue_->changed.wait_for(lock, *most, idle))
    return std::nullopt;
  return queue_->fault;
}

}  // namespace fake_cann
