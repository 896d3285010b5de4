#include "comm/mpi/mpi_fabric.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "comm/group.h"
#include "comm/mpi/guard.h"

namespace annulus {

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 30;  // of one MPI message: its counts are int
constexpr int kAsk = 1, kAnswer = 2, kFail = 3;           // tags of control messages
constexpr auto kBusy = std::chrono::microseconds(200);    // between helper's rounds: with messages
constexpr auto kIdle = std::chrono::milliseconds(5);      // under way, and without

struct Answer {  // as it travels
  std::uint64_t signs = 0;
  std::int32_t waits_for = -1;
  std::uint32_t left = 0;
  char place[112] = {};
};

void check(int code, std::string_view call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(ErrorCode::PeerFailure,
              text_of(call, ": wanted success, found ", std::string_view(text, length)));
}

}  // namespace

class MpiMessage final : public Message {
 public:
  MpiMessage(MpiFabric& fabric, std::shared_ptr<const void> keep)
      : fabric_(fabric), keep_(std::move(keep)) {
    ++fabric_.pending_;
  }
  ~MpiMessage() override {
    if (done_) return;
    cancel_receives();
    const std::lock_guard lock(fabric_.mutex_);
    fabric_.adrift_.push_back({std::move(requests_), std::move(keep_)});
    --fabric_.pending_;
  }
  MpiMessage(const MpiMessage&) = delete;
  MpiMessage& operator=(const MpiMessage&) = delete;

  // The caller holds the fabric's mutex. `wanted`: bytes that a receive must bring; -1: a send.
  MPI_Request* add(int wanted) {
    requests_.push_back(MPI_REQUEST_NULL);
    wanted_.push_back(wanted);
    return &requests_.back();
  }
  void reserve(std::size_t parts) { requests_.reserve(parts); }

  bool poll() override {
    if (done_) return true;
    const std::lock_guard lock(fabric_.mutex_);
    statuses_.resize(requests_.size());
    int flag = 0;
    check(
        MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &flag, statuses_.data()),
        "MPI_Testall");
    if (flag == 0) return false;
    done_ = true;
    --fabric_.pending_;
    for (std::size_t i = 0; i < statuses_.size(); ++i) {
      int count = 0;
      if (wanted_[i] >= 0) MPI_Get_count(&statuses_[i], MPI_BYTE, &count);
      require(wanted_[i] < 0 || count == wanted_[i], ErrorCode::PeerFailure, "message: wanted ",
              wanted_[i], " bytes, found ", count, ": ranks call different operations");
    }
    return true;
  }

 private:
  // An error is on its way up and the caller's memory goes: let MPI write there no more. A receive
  // that has begun to arrive cannot be cancelled, but ends soon unless its sender is dead.
  void cancel_receives() {
    bool receives = false;
    {
      const std::lock_guard lock(fabric_.mutex_);
      for (std::size_t i = 0; i < requests_.size(); ++i)
        if (wanted_[i] >= 0 && requests_[i] != MPI_REQUEST_NULL) {
          MPI_Cancel(&requests_[i]);
          receives = true;
        }
    }
    const auto end = MpiFabric::Clock::now() + std::chrono::milliseconds(200);
    for (int flag = receives ? 0 : 1; flag == 0 && MpiFabric::Clock::now() < end;) {
      const std::lock_guard lock(fabric_.mutex_);
      if (MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &flag,
                      MPI_STATUSES_IGNORE) != MPI_SUCCESS)
        return;
    }
  }

  MpiFabric& fabric_;
  std::shared_ptr<const void> keep_;
  std::vector<MPI_Request> requests_;
  std::vector<MPI_Status> statuses_;
  std::vector<int> wanted_;
  bool done_ = false;
};

MpiFabric::MpiFabric(const CommOptions& options) : options_(options) {
  start();
  find_hosts();
  pthread_getcpuclockid(pthread_self(), &clock_);
  helper_ = std::thread([this] { help(); });
}

void MpiFabric::start() {
  const Guard guard(2 * options_.deadline_ms, "MPI_Init", options_.last_words);
  int initialized = 0, level = MPI_THREAD_SINGLE;
  MPI_Initialized(&initialized);
  if (initialized == 0) {
    int finalized = 0;
    MPI_Finalized(&finalized);
    require(finalized == 0, ErrorCode::InvalidRequest,
            "MPI: wanted to start it once in a process's life, found it ended");
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level), "MPI_Init_thread");
    started_here_ = true;
  } else {
    check(MPI_Query_thread(&level), "MPI_Query_thread");
  }
  require(level >= MPI_THREAD_SERIALIZED, ErrorCode::Unsupported,
          "MPI: wanted MPI_THREAD_SERIALIZED, found level ", level);
  check(MPI_Comm_dup(MPI_COMM_WORLD, &data_), "MPI_Comm_dup");
  check(MPI_Comm_dup(MPI_COMM_WORLD, &control_), "MPI_Comm_dup");
  MPI_Comm_set_errhandler(data_, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(control_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(data_, &rank_);
  MPI_Comm_size(data_, &size_);
  void* bound = nullptr;
  int known = 0;
  MPI_Comm_get_attr(data_, MPI_TAG_UB, static_cast<void*>(&bound), &known);
  if (known != 0) highest_tag_ = *static_cast<int*>(bound);
}

// Ranks of one kernel, if they can indeed read each other's windows: containers may forbid it.
void MpiFabric::find_hosts() {
  const Guard guard(2 * options_.deadline_ms, "MPI_Allgather", options_.last_words);
  struct Introduction {
    std::uint64_t host = 0;
    WindowName window;
  };
  const auto all_of = [this](const Introduction& mine) {
    std::vector<Introduction> all(static_cast<std::size_t>(size_));
    check(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, all.data(), sizeof mine, MPI_BYTE, data_),
          "MPI_Allgather");
    return all;
  };
  const auto unique = [](int rank) { return ~static_cast<std::uint64_t>(rank); };
  Introduction mine;
  std::unique_ptr<Window> window;
  mine.host = unique(rank_);
  if (options_.shared_memory) {
    try {
      window = make_window(sizeof(int));
      std::memcpy(window->data(), &rank_, sizeof rank_);
      mine = {std::hash<std::string>{}(host_identity()), window->name()};
    } catch (const Error&) {  // no such memory here: messages
    }
  }
  std::vector<Introduction> all = all_of(mine);
  for (int peer = 0; peer < size_ && window != nullptr; ++peer) {
    const Introduction& other = all[static_cast<std::size_t>(peer)];
    if (peer == rank_ || other.host != mine.host) continue;
    int found = -1;
    try {
      std::memcpy(&found, windows_.map(peer, other.window, sizeof found).get(), sizeof found);
    } catch (const Error&) {  // forbidden: as if on another host
    }
    if (found != peer) mine.host = unique(rank_);
  }
  all = all_of(mine);
  std::map<std::uint64_t, int> first;  // rank on each host
  for (int peer = 0; peer < size_; ++peer)
    hosts_.push_back(
        first.try_emplace(all[static_cast<std::size_t>(peer)].host, peer).first->second);
}

MpiFabric::~MpiFabric() {
  left_ = true;
  bool together = false;
  try {
    if (!failed_) {  // nobody ends MPI while another still counts on answers
      MPI_Request request = MPI_REQUEST_NULL;
      {
        const std::lock_guard lock(mutex_);
        check(MPI_Ibarrier(control_, &request), "MPI_Ibarrier");
      }
      const auto end = Clock::now() + std::chrono::milliseconds(4 * options_.deadline_ms);
      for (int attempt = 0; !together && !failed_ && Clock::now() < end; ++attempt) {
        int flag = 0;
        {
          const std::lock_guard lock(mutex_);
          check(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), "MPI_Test");
        }
        together = flag != 0;
        if (!together) rest(attempt);
      }
    }
    if (together) together = flush(std::chrono::milliseconds(options_.deadline_ms));
    if (!together) flush(std::chrono::milliseconds(500));  // so that peers hear why
  } catch (const std::exception&) {
    together = false;
  }
  stop_ = true;
  helper_.join();
  if (together) finalize();  // else mpirun sees this process end without it, and ends the others
}

void MpiFabric::finalize() {
  const Guard guard(options_.deadline_ms, "MPI_Finalize", options_.last_words);
  MPI_Comm_free(&data_);
  MPI_Comm_free(&control_);
  if (started_here_) MPI_Finalize();
}

// Tests the requests that nobody waits for any more. The caller holds the mutex.
void MpiFabric::complete_adrift() {
  adrift_.remove_if([](Adrift& some) {
    int flag = 0;
    return MPI_Testall(static_cast<int>(some.requests.size()), some.requests.data(), &flag,
                       MPI_STATUSES_IGNORE) == MPI_SUCCESS &&
           flag != 0;
  });
}

bool MpiFabric::flush(std::chrono::milliseconds timeout) {
  const auto end = Clock::now() + timeout;
  for (int attempt = 0;; ++attempt) {
    {
      const std::lock_guard lock(mutex_);
      complete_adrift();
      if (adrift_.empty()) return true;
    }
    if (Clock::now() > end) return false;
    rest(attempt);
  }
}

std::unique_ptr<Message> MpiFabric::send(int to, int context, std::span<const std::byte> bytes,
                                         std::shared_ptr<const void> keep) {
  auto message = std::make_unique<MpiMessage>(*this, std::move(keep));
  const std::lock_guard lock(mutex_);
  message->reserve(bytes.size() / kMostBytes + 1);
  do {
    const auto part = bytes.first(std::min(bytes.size(), kMostBytes));
    check(MPI_Isend(part.data(), static_cast<int>(part.size()), MPI_BYTE, to, context, data_,
                    message->add(-1)),
          "MPI_Isend");
    bytes = bytes.subspan(part.size());
  } while (!bytes.empty());
  return message;
}

std::unique_ptr<Message> MpiFabric::receive(int from, int context, std::span<std::byte> bytes,
                                            std::shared_ptr<const void> keep) {
  auto message = std::make_unique<MpiMessage>(*this, std::move(keep));
  const std::lock_guard lock(mutex_);
  message->reserve(bytes.size() / kMostBytes + 1);
  do {
    const auto part = bytes.first(std::min(bytes.size(), kMostBytes));
    check(MPI_Irecv(part.data(), static_cast<int>(part.size()), MPI_BYTE, from, context, data_,
                    message->add(static_cast<int>(part.size()))),
          "MPI_Irecv");
    bytes = bytes.subspan(part.size());
  } while (!bytes.empty());
  return message;
}

std::unique_ptr<Window> MpiFabric::make_window(std::size_t bytes) {
  return make_shared_window(bytes, next_window_++);
}

std::shared_ptr<const std::byte> MpiFabric::map_window(int peer, const WindowName& name,
                                                       std::size_t bytes) {
  return windows_.map(peer, name, bytes);
}

void MpiFabric::send_control(int to, int tag, std::vector<std::byte> bytes) {
  const auto keep = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  Adrift some{{MPI_REQUEST_NULL}, keep};
  check(MPI_Isend(keep->data(), static_cast<int>(keep->size()), MPI_BYTE, to, tag, control_,
                  some.requests.data()),
        "MPI_Isend");
  adrift_.push_back(std::move(some));
}

std::vector<std::byte> MpiFabric::own_answer() const {
  Answer answer;
  answer.signs = signs_;
  answer.waits_for = waits_for_;
  answer.left = left_ ? 1 : 0;
  timespec used{};
  if (answer.waits_for < 0 && clock_gettime(clock_, &used) == 0)
    answer.signs += static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000u +
                    static_cast<std::uint64_t>(used.tv_nsec);
  std::memcpy(answer.place, place_.data(), std::min(place_.size(), sizeof answer.place - 1));
  const auto raw = std::as_bytes(std::span(&answer, 1));
  return {raw.begin(), raw.end()};
}

// The caller holds the mutex.
void MpiFabric::handle_control() {
  for (;;) {
    int flag = 0, count = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, control_, &flag, &status), "MPI_Iprobe");
    if (flag == 0) return;
    MPI_Get_count(&status, MPI_BYTE, &count);
    std::vector<std::byte> bytes(static_cast<std::size_t>(count));
    check(MPI_Recv(bytes.data(), count, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, control_,
                   MPI_STATUS_IGNORE),
          "MPI_Recv");
    if (status.MPI_TAG == kAsk) {
      send_control(status.MPI_SOURCE, kAnswer, own_answer());
    } else if (status.MPI_TAG == kFail) {
      if (!failed_) failure_.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      failed_ = true;
    } else if (status.MPI_TAG == kAnswer && bytes.size() == sizeof(Answer)) {
      Answer answer;
      std::memcpy(&answer, bytes.data(), sizeof answer);
      answer.place[sizeof answer.place - 1] = 0;
      peers_[status.MPI_SOURCE].state = {answer.signs, answer.waits_for, answer.left != 0,
                                         answer.place};
    }
  }
}

void MpiFabric::help() {
  while (!stop_) {
    try {
      const std::lock_guard lock(mutex_);
      handle_control();  // the probe moves every message along
      complete_adrift();
    } catch (const std::exception&) {  // MPI itself failed: the computing thread meets it as well
    }
    std::this_thread::sleep_for(pending_ > 0 ? kBusy : std::chrono::microseconds(kIdle));
  }
}

void MpiFabric::ask(int peer) {
  if (peer == rank_) return;
  const auto pause = std::chrono::milliseconds(std::clamp(options_.deadline_ms / 20, 1, 250));
  const std::lock_guard lock(mutex_);
  Peer& known = peers_[peer];
  if (Clock::now() - known.asked < pause) return;
  known.asked = Clock::now();
  send_control(peer, kAsk, {std::byte{0}});
}

PeerState MpiFabric::state_of(int peer) {
  const std::lock_guard lock(mutex_);
  if (peer == rank_) return {signs_, waits_for_, left_, place_};
  return peers_[peer].state;
}

void MpiFabric::note_place(std::string_view place) {
  if (options_.told) options_.told(place);
  const std::lock_guard lock(mutex_);
  place_ = place;
}

void MpiFabric::rest(int attempt) {
  if (attempt < 200)
    sched_yield();
  else
    std::this_thread::sleep_for(std::chrono::microseconds(attempt < 2000 ? 20 : 200));
}

void MpiFabric::fail(std::string_view reason) noexcept {
  try {
    {
      const std::lock_guard lock(mutex_);
      if (failed_) return;
      failure_ = reason;
      failed_ = true;
      const auto raw = std::as_bytes(std::span(reason));
      for (int peer = 0; peer < size_; ++peer)
        if (peer != rank_) send_control(peer, kFail, {raw.begin(), raw.end()});
    }
    flush(std::chrono::milliseconds(200));
  } catch (const std::exception&) {  // told as many as could be told
  }
}

std::optional<std::string> MpiFabric::failure() {
  if (!failed_) return std::nullopt;
  const std::lock_guard lock(mutex_);
  return failure_;
}

void MpiFabric::use_contexts_below(int context) {
  require(context <= highest_tag_ / 4, ErrorCode::Unsupported, "groups: wanted fewer than ",
          highest_tag_ / 4, " in a run (MPI's highest tag is ", highest_tag_, ")");
  next_context_ = context;
}

std::optional<std::string> mpi_refusal() {
  return std::nullopt;
}

std::shared_ptr<Fabric> make_mpi_fabric(const CommOptions& options) {
  return std::make_shared<MpiFabric>(options);
}

std::unique_ptr<Communicator> make_mpi(const CommOptions& options) {
  std::shared_ptr<Fabric> fabric = make_mpi_fabric(options);
  std::vector<int> everyone(static_cast<std::size_t>(fabric->size()));
  std::iota(everyone.begin(), everyone.end(), 0);
  return std::make_unique<Group>(std::move(fabric), std::move(everyone), 0);
}

}  // namespace annulus
