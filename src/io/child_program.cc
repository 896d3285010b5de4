#include "io/child_program.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>
#include <thread>

#include "base/error.h"

namespace annulus {
namespace {

constexpr int kFeedSeconds = 60;
constexpr std::chrono::minutes kFinish{10};
constexpr std::chrono::milliseconds kLook{5};

/// Actions and attributes of posix_spawn, freed with it.
struct SpawnSettings {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

}  // namespace

ChildProgram::ChildProgram(const std::vector<std::string>& arguments) {
  // A socket, since writing to one whose reader is gone can be told not to raise SIGPIPE.
  std::array<int, 2> ends = {-1, -1};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0,
          ErrorCode::Unsupported, "program: wanted a pipe to ", arguments.front(), ", found none");
  input_ = ends[0];
  const timeval patience = {kFeedSeconds, 0};
  ::setsockopt(input_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  output_ = ::memfd_create("annulus-child", MFD_CLOEXEC);
  SpawnSettings settings;
  posix_spawn_file_actions_adddup2(&settings.actions, ends[1], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&settings.actions, output_, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&settings.actions, output_, STDERR_FILENO);
  // A group of its own: an interrupt at the terminal is for us, who end it in good order.
  posix_spawnattr_setflags(&settings.attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&settings.attributes, 0);
  std::vector<std::string> texts = arguments;
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  const int failed = ::posix_spawnp(&child_, pointers[0], &settings.actions, &settings.attributes,
                                    pointers.data(), environ);
  ::close(ends[1]);
  if (failed == 0) return;
  child_ = -1;
  close_input();
  ::close(output_);
  throw Error(ErrorCode::Unsupported, text_of("program: wanted ", arguments.front(), ", found ",
                                              std::generic_category().message(failed)));
}

ChildProgram::~ChildProgram() {
  close_input();
  if (child_ > 0) {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  if (output_ >= 0) ::close(output_);
}

void ChildProgram::close_input() noexcept {
  if (input_ >= 0) ::close(input_);
  input_ = -1;
}

bool ChildProgram::feed(std::span<const std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t count = ::send(input_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

std::string ChildProgram::finish() {
  close_input();
  int status = 0;
  const auto end = std::chrono::steady_clock::now() + kFinish;
  while (::waitpid(child_, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) return "no end";
    std::this_thread::sleep_for(kLook);
  }
  child_ = -1;
  if (WIFSIGNALED(status)) return text_of("signal ", WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? "" : text_of("status ", WEXITSTATUS(status));
}

std::string ChildProgram::printed() const {
  constexpr off_t kMost = 64 << 10;
  const off_t size = std::max<off_t>(0, ::lseek(output_, 0, SEEK_END));
  std::string text(static_cast<std::size_t>(std::min(size, kMost)), '\0');
  const ssize_t count = ::pread(output_, text.data(), text.size(), size - std::ssize(text));
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, count)));
  return text;
}

}  // namespace annulus
