#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>

#include "apps/cli/bench.h"
#include "apps/cli/plan.h"

namespace annulus::cli {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t kMessage = std::int64_t{8} << 20;  // bytes: a long message, as a shard is
constexpr int kLimitMs = 60000;                           // to wait for processes that measure

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// This rank's end of the way to `peer`; both ranks call the same functions in turn.
class Pair {
 public:
  Pair(Communicator& world, const Platform& platform, int peer, double seconds)
      : world_(world),
        device_(*platform.devices().front()),
        stream_(device_.make_stream()),
        workspace_(device_),
        backend_(*platform.default_ring_attention_backend()),
        peer_(peer),
        seconds_(seconds),
        out_(random_tensor(*stream_, {kMessage / 4}, DType::F32, 1)),
        in_(random_tensor(*stream_, {kMessage / 4}, DType::F32, 2)),
        q_(random_tensor(*stream_, {1, kRows, 8, 64}, DType::F32, 3)),
        total_(nothing_seen(*stream_, 1, kRows, 8, 64)) {}

  Link measure() {
    Link link;
    std::vector<double> times;
    constexpr int kRoundTrips = 100;
    for (int i = 0; i < kRoundTrips; ++i) {
      const auto start = Clock::now();
      Tensor in = in_.slice(0, 0, 2);
      world_.exchange(*stream_, out_.slice(0, 0, 2), peer_, in, peer_)->wait();
      times.push_back(seconds_since(start));
    }
    link.latency_seconds = median(times);
    const double travels = repeated([&] { exchange()->wait(); });
    link.bytes_per_second =
        static_cast<double>(kMessage) / std::max(travels - link.latency_seconds, 1e-9);

    // The same beside arithmetic that takes at least twice as long.
    const double one = repeated([&] { compute(1); });
    const int folds = agreed(static_cast<int>(std::min(1000.0, 2 * travels / one)) + 1);
    const double alone = repeated([&] { compute(folds); });
    const double together = repeated([&] {
      const auto transfer = exchange();
      compute(folds);
      transfer->wait();
    });
    link.busy = std::clamp((together - alone) / travels, 0.0, 1.0);
    return link;
  }

 private:
  static constexpr std::int64_t kRows = 128;

  std::unique_ptr<Transfer> exchange() {
    return world_.exchange(*stream_, out_, peer_, in_, peer_);
  }
  void compute(int folds) {
    const AttentionArgs args = {.q = q_, .k = q_, .v = q_};
    for (int i = 0; i < folds; ++i) backend_.fold(*stream_, workspace_, args, total_);
  }
  // The larger of both ranks' numbers.
  int agreed(int mine) {
    Tensor a = out_.slice(0, 0, 1), b = in_.slice(0, 0, 1);
    a.data<float>()[0] = static_cast<float>(mine);
    world_.exchange(*stream_, a, peer_, b, peer_)->wait();
    return std::max(mine, static_cast<int>(b.data<float>()[0]));
  }
  // Median time of `work`, both ranks starting together; as many times as fit, by both clocks.
  template <class Work>
  double repeated(const Work& work) {
    work();
    const auto first = Clock::now();
    work();
    const int runs = agreed(
        std::clamp(static_cast<int>(seconds_ / std::max(seconds_since(first), 1e-6)), 3, 50));
    std::vector<double> times;
    for (int i = 0; i < runs; ++i) {
      agreed(0);
      const auto start = Clock::now();
      work();
      times.push_back(seconds_since(start));
    }
    return median(times);
  }

  Communicator& world_;
  Device& device_;
  std::unique_ptr<Stream> stream_;
  Workspace workspace_;
  const AttentionBackend& backend_;
  int peer_;
  double seconds_;
  Tensor out_, in_, q_;
  RunningAttention total_;
};

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

// A file descriptor and its end.
class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const noexcept { return number_; }
  void close() noexcept {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

// The output of a program, in a process group of its own that ends with the time limit; nothing
// when it cannot be started or fails.
std::optional<std::string> output_of(const std::vector<std::string>& words) {
  int ends[2] = {};
  if (pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  Descriptor reading(ends[0]), writing(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::vector<std::string> copies = words;
  std::vector<char*> arguments;
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = -1;
  const int failed =
      posix_spawnp(&child, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  writing.close();
  if (failed != 0) return std::nullopt;

  std::string text;
  const auto end = Clock::now() + std::chrono::milliseconds(kLimitMs);
  bool open = true;
  while (open && Clock::now() < end) {
    pollfd wait{reading.get(), POLLIN, 0};
    if (poll(&wait, 1, 200) <= 0) continue;
    char part[4096];
    const ssize_t got = read(reading.get(), part, sizeof part);
    if (got > 0)
      text.append(part, static_cast<std::size_t>(got));
    else
      open = false;
  }
  if (open) kill(-child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (open || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return text;
}

MeasuredLinks between_threads(const PlanOptions& options) {
  MeasuredLinks links;
  std::mutex mutex;
  run_local_ranks(2, {.shared_memory = false, .deadline_ms = 60000}, [&](Communicator& world) {
    const std::unique_ptr<Platform> platform = make_platform(options.platform, {.threads = 1});
    const MeasuredLinks mine = measure_links(world, *platform, options.seconds);
    const std::lock_guard lock(mutex);
    if (world.rank() == 0) links = mine;
  });
  links.how = "between threads: mpirun cannot be started here";
  return links;
}

}  // namespace

MeasuredLinks measure_links(Communicator& world, const Platform& platform, double seconds) {
  require(platform.default_ring_attention_backend() != nullptr, ErrorCode::Unsupported,
          "plan: wanted a platform with a ring attention backend, found ", platform.name());
  const std::string own = host_name();
  const auto hosts = world.all_gather(std::as_bytes(std::span(own.data(), own.size())));
  MeasuredLinks links{.how = text_of("over ", world.name() == "mpi" ? "MPI" : world.name())};
  int same = -1, other = -1;
  for (int rank = world.size() - 1; rank > 0; --rank)
    (hosts[static_cast<std::size_t>(rank)] == hosts[0] ? same : other) = rank;
  for (const auto& [peer, link] : {std::pair{same, &links.inside}, {other, &links.between}}) {
    if (peer > 0 && (world.rank() == 0 || world.rank() == peer))
      *link = Pair(world, platform, world.rank() == 0 ? peer : 0, seconds).measure();
    world.barrier();
  }
  return links;
}

MeasuredLinks measure_links_here(const PlanOptions& options) {
  if (!mpi_refusal() && !started_by_mpi()) {
    std::vector<std::string> words = {"env",
                                      "OMPI_ALLOW_RUN_AS_ROOT=1",
                                      "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
                                      "mpirun",
                                      "-n",
                                      "2",
                                      "--oversubscribe",
                                      "--bind-to",
                                      "none",
                                      std::filesystem::read_symlink("/proc/self/exe").string(),
                                      "plan",
                                      "--links",
                                      "--threads",
                                      "1",
                                      "--seconds",
                                      text_of(options.seconds)};
    if (!options.platform.empty()) words.insert(words.end(), {"--platform", options.platform});
    if (const auto text = output_of(words)) {
      try {
        const ClusterFile found =
            parse_cluster(Json::parse(*text, "measured links", ErrorCode::InvalidRequest));
        if (found.inside) return {found.inside, found.between, "over MPI"};
      } catch (const Error&) {  // something else wrote there: threads will do
      }
    }
  }
  return between_threads(options);
}

}  // namespace annulus::cli
