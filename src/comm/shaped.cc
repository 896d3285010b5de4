#include "comm/shaped.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "comm/group.h"

namespace annulus {

namespace {

// Travels before the bytes.
constexpr std::size_t kHeader = sizeof(double);  // when the message is there

using Frame = std::vector<std::byte>;

class ShapedSend final : public Message {
 public:
  ShapedSend(std::unique_ptr<Message> inner, LinkClock& clock, double gone)
      : inner_(std::move(inner)), clock_(clock), gone_(gone) {}
  bool poll() override { return inner_->poll() && clock_.reached(gone_); }

 private:
  std::unique_ptr<Message> inner_;
  LinkClock& clock_;
  double gone_;
};

class ShapedReceive final : public Message {
 public:
  ShapedReceive(std::unique_ptr<Message> inner, LinkClock& clock,
                std::shared_ptr<const Frame> frame, std::span<std::byte> to,
                std::shared_ptr<const void> keep)
      : inner_(std::move(inner)),
        clock_(clock),
        frame_(std::move(frame)),
        to_(to),
        keep_(std::move(keep)) {}

  bool poll() override {
    if (done_) return true;
    if (!inner_->poll()) return false;
    double due = 0;
    std::memcpy(&due, frame_->data(), kHeader);
    if (!clock_.reached(due)) return false;
    if (!to_.empty()) std::memcpy(to_.data(), frame_->data() + kHeader, to_.size());
    return done_ = true;
  }

 private:
  std::unique_ptr<Message> inner_;
  LinkClock& clock_;
  std::shared_ptr<const Frame> frame_;
  std::span<std::byte> to_;
  std::shared_ptr<const void> keep_;
  bool done_ = false;
};

class ShapedFabric final : public Fabric {
 public:
  ShapedFabric(std::shared_ptr<Fabric> inner, const LinkShape& shape,
               std::shared_ptr<LinkClock> clock)
      : inner_(std::move(inner)), shape_(shape), clock_(std::move(clock)) {
    require(shape.bytes_per_second > 0 && shape.latency_seconds >= 0, ErrorCode::InvalidRequest,
            "link: wanted a positive bandwidth and a latency of at least 0, found ",
            shape.bytes_per_second, " and ", shape.latency_seconds);
  }

  std::string_view name() const noexcept override { return inner_->name(); }
  int rank() const noexcept override { return inner_->rank(); }
  int size() const noexcept override { return inner_->size(); }
  int deadline_ms() const noexcept override { return inner_->deadline_ms(); }
  int host_of(int rank) const noexcept override { return inner_->host_of(rank); }

  std::unique_ptr<Message> send(int to, int context, std::span<const std::byte> bytes,
                                std::shared_ptr<const void> keep) override {
    if (is_near(to)) return inner_->send(to, context, bytes, std::move(keep));
    way_free_ = std::max(clock_->now(), way_free_) +
                static_cast<double>(bytes.size()) / shape_.bytes_per_second;
    const double due = way_free_ + shape_.latency_seconds;
    const auto frame = std::make_shared<Frame>(kHeader + bytes.size());
    std::memcpy(frame->data(), &due, kHeader);
    if (!bytes.empty()) std::memcpy(frame->data() + kHeader, bytes.data(), bytes.size());
    return std::make_unique<ShapedSend>(inner_->send(to, context, *frame, frame), *clock_,
                                        way_free_);
  }

  std::unique_ptr<Message> receive(int from, int context, std::span<std::byte> bytes,
                                   std::shared_ptr<const void> keep) override {
    if (is_near(from)) return inner_->receive(from, context, bytes, std::move(keep));
    const auto frame = std::make_shared<Frame>(kHeader + bytes.size());
    return std::make_unique<ShapedReceive>(inner_->receive(from, context, *frame, frame), *clock_,
                                           frame, bytes, std::move(keep));
  }

  std::unique_ptr<Window> make_window(std::size_t bytes) override {
    return inner_->make_window(bytes);
  }
  std::shared_ptr<const std::byte> map_window(int peer, const WindowName& name,
                                              std::size_t bytes) override {
    return inner_->map_window(peer, name, bytes);
  }
  void ask(int peer) override { inner_->ask(peer); }
  PeerState state_of(int peer) override { return inner_->state_of(peer); }
  void note_alive() noexcept override { inner_->note_alive(); }
  void note_waiting(int peer) noexcept override { inner_->note_waiting(peer); }
  void note_place(std::string_view place) override { inner_->note_place(place); }
  void rest(int attempt) override { inner_->rest(attempt); }
  void fail(std::string_view reason) noexcept override { inner_->fail(reason); }
  std::optional<std::string> failure() override { return inner_->failure(); }
  int next_context() const noexcept override { return inner_->next_context(); }
  void use_contexts_below(int context) override { inner_->use_contexts_below(context); }

 private:
  bool is_near(int peer) const noexcept { return host_of(peer) == host_of(rank()); }

  std::shared_ptr<Fabric> inner_;
  LinkShape shape_;
  std::shared_ptr<LinkClock> clock_;
  double way_free_ = 0;
};

std::unique_ptr<Communicator> shaped(std::shared_ptr<Fabric> inner, const LinkShape& shape,
                                     std::shared_ptr<LinkClock> clock) {
  std::vector<int> everyone(static_cast<std::size_t>(inner->size()));
  std::iota(everyone.begin(), everyone.end(), 0);
  return std::make_unique<Group>(
      std::make_shared<ShapedFabric>(std::move(inner), shape, std::move(clock)),
      std::move(everyone), 0);
}

}  // namespace

std::vector<std::unique_ptr<Communicator>> make_shaped_local_ranks(
    const LinkShape& shape, std::span<const std::shared_ptr<LinkClock>> clocks,
    const CommOptions& options, std::span<const int> hosts) {
  std::vector<std::unique_ptr<Communicator>> made;
  for (auto& fabric : make_local_fabrics(static_cast<int>(clocks.size()), options, hosts))
    made.push_back(shaped(std::move(fabric), shape, clocks[made.size()]));
  return made;
}

std::unique_ptr<Communicator> make_shaped_mpi(const LinkShape& shape,
                                              std::shared_ptr<LinkClock> clock,
                                              const CommOptions& options) {
  return shaped(make_mpi_fabric(options), shape, std::move(clock));
}

}  // namespace annulus
