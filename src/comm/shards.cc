// Shards of a group: read in place where the owner is on this host, handed from rank to rank
// elsewhere.
#include <cstring>

#include "base/error.h"
#include "comm/group.h"

namespace annulus {

namespace {

// A tensor over memory that `owner` keeps alive.
Tensor tensor_over(Device& device, std::shared_ptr<const void> owner, const std::byte* data,
                   std::size_t bytes, bool writable) {
  auto buffer = std::make_shared<Buffer>(
      Buffer{const_cast<std::byte*>(data), bytes, &device, writable, std::move(owner)});
  return Tensor::over(std::move(buffer), 0, {static_cast<std::int64_t>(bytes)}, DType::U8);
}

Tensor first(const Tensor& memory, std::size_t bytes) {
  return memory.slice(0, 0, static_cast<std::int64_t>(bytes));
}

}  // namespace

class Transferring final : public Transfer {
 public:
  Transferring(std::shared_ptr<Fabric> fabric, std::unique_ptr<Message> sent, int to,
               std::unique_ptr<Message> got, int from)
      : fabric_(std::move(fabric)),
        sent_(std::move(sent)),
        got_(std::move(got)),
        to_(to),
        from_(from) {}

  void wait() override {
    if (got_) await(*fabric_, *got_, from_, "exchange");
    if (sent_) await(*fabric_, *sent_, to_, "exchange");
    got_.reset(), sent_.reset();
  }

 private:
  std::shared_ptr<Fabric> fabric_;
  std::unique_ptr<Message> sent_, got_;
  int to_, from_;  // world ranks
};

/// One epoch. Hop h's bytes lie in the owner's window (same host), else in one of two buffers: the
/// place where the own shard was, and one more.
class Epoch final : public Published {
 public:
  Epoch(Group& group, Stream& stream, const ShardPlace& place, std::vector<std::size_t> bytes)
      : group_(group), device_(stream.device()), bytes_(std::move(bytes)) {
    const int size = group_.size(), me = group_.rank_;
    own_ = place.memory;
    names_.resize(bytes_.size());
    for (int other = 0; other < size; ++other) {
      if (other == me || !group_.same_host(me, other)) continue;
      const auto at = static_cast<std::size_t>(other);
      if (bytes_[at] > 0) {
        names_[at].message = group_.receive(
            other, Group::Channel::ShardName,
            std::as_writable_bytes(std::span(names_[at].name->words)), names_[at].name);
      }
      if (bytes_[static_cast<std::size_t>(me)] > 0) {
        const WindowName mine = place.window->name();
        const auto raw = std::as_bytes(std::span(mine.words));
        group_.send_and_forget(other, Group::Channel::ShardName, {raw.begin(), raw.end()});
      }
    }
  }

  ~Epoch() override { release(); }

  Tensor shard(int hop) override {
    require(hop == hop_ + 1 && hop < group_.size(), ErrorCode::InvalidRequest,
            "shards: wanted hop ", hop_ + 1, " of ", group_.size(), ", found ", hop);
    const std::string operation = text_of("ring hop ", hop);
    group_.fabric_->mark_hop(hop);
    const int me = group_.rank_, next = (me + 1) % group_.size(),
              previous = (me - 1 + group_.size()) % group_.size();
    if (sent_) group_.await(*sent_, next, operation);
    if (got_) group_.await(*got_, previous, operation);
    sent_.reset(), got_.reset();
    release();
    hop_ = hop;

    const int owner = owner_of(hop);
    const std::size_t bytes = bytes_[static_cast<std::size_t>(owner)];
    if (hop == 0)
      current_ = first(own_, bytes);
    else if (bytes == 0)
      current_ = first(own_, 0);
    else if (group_.same_host(me, owner))
      current_ = in_place(owner, bytes, operation);
    else
      current_ = first(buffer(hop), bytes);

    if (hop + 1 < group_.size()) {
      if (bytes > 0 && !group_.same_host(owner, next))
        sent_ =
            group_.send(next, Group::Channel::Data, {current_.address(), bytes}, current_.buffer());
      const int coming = owner_of(hop + 1);
      const std::size_t size = bytes_[static_cast<std::size_t>(coming)];
      if (size > 0 && !group_.same_host(me, coming)) {
        Tensor& to = buffer(hop + 1);
        got_ = group_.receive(previous, Group::Channel::Data, {to.address(), size}, to.buffer());
      }
    }
    return current_;
  }

 private:
  struct Name {
    std::shared_ptr<WindowName> name = std::make_shared<WindowName>();
    std::unique_ptr<Message> message;
  };

  int owner_of(int hop) const noexcept {
    return (group_.rank_ - hop + group_.size()) % group_.size();
  }

  Tensor in_place(int owner, std::size_t bytes, const std::string& operation) {
    Name& name = names_[static_cast<std::size_t>(owner)];
    group_.await(*name.message, owner, operation);
    reading_ = true;
    std::shared_ptr<const std::byte> data =
        group_.fabric_->map_window(group_.world(owner), *name.name, bytes);
    const std::byte* const at = data.get();
    return tensor_over(device_, std::move(data), at, bytes, false);
  }

  // Odd hops in a buffer of their own; even ones where the own shard was (nobody needs it after hop
  // 1), unless ranks of this host read it there.
  Tensor& buffer(int hop) {
    std::size_t most = 0;
    for (const std::size_t bytes : bytes_) most = std::max(most, bytes);
    if (hop % 2 == 0 && !group_.is_read_in_place()) return own_;
    Tensor& buffer = hop % 2 == 0 ? even_ : odd_;
    if (!buffer.defined())
      buffer = Tensor::empty({static_cast<std::int64_t>(most)}, DType::U8, device_);
    return buffer;
  }

  // Tells the owner of the present hop that it is read no more.
  void release() noexcept {
    current_ = {};
    if (!reading_) return;
    reading_ = false;
    try {
      group_.send_and_forget(owner_of(hop_), Group::Channel::ShardDone, {std::byte{1}});
    } catch (const std::exception&) {  // no memory: the owner's wait will end the run
    }
  }

  Group& group_;
  Device& device_;
  std::vector<std::size_t> bytes_;
  std::vector<Name> names_;
  Tensor own_, odd_, even_, current_;
  std::unique_ptr<Message> sent_, got_;
  int hop_ = -1;
  bool reading_ = false;
};

std::unique_ptr<Transfer> Group::exchange(Stream&, const Tensor& send, int to, Tensor& recv,
                                          int from) {
  const auto some = [](const Tensor& x) {
    if (!x.defined()) return false;
    require(x.is_contiguous() && x.device().host_visible(), ErrorCode::InvalidRequest,
            "exchange: wanted contiguous tensors in memory of the host");
    return x.elements() > 0;
  };
  const bool sends = to != kNobody && some(send), receives = from != kNobody && some(recv);
  auto got = receives ? receive(from, Channel::Data, {recv.address(), recv.bytes()}, recv.buffer())
                      : nullptr;
  auto sent = sends ? this->send(to, Channel::Data, {send.address(), send.bytes()}, send.buffer())
                    : nullptr;
  return std::make_unique<Transferring>(fabric_, std::move(sent), sends ? world(to) : kNobody,
                                        std::move(got), receives ? world(from) : kNobody);
}

bool Group::is_read_in_place() const noexcept {
  for (int other = 0; other < size(); ++other)
    if (other != rank_ && same_host(rank_, other)) return true;
  return false;
}

void Group::await_readers(ShardPlace& place) {
  for (const auto& [reader, message] : place.readers)
    await(*message, reader, "readers of this rank's shard");
  place.readers.clear();
}

Tensor Group::publishable(Stream& stream, std::span<const std::size_t> bytes) {
  require(bytes.size() == ranks_.size(), ErrorCode::InvalidRequest, "shards: wanted ",
          ranks_.size(), " sizes, found ", bytes.size());
  require(stream.device().host_visible(), ErrorCode::Unsupported,
          "shards: wanted memory of the host, found ", stream.device().name());
  const bool shown = is_read_in_place();
  if (!shown) next_place_ = 0;  // nobody lags behind: one place will do
  ShardPlace& place = places_[next_place_];
  await_readers(place);
  shard_bytes_.assign(bytes.begin(), bytes.end());
  const std::size_t mine = bytes[static_cast<std::size_t>(rank_)];
  if (shown) {
    if (place.window == nullptr || place.window->bytes() < mine || place.window->bytes() == 0) {
      place.memory = {};
      place.window.reset();
      place.window = fabric_->make_window(std::max<std::size_t>(mine, 1));
    }
    place.memory = tensor_over(stream.device(), place.window, place.window->data(),
                               place.window->bytes(), true);
  } else {  // other shards pass through this memory later
    const auto most = static_cast<std::int64_t>(*std::max_element(bytes.begin(), bytes.end()));
    if (!place.memory.defined() || place.memory.elements() < most ||
        &place.memory.device() != &stream.device())
      place.memory = Tensor::empty({most}, DType::U8, stream.device());
  }
  return first(place.memory, mine);
}

std::unique_ptr<Published> Group::publish(Stream& stream) {
  ShardPlace& place = places_[next_place_];
  require(shard_bytes_.size() == ranks_.size() && place.memory.defined(), ErrorCode::InvalidRequest,
          "publish: wanted publishable() before it");
  next_place_ = 1 - next_place_;
  if (shard_bytes_[static_cast<std::size_t>(rank_)] > 0)
    for (int other = 0; other < size(); ++other)
      if (other != rank_ && same_host(rank_, other)) {
        const auto done = std::make_shared<std::byte>();
        place.readers.emplace_back(
            other, receive(other, Channel::ShardDone, std::span(done.get(), 1), done));
      }
  return std::make_unique<Epoch>(*this, stream, place, std::move(shard_bytes_));
}

}  // namespace annulus
