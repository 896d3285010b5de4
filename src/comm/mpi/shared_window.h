#pragma once

#include <list>
#include <map>

#include "comm/fabric.h"

namespace annulus {

/// Memory without a file name, which vanishes with its last user whatever happens to them, and that
/// /dev/shm's limit (64 MB in many containers) does not bound. Peers of the same user open it below
/// /proc.
std::unique_ptr<Window> make_shared_window(std::size_t bytes, std::uint64_t serial);

/// Windows of peers, mapped for reading. Keeps the few last ones of each, as they come again.
class SharedWindows {
 public:
  /// Throws PeerFailure when the window is gone, Unsupported when this system forbids it.
  std::shared_ptr<const std::byte> map(int peer, const WindowName& name, std::size_t bytes);

 private:
  struct Mapped {
    WindowName name;
    std::shared_ptr<const std::byte> data;
  };
  std::map<int, std::list<Mapped>> mapped_;  // most recently used first
};

/// The same for all processes that can read each other's windows: the running kernel and its
/// process numbers.
std::string host_identity();

}  // namespace annulus
