#include "models/wan/key_cache.h"

#include <algorithm>

#include "tensor/copy.h"

namespace annulus::wan {

KeyCache::KeyCache(const Context& ctx, const Shape& frame, DType dtype, std::int64_t frame_rows,
                   const CacheWindow& window, std::int64_t total_frames)
    : rows_(frame[1]),
      frame_rows_(frame_rows),
      sink_(window.window > 0 ? window.sink : 0),
      slots_(window.window > 0 ? std::min(window.window, total_frames) : total_frames) {
  require(window.window >= 0 && window.sink >= 0 &&
              (window.window == 0 || window.sink < window.window) && total_frames >= 1,
          ErrorCode::InvalidRequest, "window: wanted more frames than the sink has, ", window.sink,
          ", found ", window.window);
  const Shape all = frame.with(1, slots_ * rows_);
  k_ = Tensor::empty(all, dtype, ctx.device);
  v_ = Tensor::empty(all, dtype, ctx.device);
}

std::int64_t KeyCache::slot_of(std::int64_t frame) const noexcept {
  return frame < slots_ ? frame : sink_ + (frame - sink_) % (slots_ - sink_);
}

void KeyCache::at(std::int64_t first, std::int64_t count) {
  require(count >= 1 && (first == end_ || first + count == end_), ErrorCode::InvalidRequest,
          "cache: wanted the frames after ", end_, " or the last ones again, found ", count,
          " from ", first);
  const std::int64_t taking_turns = count - std::clamp<std::int64_t>(sink_ - first, 0, count);
  require(taking_turns <= slots_ - sink_, ErrorCode::InvalidRequest, "window: wanted room for the ",
          taking_turns, " frames that are made together beside the sink's ", sink_, ", found ",
          slots_);
  first_ = first;
  count_ = count;
  end_ = std::max(end_, first + count);
  shown_.resize(static_cast<std::size_t>(std::min(end_, slots_)));
  for (std::int64_t frame = first; frame < first + count; ++frame)
    shown_[static_cast<std::size_t>(slot_of(frame))] = frame;
}

void KeyCache::put(const Context& ctx, const Tensor& k, const Tensor& v) {
  const auto store = [&](const Tensor& from, Tensor& to) {
    for (std::int64_t i = 0; i < count_; ++i) {
      const std::int64_t at = slot_of(first_ + i) * rows_;
      Tensor place = to.slice(1, at, at + rows_);
      if (rows_ > 0) copy(ctx.stream, from.slice(1, i * rows_, (i + 1) * rows_), place);
    }
  };
  store(k, k_);
  store(v, v_);
}

Tensor KeyCache::keys() const {
  return k_.slice(1, 0, static_cast<std::int64_t>(shown_.size()) * rows_);
}

Tensor KeyCache::values() const {
  return v_.slice(1, 0, static_cast<std::int64_t>(shown_.size()) * rows_);
}

Sequence KeyCache::sequence() const {
  Sequence sequence;
  for (std::size_t i = 0; i < shown_.size(); ++i)
    sequence.segments.push_back({.rows = frame_rows_});
  return sequence;
}

}  // namespace annulus::wan
