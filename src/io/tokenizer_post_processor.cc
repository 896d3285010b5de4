// `post_processor` of tokenizer.json: the special tokens around a text.
#include "io/tokenizer_load.h"

namespace annulus {
namespace {

struct Around {
  std::vector<std::int32_t> before, after;
};

std::int32_t checked_id(const Json& entry) {
  const auto id = entry.as<std::int64_t>();
  if (id < 0 || id >= kMaxTokenId) entry.fail(text_of("an id from 0 to ", kMaxTokenId - 1));
  return static_cast<std::int32_t>(id);
}

Around template_of(const Json& entry) {
  Around around;
  bool seen_text = false;
  for (const Json& piece : entry["single"].elements()) {
    if (const auto special = piece.find("SpecialToken")) {
      const Json ids = entry["special_tokens"][special->get<std::string_view>("id")]["ids"];
      for (const Json& id : ids.elements())
        (seen_text ? around.after : around.before).push_back(checked_id(id));
    } else {
      if (seen_text || piece["Sequence"].get<std::string>("id") != "A")
        piece.fail("the text A once");
      seen_text = true;
    }
  }
  if (!seen_text) entry["single"].fail("the text A once", "no text");
  return around;
}

void wrap(const Json& entry, int depth, TokenizerSettings& settings) {
  const auto type = entry.get<std::string>("type");
  if (type == "Sequence" && depth < 8) {
    for (const Json& step : entry["processors"].elements()) wrap(step, depth + 1, settings);
    return;
  }
  if (type == "ByteLevel") return;  // changes offsets only
  Around around;
  if (type == "TemplateProcessing") {
    around = template_of(entry);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    around = {{checked_id(entry["cls"].at(1))}, {checked_id(entry["sep"].at(1))}};
  } else {
    throw Error(
        ErrorCode::Unsupported,
        text_of(entry.path(), ": wanted TemplateProcessing, RobertaProcessing, BertProcessing, ",
                "ByteLevel or a Sequence of these, found ", type, " (", entry.where(), ")"));
  }
  settings.before.insert(settings.before.begin(), around.before.begin(), around.before.end());
  settings.after.insert(settings.after.end(), around.after.begin(), around.after.end());
}

}  // namespace

void read_post_processor(const Json& entry, TokenizerSettings& settings) {
  if (!entry.is_null()) wrap(entry, 0, settings);
}

}  // namespace annulus
