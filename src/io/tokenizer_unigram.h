// Unigram tokenizers, the kind of T5, UMT5 and other SentencePiece models: added tokens are cut
// out, the rest is normalised, cut into words that begin with a mark for the blank before them, and
// each word is cut into the likeliest pieces. tokenizer_load.cc and spiece_model.cc fill the parts.
#pragma once

#include <memory>
#include <vector>

#include "io/json.h"
#include "io/tokenizer.h"
#include "io/tokenizer_added.h"
#include "io/tokenizer_normalizer.h"
#include "io/unigram.h"

namespace annulus {

/// Words of a text: cut at white space where wanted, blanks replaced by a mark, one put in front.
struct Metaspace {
  enum class Prepend { Always, First, Never };
  bool split_at_white_space = false;  // WhitespaceSplit before it
  bool split_at_mark = true;
  Prepend prepend = Prepend::Always;
  std::string mark = "\xe2\x96\x81";  // U+2581

  /// The entry `pre_tokenizer`: Metaspace, alone or after WhitespaceSplit in a Sequence. Throws
  /// CorruptFile, and Unsupported for another type or order.
  static Metaspace from_json(const Json& entry);

  /// Calls `take` with each word of `text`; `first`: does it stand at the front of the whole text?
  template <class Take>
  void words(std::string_view text, bool first, Take take) const;
};

struct UnigramParts {
  UnigramModel model;
  bool byte_fallback = false;  // unknown characters become pieces such as <0xE2>, if all are there
  bool clean_up = false;       // decoding takes blanks before punctuation away
  Normalizer normalizer;
  Metaspace metaspace;
};

/// `added` have ids that are those of the vocabulary or belong to nobody else.
std::unique_ptr<Tokenizer> make_unigram(UnigramParts parts, std::vector<AddedToken> added,
                                        TokenizerSettings settings);

}  // namespace annulus
