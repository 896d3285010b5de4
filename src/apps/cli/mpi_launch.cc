#include "apps/cli/mpi_launch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <limits>
#include <regex>

#include "apps/cli/interrupt.h"
#include "apps/cli/run_page.h"
#include "comm/communicator.h"

namespace annulus::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRoundMs = 20;                         // between looks at the ranks
constexpr auto kPatience = std::chrono::seconds(4);  // from the end of a rank to killing mpirun
constexpr int kNoMpirun = 127;
constexpr std::size_t kKeptOutput = 65536;

/// A descriptor that becomes readable when the process ends; -1 where the system has none.
int descriptor_of(pid_t process) {
  return static_cast<int>(syscall(SYS_pidfd_open, process, 0));
}

std::string own_program() {
  std::array<char, 4096> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size() - 1);
  return {path.data(), static_cast<std::size_t>(std::max<ssize_t>(0, length))};
}

/// A pipe whose reading end never blocks.
class Pipe {
 public:
  Pipe() {
    std::array<int, 2> ends{};
    require(pipe2(ends.data(), O_CLOEXEC) == 0, ErrorCode::OutOfMemory,
            "ranks: wanted a pipe, found ", std::strerror(errno));
    read_ = ends[0];
    write_ = ends[1];
    fcntl(read_, F_SETFL, O_NONBLOCK);
  }
  ~Pipe() {
    close(read_);
    close(write_);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int reading() const noexcept { return read_; }
  int writing() const noexcept { return write_; }

  /// What has come since.
  std::string read_all() const {
    std::string text;
    std::array<char, 4096> block{};
    for (ssize_t got = 0; (got = read(read_, block.data(), block.size())) > 0;)
      text.append(block.data(), static_cast<std::size_t>(got));
    return text;
  }

 private:
  int read_ = -1, write_ = -1;
};

/// mpirun and the ranks below it.
class Launch {
 public:
  Launch(int ranks, const Arguments& arguments)
      : page_(ranks),
        // Rank 0 draws on a terminal itself. Files must be written to through one descriptor: ours.
        page_place_(
            page_.environment(isatty(STDOUT_FILENO) != 0 ? STDOUT_FILENO : out_.writing(),
                              isatty(STDERR_FILENO) != 0 ? STDERR_FILENO : err_.writing())) {
    const pid_t parent = getpid();
    mpirun_ = fork();
    if (mpirun_ == 0) become_mpirun(parent, ranks, arguments);
    require(mpirun_ > 0, ErrorCode::OutOfMemory, "ranks: wanted a process, found ",
            std::strerror(errno));
    setpgid(mpirun_, mpirun_);
    watched_.resize(static_cast<std::size_t>(ranks), -1);
  }
  ~Launch() {
    if (mpirun_ > 0) kill(-mpirun_, SIGKILL);
    for (const int watched : watched_)
      if (watched >= 0) close(watched);
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  /// Until mpirun has ended. Returns its status as a shell would have it.
  int wait() {
    int status = 0;
    while (waitpid(mpirun_, &status, WNOHANG) == 0) {
      look();
      page_.head().stop_signal = interrupted();  // the ranks stop together after their step
      end_what_does_not();
    }
    pass_on();
    mpirun_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

  /// Kills what is left of the ranks: mpirun ends them all, but it may have been killed itself.
  void sweep() const {
    for (int rank = 0; rank < page_.ranks(); ++rank) {
      const RankSlot& slot = page_.slot(rank);
      const std::size_t at = static_cast<std::size_t>(rank);
      if (slot.process > 0 && watched_[at] >= 0 && !is_gone(watched_[at]))
        syscall(SYS_pidfd_send_signal, watched_[at], SIGKILL, nullptr, 0);
    }
  }

  const RunPage& page() const noexcept { return page_; }
  /// A rank that is stopped (SIGSTOP), or was when it ended; -1: none.
  int stopped() const noexcept { return stopped_; }
  /// The rank that was first seen to be gone without a word; -1: none.
  int lost() const noexcept { return lost_; }
  const std::string& said() const noexcept { return output_; }

 private:
  [[noreturn]] void become_mpirun(pid_t parent, int ranks, const Arguments& arguments) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // a parent that is killed takes the run with it
    if (getppid() != parent) _exit(1);
    dup2(said_.writing(), STDERR_FILENO);
    const int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    // As variables, which other MPIs ignore. Ranks bind themselves (bind_to_share).
    for (const char* setting :
         {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
          "OMPI_MCA_rmaps_base_oversubscribe=1", "OMPI_MCA_hwloc_base_binding_policy=none",
          "PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe"})
      putenv(const_cast<char*>(setting));
    putenv(page_place_.data());
    if (ranks > static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)))
      setenv("OMP_WAIT_POLICY", "passive", 0);  // ranks share cores: who waits must not spin
    std::vector<std::string> words = {"mpirun", "-n", std::to_string(ranks), own_program()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> raw;
    for (std::string& word : words) raw.push_back(word.data());
    raw.push_back(nullptr);
    execvp(raw[0], raw.data());
    _exit(kNoMpirun);
  }

  /// 'R', 'S', 'T' (stopped), ... of /proc; 0: there is none.
  static char state_of(int process) {
    std::ifstream file(text_of("/proc/", process, "/stat"));
    file.ignore(std::numeric_limits<std::streamsize>::max(), ')');
    char state = 0;
    file >> state;
    return state;
  }

  static bool is_gone(int process) noexcept {
    pollfd one = {process, POLLIN, 0};
    return poll(&one, 1, 0) > 0 && (one.revents & POLLIN) != 0;
  }

  void pass_on() {
    std::cout << out_.read_all() << std::flush;
    std::cerr << err_.read_all() << std::flush;
    const std::string said = said_.read_all();
    if (output_.size() < kKeptOutput) output_ += said;
    // Of what the other ranks say, lines of the log are for people.
    unfinished_ += said;
    for (std::size_t end = 0; (end = unfinished_.find('\n')) != std::string::npos;) {
      const std::string line = unfinished_.substr(0, end + 1);
      unfinished_.erase(0, end + 1);
      if (line.starts_with("annulus: rank ")) std::cerr << line << std::flush;
    }
  }

  // Waits a moment, or until a rank ends.
  void look() {
    std::vector<pollfd> polled = {
        {said_.reading(), POLLIN, 0}, {out_.reading(), POLLIN, 0}, {err_.reading(), POLLIN, 0}};
    for (int rank = 0; rank < page_.ranks(); ++rank) {
      const auto at = static_cast<std::size_t>(rank);
      if (watched_[at] < 0 && page_.slot(rank).process > 0)
        watched_[at] = descriptor_of(page_.slot(rank).process);
      const bool still = watched_[at] >= 0 && page_.slot(rank).state == RankSlot::Running;
      polled.push_back({still ? watched_[at] : -1, POLLIN, 0});
    }
    poll(polled.data(), polled.size(), kRoundMs);
    pass_on();
    bool failed = false;  // mpirun then ends the others: they are not lost
    bool done = true;
    for (int rank = 0; rank < page_.ranks(); ++rank) {
      const RankSlot& slot = page_.slot(rank);
      failed = failed || slot.state == RankSlot::Failed;
      done = done && slot.state == RankSlot::Done;
      const char state = slot.process > 0 ? state_of(slot.process) : 0;
      if (state == 'T') stopped_ = rank;
      if (state == 'R' && stopped_ == rank) stopped_ = -1;  // it goes on
    }
    if ((failed || done) && !ending_) ending_ = Clock::now();
    if (failed) return;
    for (int rank = 0; rank < page_.ranks() && lost_ < 0; ++rank) {
      const auto at = static_cast<std::size_t>(rank);
      if (page_.slot(rank).state == RankSlot::Running && watched_[at] >= 0 && is_gone(watched_[at]))
        lost_ = rank;
    }
    if (lost_ >= 0 && !ending_) ending_ = Clock::now();
  }

  // A rank has failed or all are done: mpirun ends by itself, but has been seen to hang.
  void end_what_does_not() {
    if (!ending_) return;
    const auto waited = Clock::now() - *ending_;
    if (waited > kPatience / 2 && !told_) {
      kill(-mpirun_, SIGTERM);
      told_ = true;
    }
    if (waited > kPatience) kill(-mpirun_, SIGKILL);
  }

  Pipe out_, err_;  // of rank 0
  Pipe said_;       // by mpirun, and by ranks above 0
  RunPage page_;
  std::string page_place_;  // as a variable of the environment
  pid_t mpirun_ = -1;
  std::string output_;      // what came through `said_`
  std::string unfinished_;  // its last line
  std::vector<int> watched_;
  int lost_ = -1, stopped_ = -1;
  bool told_ = false;
  std::optional<Clock::time_point> ending_;
};

/// What the run failed of: a rank's own error before what others heard of it; the first lost rank.
[[noreturn]] void throw_error_of(const Launch& launch, int status) {
  const RunPage& page = launch.page();
  const RankSlot* heard = nullptr;
  const int stopped = launch.stopped();
  for (int rank = 0; rank < page.ranks(); ++rank) {
    const RankSlot& slot = page.slot(rank);
    if (slot.state != RankSlot::Failed) continue;
    if (slot.code < 0) throw std::runtime_error(text_of("rank ", rank, ": ", slot.what.data()));
    const bool peer = slot.code == static_cast<int>(ErrorCode::PeerFailure);
    if (!peer) throw error_in(slot);
    if (heard == nullptr) heard = &slot;
  }
  const bool named = heard != nullptr && std::string_view(heard->what.data()).starts_with("rank ");
  if (stopped >= 0 && !named) {  // ranks that wait inside MPI cannot tell for whom
    const RankSlot& slot = page.slot(stopped);
    throw Error(ErrorCode::PeerFailure,
                text_of("rank ", stopped, ": wanted a sign of life, found it stopped",
                        slot.place[0] != 0 ? ", last at " : "", slot.place.data()));
  }
  if (launch.lost() >= 0) {
    const RankSlot& slot = page.slot(launch.lost());
    std::smatch found;
    static const std::regex by_signal(R"(exited on signal (\d+ \([^)]*\)))");
    const std::string& said = launch.said();
    const std::string signal =
        std::regex_search(said, found, by_signal) ? " (signal " + found.str(1) + ")" : "";
    throw Error(ErrorCode::PeerFailure,
                text_of("rank ", launch.lost(), ": wanted it to finish, found it gone", signal,
                        slot.place[0] != 0 ? ", last at " : "", slot.place.data()));
  }
  if (heard != nullptr) throw error_in(*heard);
  std::string line = launch.said().substr(0, launch.said().find_last_not_of("-\n ") + 1);
  line = std::regex_replace(line, std::regex(R"(\s+)"), " ");
  constexpr std::size_t kLongest = 600;
  if (line.size() > kLongest) line = "..." + line.substr(line.size() - kLongest);
  throw Error(ErrorCode::PeerFailure, text_of("mpirun: wanted it to run ", page.ranks(),
                                              " ranks, found status ", status, ": ", line));
}

}  // namespace

int launch_ranks(int ranks, const Arguments& arguments) {
  if (const auto why = mpi_refusal())
    throw Error(ErrorCode::Unsupported, text_of("--ranks: wanted MPI, found ", *why),
                "install libopenmpi-dev and openmpi-bin, and build again");
  Launch launch(ranks, arguments);
  const int status = launch.wait();
  launch.sweep();
  bool done = true;
  for (int rank = 0; rank < ranks; ++rank)
    done = done && launch.page().slot(rank).state == RankSlot::Done;
  if (done) return 0;
  if (status == kNoMpirun && launch.page().slot(0).state == RankSlot::Absent)
    throw Error(ErrorCode::Unsupported, "--ranks: wanted mpirun, found none in PATH",
                "install openmpi-bin, or start the ranks with srun");
  throw_error_of(launch, status);
}

}  // namespace annulus::cli
