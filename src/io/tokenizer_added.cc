#include "io/tokenizer_added.h"

#include <algorithm>

#include "io/unicode.h"

namespace annulus {
namespace {

std::size_t white_space_at_end(std::string_view text) noexcept {
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const Character last = last_character(text.substr(0, text.size() - bytes));
    if (!is_white_space(last.code)) break;
    bytes += last.bytes;
  }
  return bytes;
}

std::size_t white_space_at_start(std::string_view text) noexcept {
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const Character first = first_character(text.substr(bytes));
    if (!is_white_space(first.code)) break;
    bytes += first.bytes;
  }
  return bytes;
}

bool touches_a_word(std::string_view before, std::string_view after) noexcept {
  return (!before.empty() && is_word_character(last_character(before).code)) ||
         (!after.empty() && is_word_character(first_character(after).code));
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens,
                                   const std::vector<std::string>& spellings)
    : tokens_(std::move(tokens)), ends_(1, 0) {
  for (std::size_t token = 0; token < tokens_.size(); ++token) {
    const std::string& spelling = spellings[token];
    if (spelling.empty()) continue;
    starts_[static_cast<unsigned char>(spelling[0])] = true;
    std::uint32_t node = 0;
    for (const char byte : spelling) {
      const auto [found, added] =
          edges_.emplace(edge(node, byte), static_cast<std::uint32_t>(ends_.size()));
      if (added) ends_.push_back(0);
      node = found->second;
    }
    if (ends_[node] == 0) ends_[node] = static_cast<std::uint32_t>(token + 1);
  }
}

AddedTokenFinder::Match AddedTokenFinder::longest_at(std::string_view text) const {
  Match longest;
  std::uint32_t node = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto next = edges_.find(edge(node, text[i]));
    if (next == edges_.end()) break;
    node = next->second;
    if (ends_[node] != 0) longest = {ends_[node] - 1, i + 1};
  }
  return longest;
}

void AddedTokenFinder::split(std::string_view text, std::vector<TextPiece>& pieces) const {
  std::size_t done = 0;  // all before is in `pieces`
  for (std::size_t at = 0; at < text.size();) {
    const Match match =
        starts_[static_cast<unsigned char>(text[at])] ? longest_at(text.substr(at)) : Match{};
    if (match.bytes == 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[match.token];
    std::size_t begin = at, end = at + match.bytes;
    at = end;  // also when it does not count: the search goes on behind it
    if (token.single_word && touches_a_word(text.substr(0, begin), text.substr(end))) continue;
    if (token.lstrip) begin = std::max(done, begin - white_space_at_end(text.substr(0, begin)));
    if (token.rstrip) end += white_space_at_start(text.substr(end));
    if (done < begin) pieces.push_back({text.substr(done, begin - done)});
    pieces.push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done)});
}

}  // namespace annulus
