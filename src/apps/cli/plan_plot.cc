#include <algorithm>
#include <cmath>
#include <sstream>

#include "apps/cli/plan.h"

namespace annulus::cli {

namespace {

constexpr double kWidth = 760, kHeight = 460, kLeft = 90, kRight = 200, kTop = 60, kBottom = 60;

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

std::string in_units(double seconds) {
  std::ostringstream text;
  text.precision(3);
  if (seconds < 1e-3)
    text << seconds * 1e6 << " us";
  else if (seconds < 1)
    text << seconds * 1e3 << " ms";
  else
    text << seconds << " s";
  return text.str();
}

// Both axes logarithmic: perfect scaling is a straight line.
class Chart {
 public:
  Chart(const std::string& title, int most_ranks, double least, double most)
      : most_ranks_(std::max(most_ranks, 2)), least_(least), most_(most) {
    out_.precision(6);
    out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << kWidth << "\" height=\""
         << kHeight << "\" font-family=\"sans-serif\" font-size=\"12\">\n"
         << "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
    text(kLeft, 24, title, "start", "#222");
    text((kLeft + kWidth - kRight) / 2, kHeight - 16, "ranks", "middle", "#222");
    text(kLeft, kTop - 12, "seconds of a step", "middle", "#222");
  }

  double x(double ranks) const {
    return kLeft + (kWidth - kLeft - kRight) * std::log(ranks) / std::log(most_ranks_);
  }
  double y(double seconds) const {
    return kTop + (kHeight - kTop - kBottom) * std::log(most_ / seconds) / std::log(most_ / least_);
  }

  void text(double x, double y, const std::string& words, const char* anchor, const char* colour) {
    out_ << "<text x=\"" << x << "\" y=\"" << y << "\" text-anchor=\"" << anchor << "\" fill=\""
         << colour << "\">" << escaped(words) << "</text>\n";
  }
  void segment(double x1, double y1, double x2, double y2, const char* colour) {
    out_ << "<line x1=\"" << x1 << "\" y1=\"" << y1 << "\" x2=\"" << x2 << "\" y2=\"" << y2
         << "\" stroke=\"" << colour << "\"/>\n";
  }
  void curve(const std::vector<std::pair<int, double>>& values, const char* colour,
             const char* dashes, const std::string& name) {
    if (values.empty()) return;
    out_ << "<polyline fill=\"none\" stroke=\"" << colour << "\" stroke-width=\"2\"";
    if (*dashes != 0) out_ << " stroke-dasharray=\"" << dashes << "\"";
    out_ << " points=\"";
    for (const auto& [ranks, seconds] : values) out_ << x(ranks) << ',' << y(seconds) << ' ';
    out_ << "\"/>\n";
    const double at = kTop + 20.0 * legend_++;
    segment(kWidth - kRight + 15, at, kWidth - kRight + 40, at, colour);
    text(kWidth - kRight + 46, at + 4, name, "start", "#222");
  }
  void dot(double x, double y, const std::string& about) {
    out_ << "<circle cx=\"" << x << "\" cy=\"" << y << "\" r=\"4\" fill=\"#c0392b\"><title>"
         << escaped(about) << "</title></circle>\n";
  }
  std::string finished() {
    out_ << "</svg>\n";
    return out_.str();
  }

 private:
  std::ostringstream out_;
  double most_ranks_, least_, most_;
  int legend_ = 0;
};

}  // namespace

std::string scaling_svg(const std::string& title, const std::vector<ScalingPoint>& points) {
  using Values = std::vector<std::pair<int, double>>;
  Values best, ideal, ring, ulysses;
  double least = 0, most = 0;
  const auto add = [&](Values& values, int ranks, double seconds) {
    values.emplace_back(ranks, seconds);
    least = least == 0 ? seconds : std::min(least, seconds);
    most = std::max(most, seconds);
  };
  const double alone = points.front().best.seconds();
  for (const ScalingPoint& point : points) {
    add(best, point.ranks, point.best.seconds());
    add(ideal, point.ranks, alone / point.ranks);
    if (point.ring_seconds) add(ring, point.ranks, *point.ring_seconds);
    if (point.ulysses_seconds) add(ulysses, point.ranks, *point.ulysses_seconds);
  }
  // Whole decades.
  least = std::pow(10, std::floor(std::log10(least)));
  most = std::max(10 * least, std::pow(10, std::ceil(std::log10(most))));
  Chart chart(title, points.back().ranks, least, most);
  for (double seconds = least; seconds <= most * 1.01; seconds *= 10) {
    chart.segment(kLeft, chart.y(seconds), kWidth - kRight, chart.y(seconds), "#ddd");
    chart.text(kLeft - 8, chart.y(seconds) + 4, in_units(seconds), "end", "#222");
  }
  for (const ScalingPoint& point : points) {
    chart.segment(chart.x(point.ranks), kTop, chart.x(point.ranks), kHeight - kBottom, "#eee");
    chart.text(chart.x(point.ranks), kHeight - kBottom + 18, text_of(point.ranks), "middle",
               "#222");
  }
  chart.curve(ideal, "#999", "4 4", "ideal");
  chart.curve(ring, "#2980b9", "", "ring alone");
  chart.curve(ulysses, "#27ae60", "", "ulysses alone");
  chart.curve(best, "#c0392b", "", "best plan");
  for (const ScalingPoint& point : points)
    chart.dot(chart.x(point.ranks), chart.y(point.best.seconds()),
              text_of(point.ranks, " ranks: ", to_string(point.best.cost.plan), ", ",
                      in_units(point.best.seconds())));
  return chart.finished();
}

}  // namespace annulus::cli
