#include "comm/group.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace annulus {

namespace {

std::span<const std::byte> bytes_of(const Tensor& x) {
  return {x.address(), x.bytes()};
}

void check_data(const Tensor& x, std::string_view name) {
  require(x.defined() && x.is_contiguous() && x.device().host_visible(), ErrorCode::InvalidRequest,
          name, ": wanted a contiguous tensor in memory of the host");
}

std::int64_t total(std::span<const std::int64_t> counts) {
  std::int64_t sum = 0;
  for (const std::int64_t count : counts) sum += count;
  return sum;
}

}  // namespace

Group::Group(std::shared_ptr<Fabric> fabric, std::vector<int> ranks, int context)
    : fabric_(std::move(fabric)), ranks_(std::move(ranks)), context_(context) {
  const auto me = std::find(ranks_.begin(), ranks_.end(), fabric_->rank());
  require(me != ranks_.end(), ErrorCode::InvalidRequest, "group: wanted rank ", fabric_->rank(),
          " among its members");
  rank_ = static_cast<int>(me - ranks_.begin());
}

Group::~Group() {
  try {
    for (ShardPlace& place : places_) await_readers(place);
  } catch (const Error&) {  // the run has failed, and whoever is in charge knows by now
  }
}

std::unique_ptr<Message> Group::send(int to, Channel channel, std::span<const std::byte> bytes,
                                     std::shared_ptr<const void> keep) {
  fabric_->count_sent(bytes.size());
  return fabric_->send(world(to), context(channel), bytes, std::move(keep));
}

std::unique_ptr<Message> Group::receive(int from, Channel channel, std::span<std::byte> bytes,
                                        std::shared_ptr<const void> keep) {
  return fabric_->receive(world(from), context(channel), bytes, std::move(keep));
}

void Group::await(Message& message, int peer, std::string_view operation) {
  annulus::await(*fabric_, message, world(peer), operation);
}

void Group::send_and_forget(int to, Channel channel, std::vector<std::byte> bytes) {
  std::erase_if(forgotten_, [](const auto& message) { return message->poll(); });
  const auto keep = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  forgotten_.push_back(send(to, channel, *keep, keep));
}

// A binomial tree: ranks counted from the root receive from the rank without their lowest bit.
void Group::broadcast(std::span<std::byte> bytes, int root) {
  require(root >= 0 && root < size(), ErrorCode::InvalidRequest, "broadcast: wanted a root below ",
          size(), ", found ", root);
  const int mine = (rank_ - root + size()) % size();
  const auto real = [&](int counted) { return (counted + root) % size(); };
  int bit = 1;
  for (; bit < size(); bit <<= 1) {
    if ((mine & bit) == 0) continue;
    const auto message = receive(real(mine - bit), Channel::Data, bytes);
    await(*message, real(mine - bit), "broadcast");
    break;
  }
  std::vector<std::pair<int, std::unique_ptr<Message>>> sends;
  for (bit >>= 1; bit > 0; bit >>= 1)
    if (mine + bit < size())
      sends.emplace_back(real(mine + bit), send(real(mine + bit), Channel::Data, bytes));
  for (const auto& [peer, message] : sends) await(*message, peer, "broadcast");
}

// Dissemination: after round k everyone has heard of 2^(k + 1) ranks.
void Group::barrier() {
  std::byte out{}, in{};
  for (int step = 1; step < size(); step <<= 1) {
    const int to = (rank_ + step) % size(), from = (rank_ - step + size()) % size();
    const auto sent = send(to, Channel::Data, {&out, 1});
    const auto got = receive(from, Channel::Data, {&in, 1});
    await(*got, from, "barrier");
    await(*sent, to, "barrier");
  }
}

std::vector<std::vector<std::byte>> Group::all_gather(std::span<const std::byte> bytes) {
  const auto gather = [&](std::span<const std::byte> mine, const auto& place_of) {
    std::vector<std::pair<int, std::unique_ptr<Message>>> messages;
    for (int other = 0; other < size(); ++other) {
      if (other == rank_) continue;
      messages.emplace_back(other, receive(other, Channel::Data, place_of(other)));
      messages.emplace_back(other, send(other, Channel::Data, mine));
    }
    for (const auto& [peer, message] : messages) await(*message, peer, "all_gather");
  };
  std::vector<std::uint64_t> sizes(ranks_.size(), bytes.size());
  const std::uint64_t mine = bytes.size();
  gather(std::as_bytes(std::span(&mine, 1)), [&](int other) {
    return std::as_writable_bytes(std::span(&sizes[static_cast<std::size_t>(other)], 1));
  });
  std::vector<std::vector<std::byte>> all;
  for (const std::uint64_t size : sizes) all.emplace_back(size);
  std::copy(bytes.begin(), bytes.end(), all[static_cast<std::size_t>(rank_)].begin());
  gather(bytes, [&](int other) { return std::span(all[static_cast<std::size_t>(other)]); });
  return all;
}

void Group::all_gather(Stream& stream, const Tensor& send, std::span<const std::int64_t> counts,
                       Tensor& recv) {
  check_data(send, "all_gather");
  require(counts.size() == ranks_.size() &&
              send.elements() == counts[static_cast<std::size_t>(rank_)] &&
              recv.elements() == total(counts) && send.dtype() == recv.dtype(),
          ErrorCode::InvalidRequest, "all_gather: wanted ", total(counts), " elements of ",
          name_of(send.dtype()), ", found ", recv.shape(), " for ", send.shape());
  // Everyone sends the same to all: an all_to_all whose parts are one.
  check_data(recv, "all_gather");
  std::vector<std::pair<int, std::unique_ptr<Message>>> messages;
  std::byte* at = recv.address();
  for (int other = 0; other < size(); ++other) {
    const std::size_t bytes =
        static_cast<std::size_t>(counts[static_cast<std::size_t>(other)]) * size_of(recv.dtype());
    if (other == rank_) {
      if (bytes > 0) std::memcpy(at, send.address(), bytes);
    } else {
      if (bytes > 0)
        messages.emplace_back(other, receive(other, Channel::Data, {at, bytes}, recv.buffer()));
      if (send.bytes() > 0)
        messages.emplace_back(other,
                              this->send(other, Channel::Data, bytes_of(send), send.buffer()));
    }
    at += bytes;
  }
  static_cast<void>(stream);  // host memory: work is done when a call returns
  for (const auto& [peer, message] : messages) await(*message, peer, "all_gather");
}

void Group::all_to_all(Stream& stream, const Tensor& send,
                       std::span<const std::int64_t> send_counts, Tensor& recv,
                       std::span<const std::int64_t> recv_counts) {
  check_data(send, "all_to_all");
  check_data(recv, "all_to_all");
  require(send_counts.size() == ranks_.size() && recv_counts.size() == ranks_.size() &&
              send.elements() == total(send_counts) && recv.elements() == total(recv_counts) &&
              send.dtype() == recv.dtype(),
          ErrorCode::InvalidRequest, "all_to_all: wanted ", total(send_counts), " elements to send",
          " and ", total(recv_counts), " to receive, found ", send.shape(), " and ", recv.shape());
  static_cast<void>(stream);
  const std::size_t unit = size_of(send.dtype());
  const auto offsets = [unit](std::span<const std::int64_t> counts) {
    std::vector<std::size_t> at = {0};
    for (const std::int64_t count : counts)
      at.push_back(at.back() + static_cast<std::size_t>(count) * unit);
    return at;
  };
  const std::vector<std::size_t> from = offsets(send_counts), to = offsets(recv_counts);
  std::vector<std::pair<int, std::unique_ptr<Message>>> messages;
  for (int step = 0; step < size(); ++step) {  // each rank begins with another peer
    const auto other = static_cast<std::size_t>((rank_ + step) % size());
    const std::span out{send.address() + from[other], from[other + 1] - from[other]};
    const std::span in{recv.address() + to[other], to[other + 1] - to[other]};
    if (step == 0) {
      require(out.size() == in.size(), ErrorCode::InvalidRequest,
              "all_to_all: wanted as much from this rank as for it");
      if (!in.empty()) std::memcpy(in.data(), out.data(), in.size());
      continue;
    }
    const int peer = static_cast<int>(other);
    if (!in.empty()) messages.emplace_back(peer, receive(peer, Channel::Data, in, recv.buffer()));
    if (!out.empty())
      messages.emplace_back(peer, this->send(peer, Channel::Data, out, send.buffer()));
  }
  for (const auto& [peer, message] : messages) await(*message, peer, "all_to_all");
}

std::unique_ptr<Communicator> Group::split(int color, int key) {
  const std::int32_t mine[3] = {color, key, fabric_->next_context()};
  const auto all = all_gather(std::as_bytes(std::span(mine)));
  std::vector<std::pair<int, int>> members;  // key, rank here
  std::int32_t context = 0;
  for (std::size_t r = 0; r < all.size(); ++r) {
    std::int32_t theirs[3] = {};
    require(all[r].size() == sizeof theirs, ErrorCode::PeerFailure, "split: wanted 12 bytes from ",
            "rank ", r, ", found ", all[r].size(), ": ranks call different operations");
    std::memcpy(theirs, all[r].data(), sizeof theirs);
    if (theirs[0] == color) members.emplace_back(theirs[1], static_cast<int>(r));
    context = std::max(context, theirs[2]);
  }
  fabric_->use_contexts_below(context + 1);
  std::sort(members.begin(), members.end());
  std::vector<int> ranks;
  for (const auto& [theirs, r] : members) ranks.push_back(world(r));
  return std::make_unique<Group>(fabric_, std::move(ranks), context);
}

void Group::mark(std::string_view place) {
  fabric_->mark(place);
  fabric_->note_alive();
}

void Group::abort(std::string_view reason) noexcept {
  fabric_->fail(reason);
}

}  // namespace annulus
