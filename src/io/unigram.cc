#include "io/unigram.h"

#include <algorithm>

#include "io/unicode.h"

namespace annulus {
namespace {

constexpr double kUnkPenalty = 10;  // below the worst score

}  // namespace

UnigramModel::UnigramModel(Vocabulary vocabulary, std::vector<double> scores, std::int32_t unk)
    : vocabulary_(std::move(vocabulary)), scores_(std::move(scores)), unk_(unk) {
  for (std::int32_t id = 0; id < vocabulary_.end_id(); ++id)
    if (const auto token = vocabulary_.token_of(id); token && !token->empty())
      sorted_.push_back({*token, id});
  std::sort(sorted_.begin(), sorted_.end(),
            [](const Entry& a, const Entry& b) { return a.token < b.token; });
  const auto least = std::min_element(scores_.begin(), scores_.end());
  unk_score_ = (least == scores_.end() ? 0 : *least) - kUnkPenalty;
}

template <class Take>
void UnigramModel::prefixes(std::string_view text, Take take) const {
  auto begin = sorted_.begin(), end = sorted_.end();
  for (std::size_t depth = 0; depth < text.size() && begin != end; ++depth) {
    const auto byte = static_cast<unsigned char>(text[depth]);
    // Within [begin, end) the first `depth` bytes are those of the text; shorter ones stand first.
    const auto before = [depth](const Entry& entry, unsigned char wanted) {
      return entry.token.size() <= depth || static_cast<unsigned char>(entry.token[depth]) < wanted;
    };
    const auto after = [depth](unsigned char wanted, const Entry& entry) {
      return entry.token.size() > depth && static_cast<unsigned char>(entry.token[depth]) > wanted;
    };
    begin = std::lower_bound(begin, end, byte, before);
    end = std::upper_bound(begin, end, byte, after);
    if (begin != end && begin->token.size() == depth + 1) take(*begin);
  }
}

void UnigramModel::pieces(std::string_view text, std::vector<Piece>& out) const {
  struct Best {
    double score = 0;
    std::size_t begin = 0;
    std::int32_t id = -1;  // -1: nothing ends here
  };
  std::vector<Best> ends(text.size() + 1);
  const auto offer = [&](std::size_t begin, std::size_t end, std::int32_t id, double score) {
    const double total = ends[begin].score + score;
    if (ends[end].id < 0 || total > ends[end].score) ends[end] = {total, begin, id};
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    const std::size_t one = first_character(rest).bytes;
    bool single = false;
    prefixes(rest, [&](const Entry& entry) {
      offer(at, at + entry.token.size(), entry.id, scores_[static_cast<std::size_t>(entry.id)]);
      single = single || entry.token.size() == one;
    });
    if (!single) offer(at, at + one, unk_, unk_score_);
    at += one;
  }
  const std::size_t first = out.size();
  for (std::size_t end = text.size(); end > 0;) {
    const Best& best = ends[end];
    const std::string_view piece = text.substr(best.begin, end - best.begin);
    // Neighbouring unknown characters are one piece.
    if (best.id == unk_ && out.size() > first && out.back().id == unk_)
      out.back().text = {piece.data(), piece.size() + out.back().text.size()};
    else
      out.push_back({piece, best.id});
    end = best.begin;
  }
  std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
}

}  // namespace annulus
