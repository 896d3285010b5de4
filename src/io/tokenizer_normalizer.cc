#include "io/tokenizer_normalizer.h"

#include <optional>

namespace annulus {
namespace {

std::optional<NormalForm> form_named(std::string_view type) noexcept {
  if (type == "NFC") return NormalForm::Nfc;
  if (type == "NFD") return NormalForm::Nfd;
  if (type == "NFKC") return NormalForm::Nfkc;
  if (type == "NFKD") return NormalForm::Nfkd;
  return std::nullopt;
}

}  // namespace

Pattern pattern_from_json(const Json& entry) {
  const std::string where = text_of(entry.where(), ", ", entry.path());
  if (const auto regex = entry.find("Regex"))
    return Pattern::regex(regex->as<std::string_view>(), where);
  return Pattern::literal(entry.get<std::string_view>("String"), where);
}

Normalizer Normalizer::from_json(const Json& entry) {
  Normalizer made;
  if (!entry.is_null()) made.add(entry, 0);
  return made;
}

void Normalizer::add(const Json& entry, int depth) {
  const auto type = entry.get<std::string>("type");
  if (const auto form = form_named(type)) {
    steps_.emplace_back(*form);
  } else if (type == "Sequence" && depth < 8) {
    for (const Json& step : entry["normalizers"].elements()) add(step, depth + 1);
  } else if (type == "Replace") {
    steps_.emplace_back(
        Replace{pattern_from_json(entry["pattern"]), entry.get<std::string>("content")});
  } else if (type == "Prepend") {
    steps_.emplace_back(Prepend{entry.get<std::string>("prepend")});
  } else if (type == "Precompiled") {
    const std::string where = text_of(entry.where(), ", ", entry.path());
    steps_.emplace_back(PrecompiledMap(
        bytes_of_base64(entry.get<std::string_view>("precompiled_charsmap"), where), where));
  } else if (type == "Strip") {
    steps_.emplace_back(
        Strip{entry.get<bool>("strip_left", true), entry.get<bool>("strip_right", true)});
  } else {
    throw Error(ErrorCode::Unsupported,
                text_of(entry.path(), ": wanted a normalizer among NFC, NFD, NFKC, NFKD, Replace, ",
                        "Prepend, Precompiled, Strip and Sequence, found ", type, " (",
                        entry.where(), ")"));
  }
}

std::string Normalizer::apply(std::string_view text) const {
  std::string now(text);
  for (const auto& step : steps_) {
    if (const auto* form = std::get_if<NormalForm>(&step)) {
      now = normalized(now, *form);
    } else if (const auto* prepend = std::get_if<Prepend>(&step)) {
      if (!now.empty()) now.insert(0, prepend->content);
    } else if (const auto* map = std::get_if<PrecompiledMap>(&step)) {
      now = map->apply(now);
    } else if (const auto* strip = std::get_if<Strip>(&step)) {
      while (strip->right && !now.empty() && is_white_space(last_character(now).code))
        now.resize(now.size() - last_character(now).bytes);
      while (strip->left && !now.empty() && is_white_space(first_character(now).code))
        now.erase(0, first_character(now).bytes);
    } else if (const auto* replace = std::get_if<Replace>(&step)) {
      std::string next;
      std::size_t done = 0;
      for (const TextRange& match : replace->pattern.matches(now)) {
        next.append(now, done, match.begin - done).append(replace->content);
        done = match.end;
      }
      now = next.append(now, done);
    }
  }
  return now;
}

}  // namespace annulus
