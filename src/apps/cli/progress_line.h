#pragma once

#include <chrono>
#include <iosfwd>
#include <string>
#include <string_view>

namespace annulus::cli {

/// Progress on stderr: a bar with stage, step, steps per second and time left on a terminal, else
/// one plain line per step or second, whichever is rarer. Says nothing when quiet.
class ProgressLine {
 public:
  enum class Form { Bar, Lines, Quiet };
  ProgressLine(std::ostream& out, Form form);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Picture `index` of `count` comes next; `title` is shown before the stage ("2/4 ").
  void picture(int index, int count);
  void at(std::string_view stage, int done, int total);
  void clear();  // so that something else can be printed

 private:
  using Clock = std::chrono::steady_clock;
  void draw(int done, int total, bool last);

  std::ostream& out_;
  Form form_;
  std::string title_, stage_;
  Clock::time_point stage_start_{}, last_drawn_{};
  bool shown_ = false;
};

/// "1.9 it/s", or "2.4 s/it" when slower than one a second.
std::string rate_text(int done, double seconds);

/// "0:07", "12:05", "3:00:12".
std::string duration_text(double seconds);

}  // namespace annulus::cli
