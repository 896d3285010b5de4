#pragma once

#include <cstdint>
#include <vector>

#include "nn/context.h"
#include "parallel/sequence.h"

namespace annulus::wan {

/// Which frames a causal video's block of frames sees: the first `sink` and the newest of the rest,
/// `window` together, its own included.
struct CacheWindow {
  std::int64_t window = 0;  // frames; 0: all
  std::int64_t sink = 0;    // frames
  bool operator==(const CacheWindow&) const = default;
};

/// Keys (already turned to their place in the video) and values of one block's past frames, in
/// memory that is allotted once. A frame has a slot: those of the sink keep theirs, the others take
/// turns, so that nothing ever moves. Where ranks share a sequence, each holds its rows of every
/// frame.
class KeyCache {
 public:
  /// Shape of one frame's rows on this rank: [batch, rows, heads, head_dim].
  ///
  ///   frame_rows    over all ranks
  ///   total_frames  of the whole video: no more slots are made than that
  ///
  /// Throws InvalidRequest when the window has no room beside the sink.
  KeyCache(const Context& ctx, const Shape& frame, DType dtype, std::int64_t frame_rows,
           const CacheWindow& window, std::int64_t total_frames);

  /// The frames of the next put(): [first, first + count), either new ones or the last ones anew:
  /// then nothing advances. Throws InvalidRequest for others, or for more frames than slots.
  void at(std::int64_t first, std::int64_t count);

  /// Rows of those frames: [batch, count * rows, heads, head_dim].
  void put(const Context& ctx, const Tensor& k, const Tensor& v);

  Tensor keys() const;    // [batch, rows of the frames that are shown, heads, head_dim]
  Tensor values() const;  // likewise
  /// Of keys() over all ranks: a segment per frame.
  Sequence sequence() const;

  /// The frames that are shown, by slot.
  const std::vector<std::int64_t>& frames() const noexcept { return shown_; }
  std::size_t bytes() const noexcept { return k_.bytes() + v_.bytes(); }

 private:
  std::int64_t slot_of(std::int64_t frame) const noexcept;

  Tensor k_, v_;  // [batch, slots * rows, heads, head_dim]
  std::int64_t rows_, frame_rows_, sink_, slots_;
  std::int64_t first_ = 0, count_ = 0, end_ = 0;  // frames of put(); one after the newest so far
  std::vector<std::int64_t> shown_;
};

}  // namespace annulus::wan
