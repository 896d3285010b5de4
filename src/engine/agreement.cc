#include "engine/agreement.h"

#include <algorithm>
#include <charconv>
#include <exception>
#include <new>
#include <optional>
#include <span>

#include "engine/wire.h"

namespace annulus {

namespace {

// A reason travels as text: message, code and hint, with a separator that no message contains.
constexpr char kSeparator = '\x1f';
constexpr int kLastCode = static_cast<int>(ErrorCode::Cancelled);

ErrorCode code_of(const std::exception& error) {
  if (const auto* known = dynamic_cast<const Error*>(&error)) return known->code();
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return ErrorCode::OutOfMemory;
  return ErrorCode::PeerFailure;  // a bug there; its own process reports it as one
}

std::string hint_of(const std::exception& error) {
  const auto* known = dynamic_cast<const Error*>(&error);
  return known == nullptr ? std::string{} : known->hint();
}

struct Refusal {
  int rank;
  ErrorCode code;
  std::string what, hint;
};

[[noreturn]] void throw_refusal(const std::vector<Refusal>& refusals, int ranks) {
  const Refusal& first = refusals.front();
  const bool all = static_cast<int>(refusals.size()) == ranks &&
                   std::all_of(refusals.begin(), refusals.end(),
                               [&](const Refusal& r) { return r.what == first.what; });
  throw Error(first.code, all ? first.what : text_of("rank ", first.rank, ": ", first.what),
              first.hint);
}

}  // namespace

void require_agreement(Communicator& world, const std::vector<Statement>& mine) {
  if (world.size() == 1) return;
  Writer out;
  out.put(static_cast<std::uint64_t>(mine.size()));
  for (const Statement& statement : mine) {
    out.put(statement.what);
    out.put(statement.value);
  }
  const std::vector<std::vector<std::byte>> all = world.all_gather(out.bytes());
  std::vector<Statement> first;  // rank 0's
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    Reader in(all[rank], "what a rank says of itself");
    std::vector<Statement> theirs(in.count());
    for (Statement& statement : theirs) {
      statement.what = in.text();
      statement.value = in.text();
    }
    if (rank == 0) first = theirs;
    const auto differ = [&](const std::string& what, const std::string& one,
                            const std::string& other) {
      throw Error(ErrorCode::PeerFailure,
                  text_of(what, ": wanted the same on every rank, found ", one, " on rank 0 and ",
                          other, " on rank ", rank));
    };
    for (std::size_t i = 0; i < std::max(first.size(), theirs.size()); ++i) {
      if (i >= theirs.size() || i >= first.size())
        differ((i < first.size() ? first : theirs)[i].what, i < first.size() ? "it" : "none",
               i < theirs.size() ? "it" : "none");
      if (first[i].what != theirs[i].what) differ(first[i].what, "it", theirs[i].what);
      if (first[i].value != theirs[i].value) differ(first[i].what, first[i].value, theirs[i].value);
    }
  }
}

void together(Communicator& world, const std::function<void()>& work) {
  if (world.size() == 1) return work();
  Writer out;
  std::exception_ptr own;
  try {
    work();
  } catch (const std::exception& error) {
    own = std::current_exception();
    out.put(static_cast<std::int32_t>(code_of(error)));
    out.put(std::string(error.what()));
    out.put(hint_of(error));
  }
  const std::vector<std::vector<std::byte>> all = world.all_gather(out.bytes());
  std::vector<Refusal> refusals;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].empty()) continue;
    Reader in(all[rank], "the error of a rank");
    const auto code = in.get<std::int32_t>();
    Refusal refusal = {
        static_cast<int>(rank),
        code >= 0 && code <= kLastCode ? static_cast<ErrorCode>(code) : ErrorCode::PeerFailure,
        in.text(),
        {}};
    refusal.hint = in.text();
    refusals.push_back(std::move(refusal));
  }
  if (!refusals.empty()) throw_refusal(refusals, world.size());
}

std::string failure_text(int rank, const std::exception& error) {
  return text_of("rank ", rank, ": ", error.what(), kSeparator, static_cast<int>(code_of(error)),
                 kSeparator, hint_of(error));
}

Error quoted_error(const Error& peer_failure) {
  const std::string text = peer_failure.what();
  const std::size_t first = text.find(kSeparator);
  const std::size_t second = first == std::string::npos ? first : text.find(kSeparator, first + 1);
  if (second == std::string::npos) return peer_failure;
  int code = -1;
  std::from_chars(text.data() + first + 1, text.data() + second, code);
  if (code < 0 || code > kLastCode) return peer_failure;
  return {static_cast<ErrorCode>(code), text.substr(0, first), text.substr(second + 1)};
}

}  // namespace annulus
