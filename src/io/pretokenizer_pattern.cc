#define PCRE2_CODE_UNIT_WIDTH 8
#include "io/pretokenizer_pattern.h"

#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/error.h"
#include "io/unicode.h"

namespace annulus {
namespace {

constexpr std::size_t kMaxExpression = 64 * 1024;  // bytes; the longest known has about 600
// Steps of one match: patterns of real files take a few per byte of what they match or skip.
constexpr std::uint32_t kMaxSteps = 200'000, kMaxStepsPerByte = 16;
constexpr std::uint32_t kMaxHeapKib = 64 * 1024;  // backtracking memory of one match

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* x) const noexcept {
    Free(x);
  }
};
using Code = std::unique_ptr<pcre2_code, FreeWith<&pcre2_code_free>>;
using CompileContext =
    std::unique_ptr<pcre2_compile_context, FreeWith<&pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, FreeWith<&pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, FreeWith<&pcre2_match_data_free>>;

/// The class that Oniguruma means by a letter after a backslash, in PCRE2's words; empty when both
/// mean the same. PCRE2's own \s holds U+180E and its \w and \h are other sets.
std::string_view rewritten_class(char letter) noexcept {
  switch (letter) {
    case 's':
      return "\\p{White_Space}";
    case 'S':
      return "\\P{White_Space}";
    case 'd':
      return "\\p{Nd}";
    case 'D':
      return "\\P{Nd}";
    case 'v':
      return "\\x0b";
    default:
      return {};
  }
}

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(error, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

/// Walks `expression` once: rewrites class letters, refuses what would compile and mean something
/// else.
class Translator {
 public:
  Translator(std::string_view expression, const std::string& where)
      : from_(expression), where_(where) {}

  std::string run() {
    while (at_ < from_.size()) {
      const char c = from_[at_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        class_character(c);
      } else {
        if (c == '(') check_group();
        if (c == '[') in_class_ = true, class_start_ = at_ + 1 + (next(1) == '^' ? 1u : 0u);
        take(1);
      }
    }
    return std::move(to_);
  }

 private:
  char next(std::size_t ahead) const noexcept {
    return at_ + ahead < from_.size() ? from_[at_ + ahead] : '\0';
  }
  void take(std::size_t count) {
    to_.append(from_.substr(at_, count));
    at_ += count;
  }
  [[noreturn]] void refuse(std::string_view what) const {
    throw Error(ErrorCode::Unsupported,
                text_of("pattern: wanted syntax that PCRE2 and Oniguruma share, found ", what,
                        " at byte ", at_, " (", where_, ")"));
  }

  void escape() {
    const char letter = next(1);
    const std::string_view same = rewritten_class(letter);
    if (!same.empty()) {
      to_ += same;
      at_ += 2;
    } else if (letter != '\0' && std::string_view("wWhHbBRXKNOyYCGQEMckg123456789").find(letter) !=
                                     std::string_view::npos) {
      refuse(std::string("\\") + letter);
    } else if (letter == 'u') {  // \uHHHH
      to_.append("\\x{").append(from_.substr(at_ + 2, 4)).append("}");
      at_ += std::min<std::size_t>(6, from_.size() - at_);
    } else if ((letter == 'p' || letter == 'P') && next(2) == '{') {
      const std::size_t end = from_.find('}', at_);
      take(end == std::string_view::npos ? from_.size() - at_ : end + 1 - at_);
    } else {
      take(2);
    }
  }

  void class_character(char c) {
    if (c == '[' && next(1) == ':') {
      const std::size_t end = from_.find(":]", at_);
      if (end == std::string_view::npos) refuse("an open POSIX class");
      take(end + 2 - at_);
      return;
    }
    if (c == '[') refuse("a set within a set");
    if (c == '&' && next(1) == '&') refuse("&&");
    if (c == ']' && at_ != class_start_) in_class_ = false;
    take(1);
  }

  /// Of (?...) only the forms that mean the same: (?: (?= (?! (?<= (?<! (?> and the flags i and x.
  void check_group() const {
    if (next(1) == '*') refuse("a verb");
    if (next(1) != '?') return;
    for (std::size_t i = 2;; ++i) {
      const char c = next(i);
      if (i == 2 && (c == ':' || c == '=' || c == '!' || c == '>')) return;
      if (i == 2 && c == '<' && (next(3) == '=' || next(3) == '!')) return;
      if (i > 2 && (c == ':' || c == ')')) return;
      if (c != 'i' && c != 'x' && c != '-')
        refuse("a group that is neither plain, look-around, atomic nor (?i");
    }
  }

  std::string_view from_;
  const std::string& where_;
  std::size_t at_ = 0, class_start_ = 0;
  bool in_class_ = false;
  std::string to_;
};

}  // namespace

struct Pattern::Compiled {
  Code code;
  std::string where;
};

Pattern Pattern::regex(std::string_view expression, const std::string& where) {
  require(expression.size() <= kMaxExpression, ErrorCode::CorruptFile, "pattern: wanted at most ",
          kMaxExpression, " bytes, found ", expression.size(), " (", where, ")");
  require(find_invalid_utf8(expression) == std::string_view::npos, ErrorCode::CorruptFile,
          "pattern: wanted UTF-8, found other bytes (", where, ")");
  return compile(Translator(expression, where).run(), where);
}

Pattern Pattern::literal(std::string_view text, const std::string& where) {
  require(!text.empty() && text.size() <= kMaxExpression / 4, ErrorCode::CorruptFile,
          "pattern: wanted 1 to ", kMaxExpression / 4, " bytes of text, found ", text.size(), " (",
          where, ")");
  std::string expression;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        byte >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!plain) expression += byte == 0 ? "\\x00" : "\\";
    if (byte != 0) expression += c;
  }
  return compile(expression, where);
}

Pattern Pattern::compile(const std::string& expression, const std::string& where) {
  const CompileContext settings(pcre2_compile_context_create(nullptr));
  require(settings != nullptr, ErrorCode::OutOfMemory, "pattern: no memory to compile it (", where,
          ")");
  pcre2_set_newline(settings.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  const std::uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C |
                                PCRE2_NO_AUTO_CAPTURE | PCRE2_NO_UTF_CHECK;
  auto compiled = std::make_shared<Compiled>();
  compiled->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()),
                                     expression.size(), options, &error, &offset, settings.get()));
  require(compiled->code != nullptr, ErrorCode::CorruptFile,
          "pattern: wanted a regular expression, found: ", compiled->code ? "" : message_of(error),
          " at byte ", offset, " (", where, ")");
  compiled->where = where;
  return Pattern(std::move(compiled));
}

std::vector<TextRange> Pattern::matches(std::string_view text) const {
  std::vector<TextRange> found;
  const MatchContext limits(pcre2_match_context_create(nullptr));
  const MatchData data(pcre2_match_data_create_from_pattern(compiled_->code.get(), nullptr));
  require(limits && data, ErrorCode::OutOfMemory, "pattern: no memory to run it (",
          compiled_->where, ")");
  pcre2_set_heap_limit(limits.get(), kMaxHeapKib);
  const std::uint64_t steps = kMaxSteps + std::uint64_t{kMaxStepsPerByte} * text.size();
  pcre2_set_match_limit(limits.get(),
                        static_cast<std::uint32_t>(std::min<std::uint64_t>(steps, UINT32_MAX)));
  const PCRE2_SIZE* const range = pcre2_get_ovector_pointer(data.get());
  std::size_t from = 0;
  while (from <= text.size()) {
    // Without the check of the whole subject that every call would repeat: quadratic in the length
    // otherwise.
    const int result = pcre2_match(compiled_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                                   text.size(), from, PCRE2_NO_UTF_CHECK, data.get(), limits.get());
    if (result == PCRE2_ERROR_NOMATCH) break;
    require(result > 0, ErrorCode::CorruptFile,
            "pattern: wanted an end within a bounded number of steps, found: ",
            result > 0 ? "" : message_of(result), " (", compiled_->where, ")");
    const TextRange match{range[0], range[1]};
    if (match.begin >= match.end && !found.empty() &&
        found.back().end >= match.end) {  // empty, touches the one before
      from = match.end < text.size() ? match.end + first_character(text.substr(match.end)).bytes
                                     : text.size() + 1;
      continue;
    }
    require(match.begin <= match.end && match.begin >= from, ErrorCode::CorruptFile,
            "pattern: wanted matches from left to right, found one that goes back (",
            compiled_->where, ")");
    found.push_back(match);
    from = match.end;
  }
  return found;
}

}  // namespace annulus
