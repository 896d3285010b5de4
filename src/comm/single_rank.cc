#include <cstring>

#include "base/error.h"
#include "comm/communicator.h"

namespace annulus {

namespace {

class Done final : public Transfer {
 public:
  void wait() override {}
};

class OwnShard final : public Published {
 public:
  explicit OwnShard(Tensor shard) : shard_(std::move(shard)) {}
  Tensor shard(int hop) override {
    require(hop == 0, ErrorCode::InvalidRequest, "shards: wanted hop 0 of 1, found ", hop);
    return shard_;
  }

 private:
  Tensor shard_;
};

class SingleRank final : public Communicator {
 public:
  std::string_view name() const noexcept override { return "none"; }
  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 1; }
  void broadcast(std::span<std::byte>, int root) override {
    require(root == 0, ErrorCode::InvalidRequest, "broadcast: wanted a root below 1, found ", root);
  }
  void barrier() override {}
  std::vector<std::vector<std::byte>> all_gather(std::span<const std::byte> bytes) override {
    return {{bytes.begin(), bytes.end()}};
  }
  void all_gather(Stream& stream, const Tensor& send, std::span<const std::int64_t>,
                  Tensor& recv) override {
    stream.device().copy(stream, send, recv);
  }
  void all_to_all(Stream& stream, const Tensor& send, std::span<const std::int64_t>, Tensor& recv,
                  std::span<const std::int64_t>) override {
    stream.device().copy(stream, send, recv);
  }
  std::unique_ptr<Transfer> exchange(Stream&, const Tensor&, int to, Tensor&, int from) override {
    require(to == kNobody && from == kNobody, ErrorCode::InvalidRequest,
            "exchange: wanted a peer, found one rank only");
    return std::make_unique<Done>();
  }
  Tensor publishable(Stream& stream, std::span<const std::size_t> bytes) override {
    require(bytes.size() == 1, ErrorCode::InvalidRequest, "shards: wanted 1 size, found ",
            bytes.size());
    shard_ = Tensor::empty({static_cast<std::int64_t>(bytes[0])}, DType::U8, stream.device());
    return shard_;
  }
  std::unique_ptr<Published> publish(Stream&) override {
    return std::make_unique<OwnShard>(std::move(shard_));
  }
  std::unique_ptr<Communicator> split(int, int) override { return make_single_rank(); }
  void mark(std::string_view) override {}
  void abort(std::string_view) noexcept override {
  }  // no other rank waits; the error that led here is the report

 private:
  Tensor shard_;
};

}  // namespace

std::unique_ptr<Communicator> make_single_rank() {
  return std::make_unique<SingleRank>();
}

}  // namespace annulus
