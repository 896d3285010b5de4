#include "io/bpe.h"

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "io/unicode.h"

namespace annulus {
namespace {

std::uint64_t key_of(std::int32_t left, std::int32_t right) noexcept {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
         static_cast<std::uint32_t>(right);
}

std::size_t start_of(std::uint64_t key, std::size_t capacity) noexcept {
  return static_cast<std::size_t>((key * 0x9e3779b97f4a7c15u) >> (64 - std::countr_zero(capacity)));
}

/// Orders a heap so that the candidate to merge first is on top.
bool later(const BpeMerges::Scratch::Candidate& a,
           const BpeMerges::Scratch::Candidate& b) noexcept {
  return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
}

}  // namespace

BpeMerges::BpeMerges(const Vocabulary& vocabulary, const std::vector<Pair>& pairs,
                     const std::string& where) {
  table_.resize(std::bit_ceil(2 * pairs.size() + 2));
  const auto fail = [&](std::size_t rank, const std::string& wanted, std::string_view found) {
    throw Error(ErrorCode::CorruptFile,
                text_of("merge ", rank, " (", in_quotes(pairs[rank].first), " ",
                        in_quotes(pairs[rank].second), "): wanted ", wanted, ", found ",
                        in_quotes(found), " (", where, ")"));
  };
  std::string whole;
  for (std::size_t rank = 0; rank < pairs.size(); ++rank) {
    const std::string_view left = pairs[rank].first, right = pairs[rank].second;
    const auto id_of = [&](std::string_view token) {
      const auto id = vocabulary.id_of(token);
      if (!id) fail(rank, "tokens of the vocabulary", token);
      return id.value_or(0);
    };
    if (left.empty() || right.empty()) fail(rank, "two tokens that are not empty", "");
    whole.assign(left).append(right);
    const std::uint64_t key = key_of(id_of(left), id_of(right));
    Slot& slot = slot_for(key);
    if (slot.pair == kNoPair) ++count_;
    slot = {key, static_cast<std::uint32_t>(rank), id_of(whole)};
  }
}

BpeMerges::Slot& BpeMerges::slot_for(std::uint64_t pair) noexcept {
  std::size_t at = start_of(pair, table_.size());
  while (table_[at].pair != kNoPair && table_[at].pair != pair) at = (at + 1) & (table_.size() - 1);
  return table_[at];
}

const BpeMerges::Slot* BpeMerges::find(std::int32_t left, std::int32_t right) const noexcept {
  if (table_.empty()) return nullptr;
  const std::uint64_t pair = key_of(left, right);
  for (std::size_t at = start_of(pair, table_.size());; at = (at + 1) & (table_.size() - 1)) {
    if (table_[at].pair == pair) return &table_[at];
    if (table_[at].pair == kNoPair) return nullptr;
  }
}

void BpeMerges::propose(Scratch& scratch, std::int32_t position) const {
  const Scratch::Symbol& left = scratch.symbols[static_cast<std::size_t>(position)];
  if (left.next < 0) return;
  const Slot* const slot = find(left.id, scratch.symbols[static_cast<std::size_t>(left.next)].id);
  if (slot != nullptr) scratch.heap.push_back({slot->rank, position, slot->id});
}

void BpeMerges::merge(std::vector<std::int32_t>& word, Scratch& scratch) const {
  if (word.size() < 2) return;
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  const auto count = static_cast<std::int32_t>(word.size());
  symbols.resize(word.size());
  heap.clear();
  for (std::int32_t i = 0; i < count; ++i)
    symbols[static_cast<std::size_t>(i)] = {word[static_cast<std::size_t>(i)], i - 1,
                                            i + 1 < count ? i + 1 : -1};
  for (std::int32_t i = 0; i < count; ++i) propose(scratch, i);
  std::make_heap(heap.begin(), heap.end(), later);

  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    const Scratch::Candidate best = heap.back();
    heap.pop_back();
    Scratch::Symbol& left = symbols[static_cast<std::size_t>(best.position)];
    if (left.id < 0 || left.next < 0) continue;
    Scratch::Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    // The candidate may be out of date. The reference compares what the pair becomes, not its rank,
    // so we do.
    const Slot* const now = find(left.id, right.id);
    if (now == nullptr || now->id != best.id) continue;
    left.id = best.id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = best.position;
    for (const std::int32_t position : {left.previous, best.position}) {
      if (position < 0) continue;
      const std::size_t before = heap.size();
      propose(scratch, position);
      if (heap.size() != before) std::push_heap(heap.begin(), heap.end(), later);
    }
  }

  word.clear();
  for (std::int32_t i = 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].next)
    word.push_back(symbols[static_cast<std::size_t>(i)].id);
}

}  // namespace annulus
