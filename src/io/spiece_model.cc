#include "io/spiece_model.h"

#include <bit>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "io/unicode.h"

namespace annulus {
namespace {

// Numbers of fields in the protocol buffer.
constexpr std::uint64_t kPieces = 1, kTrainer = 2, kNormalizer = 3;
constexpr std::uint64_t kPieceText = 1, kPieceScore = 2, kModelType = 3, kCharsmap = 2;
constexpr std::uint64_t kUnigram = 1;

/// One field: a number, or bytes.
struct Field {
  std::uint64_t number = 0, value = 0;
  std::span<const std::byte> bytes;
};

/// Walks over the fields of one message.
class Message {
 public:
  Message(std::span<const std::byte> bytes, const std::string& where)
      : rest_(bytes), where_(where) {}

  void fields(const std::function<void(const Field&)>& take) {
    while (!rest_.empty()) {
      const std::uint64_t key = varint();
      Field field{.number = key >> 3, .value = 0, .bytes = {}};
      switch (key & 7) {
        case 0:
          field.value = varint();
          break;
        case 1:
          field.value = fixed(8);
          break;
        case 2:
          field.bytes = bytes(varint());
          break;
        case 5:
          field.value = fixed(4);
          break;
        default:
          fail();
      }
      take(field);
    }
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorCode::CorruptFile,
                text_of("SentencePiece model: wanted a protocol buffer, found other or too few "
                        "bytes (",
                        where_, ")"));
  }
  std::span<const std::byte> bytes(std::uint64_t count) {
    if (count > rest_.size()) fail();
    const auto taken = rest_.first(static_cast<std::size_t>(count));
    rest_ = rest_.subspan(static_cast<std::size_t>(count));
    return taken;
  }
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = std::to_integer<std::uint64_t>(bytes(1)[0]);
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }
  std::uint64_t fixed(std::size_t count) {
    std::uint64_t value = 0;
    const auto taken = bytes(count);
    for (std::size_t i = count; i-- > 0;)
      value = value << 8 | std::to_integer<std::uint64_t>(taken[i]);
    return value;
  }

  std::span<const std::byte> rest_;
  const std::string& where_;
};

std::string text_of_bytes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

SpieceModel::Piece piece_of(std::span<const std::byte> bytes, const std::string& where) {
  SpieceModel::Piece piece;
  Message(bytes, where).fields([&](const Field& field) {
    if (field.number == kPieceText) piece.text = text_of_bytes(field.bytes);
    if (field.number == kPieceScore)
      piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
  });
  require(find_invalid_utf8(piece.text) == std::string::npos && std::isfinite(piece.score),
          ErrorCode::CorruptFile,
          "SentencePiece model: wanted pieces in UTF-8 with finite scores, found another (", where,
          ")");
  return piece;
}

}  // namespace

SpieceModel parse_spiece_model(std::span<const std::byte> bytes, const std::string& where) {
  SpieceModel model;
  Message(bytes, where).fields([&](const Field& field) {
    if (field.number == kPieces) {
      model.pieces.push_back(piece_of(field.bytes, where));
    } else if (field.number == kTrainer) {
      Message(field.bytes, where).fields([&](const Field& inner) {
        if (inner.number == kModelType) model.unigram = inner.value == kUnigram;
      });
    } else if (field.number == kNormalizer) {
      Message(field.bytes, where).fields([&](const Field& inner) {
        if (inner.number == kCharsmap) model.precompiled_charsmap = text_of_bytes(inner.bytes);
      });
    }
  });
  require(!model.pieces.empty(), ErrorCode::CorruptFile,
          "SentencePiece model: wanted pieces, found none (", where, ")");
  return model;
}

}  // namespace annulus
