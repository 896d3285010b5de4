// What ranks tell each other as bytes. They run the same build (see agreement.h), so the form is
// the machine's own; sizes are checked all the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "pipeline/request.h"

namespace annulus {

class Writer {
 public:
  template <class T>
  requires std::is_trivially_copyable_v<T>
  void put(const T& value) { put_bytes(std::as_bytes(std::span(&value, 1))); }
  void put(const std::string& text);
  void put_bytes(std::span<const std::byte> bytes);
  const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  /// `what` is named in errors.
  Reader(std::span<const std::byte> bytes, std::string_view what) : rest_(bytes), what_(what) {}

  /// Throws PeerFailure when there is less left than is asked for.
  template <class T>
  requires std::is_trivially_copyable_v<T> T get() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string text();
  std::size_t count();  // of elements that follow, each at least a byte
  std::span<const std::byte> take(std::size_t bytes);

 private:
  std::span<const std::byte> rest_;
  std::string_view what_;
};

/// A completed request. Its latents must lie in memory that the host can read.
std::vector<std::byte> packed(const Request& request);

/// Latents are placed on `device`. Throws PeerFailure.
Request unpacked_request(std::span<const std::byte> bytes, Device& device);

}  // namespace annulus
