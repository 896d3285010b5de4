#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace annulus {

/// Another program that is fed through its standard input, run without a shell. What it prints is
/// kept, the last 64 KiB of it. It is killed when this ends before finish().
class ChildProgram {
 public:
  /// arguments[0] is the program, looked for in PATH. Throws Unsupported when it cannot be run.
  explicit ChildProgram(const std::vector<std::string>& arguments);
  ~ChildProgram();
  ChildProgram(const ChildProgram&) = delete;
  ChildProgram& operator=(const ChildProgram&) = delete;

  /// False when the program takes no more: it has ended, or has taken nothing for a minute.
  bool feed(std::span<const std::byte> bytes) noexcept;
  /// Ends its input and waits. What became of it: "" for status 0, else "status 1", "signal 9".
  std::string finish();
  /// What it printed, on both outputs.
  std::string printed() const;

 private:
  void close_input() noexcept;

  pid_t child_ = -1;
  int input_ = -1, output_ = -1;
};

}  // namespace annulus
