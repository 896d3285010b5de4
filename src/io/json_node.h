// How json.cc and json_parse.cc hold a document. Private to them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/json.h"

namespace annulus {

/// Members in file order. Above a few of them a hash table of positions finds a key, so that a
/// vocabulary of 10^5 entries is read, and checked for duplicates, in linear time.
struct Json::Object {
  std::vector<Field> fields;
  std::vector<std::uint32_t>
      table;  // open addressing; position + 1, 0 = free; empty: search linearly

  const Field* find(std::string_view key) const noexcept;
  /// The new field; null when the key is there already.
  Field* add(std::string_view key);
  bool operator==(const Object& other) const;  // whatever the order

 private:
  void grow();
};

struct Json::Node {
  using Value = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string,
                             std::vector<Node>, Object>;
  Value value;  // uint64_t: only what int64_t cannot hold
  bool operator==(const Node&) const = default;
};

struct Json::Field {
  std::string key;
  Node value;
};

struct Json::Document {
  Node root;
  std::string where;
  ErrorCode code = ErrorCode::InvalidRequest;
};

}  // namespace annulus
