#include "apps/cli/nearest.h"

#include <algorithm>

#include "base/edit_distance.h"

namespace annulus::cli {

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  constexpr std::size_t kLongest = 64;  // of a word that can be a slip of the finger
  if (word.size() > kLongest) return {};
  std::string best;
  std::size_t least = std::max<std::size_t>(word.size() / 3, 2) + 1;
  for (const std::string& candidate : candidates) {
    const bool starts = word.size() >= 4 && candidate.starts_with(word);
    const std::size_t found = starts ? 1 : edit_distance(word, candidate);
    if (found < least) {
      least = found;
      best = candidate;
    }
  }
  return best;
}

}  // namespace annulus::cli
