// Messages between processes over MPI. Every MPI call is made under one mutex (so MPI need only be
// "serialized"), none of them blocks once the world stands. A helper thread moves messages along
// while this rank computes, answers peers that ask for a sign of life, and hears of failures.
#pragma once

#include <mpi.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "comm/communicator.h"
#include "comm/fabric.h"
#include "comm/mpi/shared_window.h"

namespace annulus {

class MpiFabric final : public Fabric {
 public:
  explicit MpiFabric(const CommOptions& options);
  ~MpiFabric() override;
  MpiFabric(const MpiFabric&) = delete;
  MpiFabric& operator=(const MpiFabric&) = delete;

  std::string_view name() const noexcept override { return "mpi"; }
  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return size_; }
  int deadline_ms() const noexcept override { return options_.deadline_ms; }
  int host_of(int rank) const noexcept override { return hosts_[static_cast<std::size_t>(rank)]; }
  std::unique_ptr<Message> send(int to, int context, std::span<const std::byte> bytes,
                                std::shared_ptr<const void> keep) override;
  std::unique_ptr<Message> receive(int from, int context, std::span<std::byte> bytes,
                                   std::shared_ptr<const void> keep) override;
  std::unique_ptr<Window> make_window(std::size_t bytes) override;
  std::shared_ptr<const std::byte> map_window(int peer, const WindowName& name,
                                              std::size_t bytes) override;
  void ask(int peer) override;
  PeerState state_of(int peer) override;
  void note_alive() noexcept override { ++signs_; }
  void note_waiting(int peer) noexcept override { waits_for_ = peer; }
  void note_place(std::string_view place) override;
  void rest(int attempt) override;
  void fail(std::string_view reason) noexcept override;
  std::optional<std::string> failure() override;
  int next_context() const noexcept override { return next_context_; }
  void use_contexts_below(int context) override;

 private:
  friend class MpiMessage;
  using Clock = std::chrono::steady_clock;

  // Requests whose message was dropped before they were done, with the memory they use.
  struct Adrift {
    std::vector<MPI_Request> requests;
    std::shared_ptr<const void> keep;
  };
  struct Peer {
    PeerState state;
    Clock::time_point asked;
  };

  void start();
  void find_hosts();
  void help();  // the helper thread
  void handle_control();
  void send_control(int to, int tag, std::vector<std::byte> bytes);
  std::vector<std::byte> own_answer() const;
  void complete_adrift();
  bool flush(std::chrono::milliseconds timeout);
  void finalize();

  CommOptions options_;
  int rank_ = 0, size_ = 1;
  bool started_here_ = false;
  int highest_tag_ = 32767;
  MPI_Comm data_ = MPI_COMM_NULL, control_ = MPI_COMM_NULL;
  std::vector<int> hosts_;
  std::uint64_t next_window_ = 0;
  SharedWindows windows_;
  int next_context_ = 1;
  clockid_t clock_{};  // of the thread that computes

  std::atomic<std::uint64_t> signs_ = 0;
  std::atomic<int> waits_for_ = -1;
  std::atomic<int> pending_ = 0;  // messages not yet done
  std::atomic<bool> left_ = false, stop_ = false;
  std::atomic<bool> failed_ = false;

  mutable std::mutex mutex_;  // all MPI calls, and what follows
  std::list<Adrift> adrift_;
  std::map<int, Peer> peers_;
  std::string place_, failure_;

  std::thread helper_;
};

}  // namespace annulus
