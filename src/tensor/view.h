#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace annulus {

/// Typed strided window on host memory: what kernels take. Owns nothing, checks nothing.
template <class T, int Rank>
struct View {
  T* data = nullptr;
  std::array<std::int64_t, Rank> extent{};
  std::array<std::int64_t, Rank> stride{};  // elements

  template <class... Index>
  requires(sizeof...(Index) == Rank) T& operator()(Index... index) const noexcept {
    std::int64_t at = 0;
    std::size_t axis = 0;
    ((at += static_cast<std::int64_t>(index) * stride[axis++]), ...);
    return data[at];
  }

  T* row(std::int64_t i) const noexcept requires(Rank == 2) { return data + i * stride[0]; }

  // NOLINTNEXTLINE(google-explicit-constructor): as a pointer converts
  operator View<const T, Rank>() const noexcept requires(!std::is_const_v<T>) {
    return {data, extent, stride};
  }
};

}  // namespace annulus
