#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "comm/fabric.h"

namespace annulus {

namespace {

using Clock = std::chrono::steady_clock;

// Ends the note that this rank waits, however the wait ends.
class Waiting {
 public:
  Waiting(Fabric& fabric, int peer) : fabric_(fabric) { fabric_.note_waiting(peer); }
  ~Waiting() { fabric_.note_waiting(-1); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  Fabric& fabric_;
};

// Whom everything hangs on: follows "a waits for b" from `peer` to a rank that waits for nobody.
// Back at this rank, or in a circle of others: they wait for each other.
struct Culprit {
  int rank;
  PeerState state;
  bool circle;
};

Culprit culprit_from(Fabric& fabric, int peer) {
  int rank = peer;
  for (int steps = 0;; ++steps) {
    fabric.ask(rank);
    PeerState state = fabric.state_of(rank);
    const int next = state.waits_for;
    if (next < 0 || state.left) return {rank, std::move(state), false};
    if (next == fabric.rank() || steps >= fabric.size()) return {rank, std::move(state), true};
    rank = next;
  }
}

class Watch {
 public:
  Watch(Fabric& fabric, int peer, std::string_view operation)
      : fabric_(fabric), peer_(peer), operation_(operation) {}

  // Throws when there is no hope left.
  void look() {
    if (const auto reason = fabric_.failure()) throw Error(ErrorCode::PeerFailure, *reason);
    const auto now = Clock::now();
    const auto pause = std::chrono::milliseconds(std::clamp(fabric_.deadline_ms() / 20, 1, 250));
    if (now - last_look_ < pause) return;
    // Time that this rank itself stood still (a job suspended and resumed) is nobody's silence.
    silence_ += std::min<Clock::duration>(now - last_look_, 4 * pause);
    last_look_ = now;
    const Culprit culprit = culprit_from(fabric_, peer_);
    if (culprit.rank != last_.rank || culprit.state.signs != last_.state.signs ||
        culprit.circle != last_.circle)
      silence_ = {};
    last_ = culprit;
    if (culprit.state.left) {
      if (culprit.rank == peer_ && ++looks_after_leaving_ < 4)
        return;  // its last message may still be on the way
      if (culprit.rank == peer_) give_up("found that it has left the run");
      return;
    }
    if (silence_ > std::chrono::milliseconds(fabric_.deadline_ms()))
      give_up(culprit.circle ? "found ranks that wait for each other" : "found no sign of life");
  }

 private:
  [[noreturn]] void give_up(std::string_view found) {
    const std::string place = last_.state.place.empty() ? "" : ", last at " + last_.state.place;
    const std::string text = text_of(
        "rank ", last_.rank, ": wanted an answer within ", fabric_.deadline_ms(), " ms, ", found,
        place, " (rank ", fabric_.rank(), " waiting for rank ", peer_, ", ", operation_, ")");
    fabric_.fail(text);
    throw Error(ErrorCode::PeerFailure, text);
  }

  Fabric& fabric_;
  int peer_;
  std::string_view operation_;
  Culprit last_{-1, {}, false};
  Clock::time_point last_look_ = Clock::now();
  Clock::duration silence_{};  // since the last sign of life
  int looks_after_leaving_ = 0;
};

}  // namespace

void await(Fabric& fabric, Message& message, int peer, std::string_view operation) {
  if (message.poll()) {
    fabric.note_alive();
    return;
  }
  const Waiting waiting(fabric, peer);
  Watch watch(fabric, peer, operation);
  for (int attempt = 0; !message.poll(); ++attempt) {
    watch.look();
    fabric.rest(attempt);
  }
  fabric.note_alive();
}

}  // namespace annulus
