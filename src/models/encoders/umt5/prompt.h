// Prompts to conditioning with UMT5, as the Wan pipelines do it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/tokenizer.h"
#include "models/encoders/umt5/encoder.h"
#include "pipeline/conditioning.h"

namespace annulus::umt5 {

/// A prompt as the Wan pipelines hand it to the tokenizer: repaired(), HTML references resolved
/// twice, runs of white space one blank, none at the ends.
std::string cleaned(std::string_view prompt);

/// What ftfy's fix_text does to text that was decoded rightly: Latin ligatures, full-width letters
/// and punctuation, and curled quotes become plain ones, control characters go, the rest is NFC.
/// Not here: its guesses about text that was decoded wrongly.
std::string repaired(std::string_view text);

/// HTML character references (&amp; &#39; &#x27;) replaced by what they stand for; those that are
/// not known stay. Source: Python's html.unescape.
std::string unescaped(std::string_view text);

/// Token ids of a cleaned prompt, the end token included; cut to `max_tokens` where given.
std::vector<std::int32_t> prompt_ids(const Tokenizer& tokenizer, std::string_view prompt,
                                     std::optional<std::int64_t> max_tokens = {});

/// One entry per prompt, lengths as many as its tokens (at most `max_tokens`). Throws NonFinite.
Conditioning encode_prompts(const Context& ctx, const Encoder& encoder, const Tokenizer& tokenizer,
                            std::span<const std::string> prompts, std::int64_t max_tokens);

}  // namespace annulus::umt5
