// SentencePiece's model file (spiece.model): as much of its protocol buffer as a Unigram tokenizer
// needs. Source: sentencepiece_model.proto.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace annulus {

struct SpieceModel {
  struct Piece {
    std::string text;
    float score = 0;
  };
  std::vector<Piece> pieces;  // by id
  bool unigram = true;        // else BPE, words or characters
  std::string precompiled_charsmap;
};

/// `where` is the file, for messages. Throws CorruptFile.
SpieceModel parse_spiece_model(std::span<const std::byte> bytes, const std::string& where);

}  // namespace annulus
