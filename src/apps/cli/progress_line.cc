#include "apps/cli/progress_line.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>

namespace annulus::cli {

namespace {

constexpr int kWidth = 28;  // of the bar, in characters
constexpr auto kBetweenDrawings = std::chrono::milliseconds(50);
constexpr auto kBetweenLines = std::chrono::seconds(1);

double seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

template <class... Values>
std::string printed(const char* format, Values... values) {
  char text[64];
  const int length = std::snprintf(text, sizeof text, format, values...);
  return {text, static_cast<std::size_t>(std::clamp(length, 0, static_cast<int>(sizeof text) - 1))};
}

}  // namespace

std::string rate_text(int done, double seconds) {
  if (done <= 0 || seconds <= 0) return "-";
  const double rate = done / seconds;
  return rate >= 1 ? printed("%.1f it/s", rate) : printed("%.1f s/it", 1 / rate);
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(std::lround(std::clamp(seconds, 0.0, 1e9)));
  if (whole >= 3600) return printed("%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  return printed("%ld:%02ld", whole / 60, whole % 60);
}

ProgressLine::ProgressLine(std::ostream& out, Form form) : out_(out), form_(form) {}

ProgressLine::~ProgressLine() {
  clear();
}

void ProgressLine::picture(int index, int count) {
  title_ =
      count > 1 ? std::to_string(index + 1) + "/" + std::to_string(count) + " " : std::string{};
  stage_.clear();
}

void ProgressLine::at(std::string_view stage, int done, int total) {
  if (form_ == Form::Quiet) return;
  const Clock::time_point now = Clock::now();
  const bool fresh = stage_ != stage, last = done >= total;
  if (fresh) {
    stage_ = stage;
    stage_start_ = now;
  }
  if (form_ == Form::Bar) {
    if (fresh || last || now - last_drawn_ >= kBetweenDrawings) draw(done, total, last);
  } else if (done > 0 && (last || now - last_drawn_ >= kBetweenLines)) {
    draw(done, total, last);
  }
}

void ProgressLine::draw(int done, int total, bool last) {
  const double spent = seconds_since(stage_start_);
  const double left = done > 0 ? spent / done * (total - done) : 0;
  std::string text = title_ + stage_ + " ";
  if (form_ == Form::Bar) {
    const int full = total > 0 ? kWidth * done / total : 0;
    std::string bar;
    for (int i = 0; i < kWidth; ++i) bar += i < full ? "\u2588" : "\u2591";
    text += bar + " ";
  }
  text += std::to_string(done) + "/" + std::to_string(total);
  if (done > 0) text += "  " + rate_text(done, spent);
  if (done > 0 && !last) text += "  " + duration_text(left) + " left";
  if (form_ == Form::Bar)
    out_ << '\r' << text << "\x1b[K" << std::flush;
  else
    out_ << "annulus: " << text << std::endl;
  shown_ = form_ == Form::Bar;
  last_drawn_ = Clock::now();
}

void ProgressLine::clear() {
  if (shown_) out_ << "\r\x1b[K" << std::flush;
  shown_ = false;
}

}  // namespace annulus::cli
