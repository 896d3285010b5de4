// Runs the program as a user does: arguments in, status and both outputs back.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace annulus::test {

struct Finished {
  int status = 0;  // 128 + signal when a signal ended it
  std::string out, err;
};

/// Where the program's stdout goes: to us, to a full device, nowhere (closed), to a pipe that
/// nobody reads.
enum class Stdout { Captured, Full, Closed, Unread };

struct RunOptions {
  std::vector<std::string> environment;  // "NAME=value", added
  std::filesystem::path folder;          // to start in; empty: this one
  int signal = 0;                        // to send once stderr holds `signal_after`
  std::string signal_after;
  std::string victim;  // "rank 1": the signal goes to that rank of --ranks; empty: to the program
  Stdout out = Stdout::Captured;
  std::size_t most_file_bytes = 0;  // that the program may write to one file; 0: any number
};

Finished run_program(const std::vector<std::string>& arguments, const RunOptions& options = {});

/// An empty folder that is removed with everything in it.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

std::string read_text(const std::filesystem::path& file);
void write_text(const std::filesystem::path& file, std::string_view text);

/// Names of the files below `folder`, sorted.
std::vector<std::string> files_in(const std::filesystem::path& folder);

/// A copy of the storybook model whose files may be changed (large ones are links until replaced).
void copy_storybook(const std::filesystem::path& to);

}  // namespace annulus::test
