#include "models/encoders/umt5/prompt.h"

#include <algorithm>
#include <array>

#include "io/unicode.h"
#include "nn/elementwise.h"
#include "tensor/copy.h"

namespace annulus::umt5 {

namespace {

struct Name {
  std::string_view name;
  char32_t code;
};

// Names that prompts copied from a page have.
constexpr auto kNames = std::to_array<Name>({
    {"amp", U'&'},         {"lt", U'<'},          {"gt", U'>'},          {"quot", U'"'},
    {"apos", U'\''},       {"nbsp", U'\u00a0'},   {"iexcl", U'\u00a1'},  {"cent", U'\u00a2'},
    {"pound", U'\u00a3'},  {"yen", U'\u00a5'},    {"sect", U'\u00a7'},   {"copy", U'\u00a9'},
    {"laquo", U'\u00ab'},  {"reg", U'\u00ae'},    {"deg", U'\u00b0'},    {"plusmn", U'\u00b1'},
    {"micro", U'\u00b5'},  {"para", U'\u00b6'},   {"middot", U'\u00b7'}, {"raquo", U'\u00bb'},
    {"frac14", U'\u00bc'}, {"frac12", U'\u00bd'}, {"frac34", U'\u00be'}, {"iquest", U'\u00bf'},
    {"times", U'\u00d7'},  {"divide", U'\u00f7'}, {"ndash", U'\u2013'},  {"mdash", U'\u2014'},
    {"lsquo", U'\u2018'},  {"rsquo", U'\u2019'},  {"ldquo", U'\u201c'},  {"rdquo", U'\u201d'},
    {"bull", U'\u2022'},   {"hellip", U'\u2026'}, {"euro", U'\u20ac'},   {"trade", U'\u2122'},
    {"auml", U'\u00e4'},   {"ouml", U'\u00f6'},   {"uuml", U'\u00fc'},   {"Auml", U'\u00c4'},
    {"Ouml", U'\u00d6'},   {"Uuml", U'\u00dc'},   {"szlig", U'\u00df'},  {"eacute", U'\u00e9'},
    {"egrave", U'\u00e8'}, {"ecirc", U'\u00ea'},  {"agrave", U'\u00e0'}, {"aacute", U'\u00e1'},
    {"acirc", U'\u00e2'},  {"aring", U'\u00e5'},  {"aelig", U'\u00e6'},  {"ccedil", U'\u00e7'},
    {"iacute", U'\u00ed'}, {"icirc", U'\u00ee'},  {"ntilde", U'\u00f1'}, {"oacute", U'\u00f3'},
    {"ocirc", U'\u00f4'},  {"oslash", U'\u00f8'}, {"uacute", U'\u00fa'}, {"ucirc", U'\u00fb'},
});
constexpr std::size_t kLongestName = 8;

/// "#39" or "#x27" -> its character; 0 for what is none.
char32_t numbered(std::string_view digits) {
  const bool hex = digits.size() > 2 && (digits[1] == 'x' || digits[1] == 'X');
  digits.remove_prefix(hex ? 2 : 1);
  if (digits.empty() || digits.size() > 7) return 0;
  std::uint32_t code = 0;
  for (const char c : digits) {
    const int digit = c >= '0' && c <= '9'          ? c - '0'
                      : hex && c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : hex && c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                    : -1;
    if (digit < 0) return 0;
    code = code * (hex ? 16 : 10) + static_cast<std::uint32_t>(digit);
  }
  const bool control = code < 0x20 && code != '\t' && code != '\n' && code != '\r';
  const bool surrogate = code >= 0xD800 && code < 0xE000;
  return control || surrogate || (code >= 0x7F && code < 0xA0) || code > 0x10FFFF ? 0 : code;
}

struct Ligature {
  char32_t code;
  std::string_view letters;
};
constexpr auto kLigatures = std::to_array<Ligature>(
    {{U'\u0132', "IJ"},        {U'\u0133', "ij"},        {U'\u0149', "\xca\xbcn"},
     {U'\u01f1', "DZ"},        {U'\u01f2', "Dz"},        {U'\u01f3', "dz"},
     {U'\u01c4', "D\xc5\xbd"}, {U'\u01c5', "D\xc5\xbe"}, {U'\u01c6', "d\xc5\xbe"},
     {U'\u01c7', "LJ"},        {U'\u01c8', "Lj"},        {U'\u01c9', "lj"},
     {U'\u01ca', "NJ"},        {U'\u01cb', "Nj"},        {U'\u01cc', "nj"},
     {U'\ufb00', "ff"},        {U'\ufb01', "fi"},        {U'\ufb02', "fl"},
     {U'\ufb03', "ffi"},       {U'\ufb04', "ffl"},       {U'\ufb05', "\xc5\xbft"},
     {U'\ufb06', "st"}});

bool is_dropped(char32_t c) noexcept {
  return c < 9 || c == 0x0B || (c >= 0x0E && c < 0x20) || c == 0x7F ||
         (c >= 0x206A && c <= 0x206F) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

}  // namespace

std::string repaired(std::string_view text) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(first_character(text).bytes)) {
    const Character c = first_character(text);
    const std::string_view as_is = text.substr(0, c.bytes);
    const auto ligature = std::find_if(kLigatures.begin(), kLigatures.end(),
                                       [&](const Ligature& one) { return one.code == c.code; });
    if (ligature != kLigatures.end())
      out += ligature->letters;
    else if (c.code >= 0xFF01 && c.code <= 0xFFEF)
      out += normalized(as_is, NormalForm::Nfkc);
    else if (c.code == 0x02BC || (c.code >= 0x2018 && c.code <= 0x201B))
      out += '\'';
    else if (c.code >= 0x201C && c.code <= 0x201F)
      out += '"';
    else if (!is_dropped(c.code))
      out += as_is;
  }
  return normalized(out, NormalForm::Nfc);
}

std::string unescaped(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t plain = std::min(text.find('&'), text.size());
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const std::size_t end = text.substr(0, kLongestName + 3).find(';');
    char32_t code = 0;
    if (end != std::string_view::npos && end > 1) {
      const std::string_view name = text.substr(1, end - 1);
      const auto known =
          std::find_if(kNames.begin(), kNames.end(), [&](const Name& n) { return n.name == name; });
      code = known != kNames.end() ? known->code : name[0] == '#' ? numbered(name) : 0;
    }
    if (code != 0)
      append_utf8(out, code);
    else
      out += '&';
    text.remove_prefix(code != 0 ? end + 1 : 1);
  }
  return out;
}

std::string cleaned(std::string_view prompt) {
  const std::string text = replace_invalid_utf8(prompt);
  // ftfy resolves references first, but not in what looks like HTML.
  const bool markup = text.find('<') != std::string::npos;
  const std::string plain = unescaped(unescaped(repaired(markup ? text : unescaped(text))));
  std::string out;
  bool blank = false;
  for (std::string_view rest = plain; !rest.empty();) {
    const Character c = first_character(rest);
    // Python's \s also has the four separators of ASCII.
    const bool white = is_white_space(c.code) || (c.code >= 0x1C && c.code <= 0x1F);
    if (!white) {
      if (blank && !out.empty()) out += ' ';
      out += rest.substr(0, c.bytes);
    }
    blank = white;
    rest.remove_prefix(c.bytes);
  }
  return out;
}

std::vector<std::int32_t> prompt_ids(const Tokenizer& tokenizer, std::string_view prompt,
                                     std::optional<std::int64_t> max_tokens) {
  return tokenizer.encode(cleaned(prompt), {.max_length = max_tokens});
}

Conditioning encode_prompts(const Context& ctx, const Encoder& encoder, const Tokenizer& tokenizer,
                            std::span<const std::string> prompts, std::int64_t max_tokens) {
  std::vector<std::vector<std::int32_t>> rows;
  std::vector<std::int64_t> lengths;
  for (const std::string& prompt : prompts) {
    rows.push_back(prompt_ids(tokenizer, prompt, max_tokens));
    lengths.push_back(static_cast<std::int64_t>(rows.back().size()));
  }
  const TokenBatch batch = pad_tokens(tokenizer, rows);
  Tensor embeds = encode_tokens(ctx, encoder, batch.ids, lengths);
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    Tensor padding = embeds.select(0, static_cast<std::int64_t>(i)).slice(0, lengths[i], batch.seq);
    if (padding.elements() > 0) ctx.device.fill(ctx.stream, padding, 0);
  }
  return {std::move(embeds), std::move(lengths)};
}

}  // namespace annulus::umt5
