#include "base/error.h"
#include "comm/communicator.h"

namespace annulus {

namespace {

class SingleRank final : public Communicator {
 public:
  std::string_view name() const noexcept override { return "none"; }
  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 1; }
  void broadcast(std::span<std::byte>, int root) override {
    require(root == 0, ErrorCode::InvalidRequest, "broadcast: wanted a root below 1, found ", root);
  }
  void abort(std::string_view) noexcept override {
  }  // no other rank waits; the error that led here is the report
};

}  // namespace

std::unique_ptr<Communicator> make_single_rank() {
  return std::make_unique<SingleRank>();
}

}  // namespace annulus
