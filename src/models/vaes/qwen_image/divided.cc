#include "models/vaes/qwen_image/divided.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>

#include "base/error.h"

namespace annulus::qwen_image {

namespace {

using Extents = std::array<std::int64_t, 5>;

std::vector<std::byte> to_bytes(const HostTensor& x) {
  if (x.values.empty()) return {};
  Extents extents{};
  for (int axis = 0; axis < 5; ++axis) extents[static_cast<std::size_t>(axis)] = x.shape[axis];
  const auto values = std::as_bytes(std::span(x.values));
  std::vector<std::byte> bytes(sizeof extents + values.size());
  std::memcpy(bytes.data(), extents.data(), sizeof extents);
  std::memcpy(bytes.data() + sizeof extents, values.data(), values.size());
  return bytes;
}

HostTensor from_bytes(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  Extents extents{};
  require(bytes.size() >= sizeof extents, ErrorCode::PeerFailure,
          "decode: wanted a rank's pixels, found ", bytes.size(), " bytes");
  std::memcpy(extents.data(), bytes.data(), sizeof extents);
  HostTensor x = {Shape(std::span<const std::int64_t>(extents)), {}};
  const std::span<const std::byte> values = bytes.subspan(sizeof extents);
  require(values.size() == static_cast<std::size_t>(x.shape.elements()) * sizeof(float),
          ErrorCode::PeerFailure, "decode: wanted ", x.shape, " of a rank, found ", values.size(),
          " bytes");
  x.values.resize(static_cast<std::size_t>(x.shape.elements()));
  std::memcpy(x.values.data(), values.data(), values.size());
  return x;
}

/// Each rank's, in rank order.
std::vector<HostTensor> collected(Communicator& ranks, const HostTensor& mine, Where where) {
  const std::vector<std::vector<std::byte>> all = ranks.all_gather(to_bytes(mine));
  std::vector<HostTensor> parts;
  if (ranks.rank() == 0 || where == Where::Everywhere)
    for (const std::vector<std::byte>& bytes : all) parts.push_back(from_bytes(bytes));
  return parts;
}

}  // namespace

HostTensor stacked(Communicator& ranks, const HostTensor& part, Where where) {
  std::vector<HostTensor> parts = collected(ranks, part, where);
  if (parts.empty()) return {};
  std::erase_if(parts, [](const HostTensor& one) { return one.values.empty(); });
  std::int64_t rows = 0;
  for (const HostTensor& one : parts) rows += one.shape[2];
  HostTensor whole = {parts.front().shape.with(2, rows), {}};
  whole.values.resize(static_cast<std::size_t>(whole.shape.elements()));
  float* to = whole.values.data();
  for (std::int64_t frame = 0; frame < whole.shape[0] * whole.shape[1]; ++frame)
    for (const HostTensor& one : parts) {
      const std::int64_t count = one.shape[2] * one.shape[3] * one.shape[4];
      to = std::copy_n(one.values.data() + frame * count, count, to);
    }
  return whole;
}

HostTensor in_divided_tiles(
    Communicator& ranks, const TilePlan& plan, std::int64_t height, std::int64_t width,
    const std::function<void(int done)>& turn,
    const std::function<HostTensor(std::int64_t top, std::int64_t left, std::int64_t height,
                                   std::int64_t width)>& make) {
  struct Place {
    std::int64_t top, left;
  };
  std::vector<Place> places;  // in the order of in_tiles
  for (std::int64_t top = 0; top < height; top += plan.stride_height)
    for (std::int64_t left = 0; left < width; left += plan.stride_width)
      places.push_back({top, left});
  const auto size = static_cast<std::size_t>(ranks.size()),
             me = static_cast<std::size_t>(ranks.rank());
  std::deque<HostTensor> made;
  for (std::size_t first = 0; first < places.size(); first += size) {
    turn(static_cast<int>(first));
    HostTensor mine;
    if (first + me < places.size()) {
      const Place& at = places[first + me];
      mine = make(at.top, at.left, std::min(plan.tile_height, height - at.top),
                  std::min(plan.tile_width, width - at.left));
    }
    for (HostTensor& tile : collected(ranks, mine, Where::First)) made.push_back(std::move(tile));
  }
  if (ranks.rank() != 0) return {};
  return in_tiles(plan, height, width, [&](std::int64_t, std::int64_t, std::int64_t, std::int64_t) {
    HostTensor tile = std::move(made.front());
    made.pop_front();
    return tile;
  });
}

}  // namespace annulus::qwen_image
