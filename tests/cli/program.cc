#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace annulus::test {

namespace {

struct Pipe {
  int read = -1, write = -1;
  Pipe() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    read = ends[0];
    write = ends[1];
  }
};

void redirect_stdout(Stdout to, int captured) {
  if (to == Stdout::Closed) {
    close(STDOUT_FILENO);
  } else if (to == Stdout::Full) {
    dup2(open("/dev/full", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
  } else if (to == Stdout::Unread) {
    const Pipe unread;
    dup2(unread.write, STDOUT_FILENO);
    close(unread.read);
  } else {
    dup2(captured, STDOUT_FILENO);
  }
}

[[noreturn]] void become(const std::vector<std::string>& arguments, const RunOptions& options,
                         int out, int err) {
  redirect_stdout(options.out, out);
  dup2(err, STDERR_FILENO);
  if (options.most_file_bytes > 0) {
    const rlimit limit = {options.most_file_bytes, options.most_file_bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  if (!options.folder.empty() && chdir(options.folder.c_str()) != 0) _exit(126);
  for (const std::string& variable : options.environment)
    putenv(const_cast<char*>(variable.c_str()));
  std::vector<char*> words = {const_cast<char*>(ANNULUS_PROGRAM)};
  for (const std::string& argument : arguments)
    words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  execv(ANNULUS_PROGRAM, words.data());
  _exit(127);
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  const std::string task = "/proc/" + std::to_string(parent);
  std::ifstream list(task + "/task/" + std::to_string(parent) + "/children");
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

// The program itself, or one of the ranks that the mpirun below it started (in rank order).
pid_t victim_of(pid_t program, const std::string& victim) {
  if (victim.empty()) return program;
  const auto rank = static_cast<std::size_t>(std::stoi(victim.substr(victim.find(' ') + 1)));
  const std::vector<pid_t> mpirun = children_of(program);
  if (mpirun.empty()) return program;
  const std::vector<pid_t> ranks = children_of(mpirun.front());
  return rank < ranks.size() ? ranks[rank] : program;
}

}  // namespace

Finished run_program(const std::vector<std::string>& arguments, const RunOptions& options) {
  Pipe out, err;
  const pid_t child = fork();
  if (child == 0) become(arguments, options, out.write, err.write);
  close(out.write);
  close(err.write);
  Finished finished;
  bool signalled = options.signal == 0;
  std::array<pollfd, 2> ends = {{{out.read, POLLIN, 0}, {err.read, POLLIN, 0}}};
  std::array<std::string*, 2> texts = {&finished.out, &finished.err};
  for (int open = 2; open > 0;) {
    poll(ends.data(), ends.size(), -1);
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (ends[i].fd < 0 || ends[i].revents == 0) continue;
      std::array<char, 4096> block;
      const ssize_t length = read(ends[i].fd, block.data(), block.size());
      if (length > 0) {
        texts[i]->append(block.data(), static_cast<std::size_t>(length));
      } else {
        close(ends[i].fd);
        ends[i].fd = -1;
        --open;
      }
    }
    if (!signalled && finished.err.find(options.signal_after) != std::string::npos) {
      kill(victim_of(child, options.victim), options.signal);
      signalled = true;
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  finished.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return finished;
}

ScratchFolder::ScratchFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "annulus-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = pattern;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void write_text(const std::filesystem::path& file, std::string_view text) {
  std::filesystem::remove(file);  // a link to the original must not be written through
  std::ofstream(file, std::ios::binary) << text;
}

std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      names.push_back(std::filesystem::relative(entry.path(), folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

void copy_storybook(const std::filesystem::path& to) {
  const std::filesystem::path from = std::filesystem::path(ANNULUS_SOURCE_DIR) / "demo/storybook";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(from)) {
    const std::filesystem::path target = to / std::filesystem::relative(entry.path(), from);
    if (entry.is_directory())
      std::filesystem::create_directories(target);
    else {
      std::filesystem::create_directories(target.parent_path());
      std::filesystem::create_symlink(entry.path(), target);
    }
  }
}

}  // namespace annulus::test
