#include "io/pretokenizer.h"

#include <algorithm>

#include "io/tokenizer_normalizer.h"

namespace annulus {
namespace {

// PRETOKENIZE_REGEX in transformers, models/qwen2/tokenization_qwen2.py (also in the tokenizer.json
// of Qwen2 to Qwen3).
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// The pattern of GPT-2 (Radford et al. 2019, encoder.py), which ByteLevel applies when use_regex is
// true.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

Pretokenizer::Behavior behavior_of(const Json& entry) {
  using Behavior = Pretokenizer::Behavior;
  const auto name = entry.as<std::string>();
  if (name == "Isolated") return Behavior::Isolated;
  if (name == "Removed") return Behavior::Removed;
  if (name == "Contiguous") return Behavior::Contiguous;
  if (name == "MergedWithPrevious") return Behavior::MergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::MergedWithNext;
  entry.fail("Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext");
}

struct Part {
  TextRange range;
  bool match;
};

/// Matches and what lies between them, covering [0, size).
std::vector<Part> parts_of(std::size_t size, const std::vector<TextRange>& matches, bool invert) {
  std::vector<Part> parts;
  parts.reserve(2 * matches.size() + 1);
  std::size_t done = 0;
  for (const TextRange& match : matches) {
    if (match.begin > done) parts.push_back({{done, match.begin}, invert});
    parts.push_back({match, !invert});
    done = match.end;
  }
  if (done < size) parts.push_back({{done, size}, invert});
  return parts;
}

}  // namespace

std::vector<TextRange> split_at(std::size_t size, const std::vector<TextRange>& matches,
                                Pretokenizer::Behavior behavior, bool invert) {
  using Behavior = Pretokenizer::Behavior;
  std::vector<Part> parts = parts_of(size, matches, invert);
  std::vector<TextRange> pieces;
  pieces.reserve(parts.size());
  const bool backwards =
      behavior == Behavior::MergedWithNext;  // the mirror image of MergedWithPrevious
  if (backwards) std::reverse(parts.begin(), parts.end());
  bool previous_match = false;
  for (const Part& part : parts) {
    bool joins = false;
    switch (behavior) {
      case Behavior::Isolated:
        break;
      case Behavior::Removed:
        if (part.match) continue;
        break;
      case Behavior::Contiguous:
        joins = part.match == previous_match;
        break;
      case Behavior::MergedWithPrevious:
      case Behavior::MergedWithNext:
        joins = part.match && !previous_match;
        break;
    }
    if (!joins || pieces.empty())
      pieces.push_back(part.range);
    else if (backwards)
      pieces.back().begin = part.range.begin;
    else
      pieces.back().end = part.range.end;
    previous_match = part.match;
  }
  if (backwards) std::reverse(pieces.begin(), pieces.end());
  std::erase_if(pieces, [](const TextRange& piece) { return piece.begin == piece.end; });
  return pieces;
}

Pretokenizer Pretokenizer::qwen2(bool add_prefix_space) {
  Pretokenizer made;
  made.splits_.push_back(
      {Pattern::regex(kQwen2Pattern, "Qwen2's pre-tokenizer"), Behavior::Isolated, false});
  made.add_prefix_space_ = add_prefix_space;
  made.complete_ = true;
  return made;
}

Pretokenizer Pretokenizer::gpt2(bool add_prefix_space) {
  Pretokenizer made;
  made.byte_level_pattern_ = Pattern::regex(kGpt2Pattern, "GPT-2's pre-tokenizer");
  made.add_prefix_space_ = add_prefix_space;
  made.complete_ = true;
  return made;
}

Pretokenizer Pretokenizer::from_json(const Json& entry) {
  Pretokenizer made;
  made.add(entry, 0);
  if (!made.complete_) entry.fail("a ByteLevel at the end");
  return made;
}

void Pretokenizer::add(const Json& entry, int depth) {
  const auto type = entry.get<std::string>("type");
  if (type == "Sequence" && depth < 8) {
    for (const Json& step : entry["pretokenizers"].elements()) add(step, depth + 1);
    return;
  }
  if (complete_ || (type != "Split" && type != "Digits" && type != "ByteLevel"))
    throw Error(
        ErrorCode::Unsupported,
        text_of(entry.path(), ": wanted Split or Digits, then ByteLevel as the last, found ", type,
                complete_ ? " after ByteLevel" : "", " (", entry.where(), ")"));
  if (type == "Split") {
    splits_.push_back({pattern_from_json(entry["pattern"]), behavior_of(entry["behavior"]),
                       entry.get<bool>("invert", false)});
  } else if (type == "Digits") {
    const bool each = entry.get<bool>("individual_digits", false);
    splits_.push_back({Pattern::regex(R"(\p{N})", entry.where()),
                       each ? Behavior::Isolated : Behavior::Contiguous, false});
  } else {
    add_prefix_space_ = entry.get<bool>("add_prefix_space", true);
    if (entry.get<bool>("use_regex", true))
      byte_level_pattern_ = Pattern::regex(kGpt2Pattern, "GPT-2's pre-tokenizer");
    complete_ = true;
  }
}

void Pretokenizer::words(std::string_view text,
                         const std::function<void(std::string_view)>& take) const {
  std::vector<TextRange> pieces{{0, text.size()}};
  for (const Split& split : splits_) {
    std::vector<TextRange> next;
    for (const TextRange& piece : pieces) {
      const std::string_view part = text.substr(piece.begin, piece.end - piece.begin);
      for (const TextRange& range :
           split_at(part.size(), split.pattern.matches(part), split.behavior, split.invert))
        next.push_back({piece.begin + range.begin, piece.begin + range.end});
    }
    pieces = std::move(next);
  }
  for (const TextRange& piece : pieces)
    if (piece.begin < piece.end)
      byte_level(text.substr(piece.begin, piece.end - piece.begin), take);
}

void Pretokenizer::byte_level(std::string_view piece,
                              const std::function<void(std::string_view)>& take) const {
  std::string prefixed;
  if (add_prefix_space_ && piece.front() != ' ') piece = prefixed.append(" ").append(piece);
  if (!byte_level_pattern_) return take(piece);
  for (const TextRange& range :
       split_at(piece.size(), byte_level_pattern_->matches(piece), Behavior::Isolated, false))
    take(piece.substr(range.begin, range.end - range.begin));
}

}  // namespace annulus
