// Byte-level BPE, the kind of tokenizer of GPT-2, Qwen2 to Qwen3, Llama 3 and Mistral's Tekken:
// added tokens are cut out, the rest is normalised, cut into words, and each word's bytes are
// merged. tokenizer_load.cc fills the parts.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "io/bpe.h"
#include "io/pretokenizer.h"
#include "io/tokenizer.h"
#include "io/tokenizer_added.h"
#include "io/tokenizer_normalizer.h"
#include "io/tokenizer_vocabulary.h"

namespace annulus {

struct ByteLevelBpe {
  Vocabulary vocabulary;  // tokens as bpe_bytes.h writes them
  BpeMerges merges;
  bool ignore_merges =
      false;  // a word that is a token is that token, whatever the merges say (Llama 3)
  std::optional<std::int32_t>
      unk;  // for bytes that are no token; without it they vanish, as in the reference
  bool fuse_unk = false;  // neighbouring such bytes give one
  Normalizer normalizer;
  Pretokenizer pretokenizer;
};

/// `added` have ids that are those of the vocabulary or belong to nobody else.
std::unique_ptr<Tokenizer> make_byte_level_bpe(ByteLevelBpe parts, std::vector<AddedToken> added,
                                               TokenizerSettings settings);

}  // namespace annulus
