// JSON for everyone: configs of models, tokenizers and schedulers, requests, reports. A value type
// over a shared, immutable document: copying is cheap, a child keeps its document alive. Errors
// name the key's path and the file. The parser behind it is in json_parse.cc. Not here: what a
// config means (each model reads its own). Start with `Json::read` and `get`.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"

namespace annulus {

/// What a text may be before it is refused; the defaults hold the largest tokenizers known and
/// bound the memory of a hostile file.
struct JsonLimits {
  std::size_t bytes = std::size_t{64} << 20;
  std::size_t values = std::size_t{8} << 20;
  int depth = 64;
};

class Json {
 public:
  using Member = std::pair<std::string_view, Json>;
  class Elements;
  class Members;

  // ---- reading

  /// The value of `text` (RFC 8259, a single value; NaN, Infinity and -Infinity are read too, since
  /// Python writes them).
  ///
  ///   where  a file's name or "the request": ends up in messages
  ///   code   what an error here means: CorruptFile for a model's file, InvalidRequest for a user's
  ///
  /// Throws Error{code}: not JSON (line and column), a key twice in one object, not UTF-8, or over
  /// a limit.
  static Json parse(std::string_view text, std::string where, ErrorCode code,
                    const JsonLimits& limits = {});

  /// As `parse`, of a file. Throws Error{code} also when there is no such file or it cannot be
  /// read.
  static Json read(const std::filesystem::path& file, ErrorCode code,
                   const JsonLimits& limits = {});

  bool is_null() const noexcept;
  bool is_bool() const noexcept;
  bool is_integer() const noexcept;  // written as one: 2.0 is not
  bool is_number() const noexcept;
  bool is_string() const noexcept;
  bool is_array() const noexcept;
  bool is_object() const noexcept;

  /// This value as T: bool, an integer type, float, double, std::string, std::string_view (valid
  /// while this document lives), Json, or std::vector of those. Integers may be written 2.0 and
  /// must fit T. Throws Error{code} with path and file.
  template <class T>
  T as() const {
    if constexpr (std::is_same_v<T, Json>) {
      return *this;
    } else if constexpr (std::is_same_v<T, bool>) {
      return as_bool();
    } else if constexpr (std::unsigned_integral<T>) {
      return static_cast<T>(as_unsigned(std::uint64_t{static_cast<T>(-1)}));
    } else if constexpr (std::signed_integral<T>) {
      constexpr int kSpare = 64 - 8 * static_cast<int>(sizeof(T));
      return static_cast<T>(as_signed(INT64_MIN >> kSpare, INT64_MAX >> kSpare));
    } else if constexpr (std::floating_point<T>) {
      return static_cast<T>(as_double());
    } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
      return T(as_text());
    } else {
      T list;
      const std::size_t count = as_array_size();
      list.reserve(count);
      for (std::size_t i = 0; i < count; ++i) list.push_back(at(i).as<typename T::value_type>());
      return list;
    }
  }

  /// Member `key` of this object as T. Throws Error{code} when this is no object, the member is
  /// absent or of another kind.
  template <class T>
  T get(std::string_view key) const {
    return (*this)[key].as<T>();
  }

  /// As above; `fallback` when the member is absent or null (Python's None).
  template <class T>
  T get(std::string_view key, std::type_identity_t<T> fallback) const {
    const std::optional<Json> member = find(key);
    return member ? member->as<T>() : fallback;
  }

  /// The member, or nothing when it is absent or null. Throws when this is no object.
  std::optional<Json> find(std::string_view key) const;
  /// Is there such a member, null included? False when this is no object.
  bool has(std::string_view key) const noexcept;
  /// The member. Throws when absent, naming the path.
  Json operator[](std::string_view key) const;

  std::size_t size() const noexcept;  // of an array or object; else 0
  Json at(std::size_t index) const;   // element of an array; throws past the end
  Elements elements() const;  // for (const Json& x : j.elements()): an array's; throws for others
  Members members() const;  // for (const auto& [key, x] : j.members()): an object's, in file order

  /// "text_config.layers[3]" within its document; "" for the whole.
  std::string path() const;
  const std::string& where() const noexcept;
  /// Throws Error{code of this document}: "PATH: wanted WANTED, found FOUND (WHERE)". `found`
  /// empty: this value, abbreviated.
  [[noreturn]] void fail(std::string_view wanted, std::string_view found = {}) const;

  // ---- building

  Json() noexcept = default;  // null
  Json(bool value);           // NOLINT(google-explicit-constructor): values are written as they are
  Json(double value);         // NOLINT(google-explicit-constructor)
  Json(float value);        // NOLINT(google-explicit-constructor): the shortest digits of the float
  Json(std::string value);  // NOLINT(google-explicit-constructor)
  Json(std::string_view value) : Json(std::string(value)) {}  // NOLINT(google-explicit-constructor)
  Json(const char* value) : Json(std::string(value)) {}       // NOLINT(google-explicit-constructor)
  template <std::integral T>
  Json(T value)  // NOLINT(google-explicit-constructor)
      : Json(std::in_range<std::int64_t>(value), static_cast<std::uint64_t>(value)) {}
  template <class T>
  Json(const std::vector<T>& values) : Json(array()) {  // NOLINT(google-explicit-constructor)
    for (const T& value : values) push(value);
  }

  static Json object();
  static Json object(std::initializer_list<Member> members);
  static Json array();
  static Json array(std::initializer_list<Json> elements);

  /// Adds or replaces a member; this must be an object (or null, which becomes one). Copies of this
  /// value do not change.
  Json& set(std::string_view key, const Json& value);
  /// Adds an element; this must be an array (or null, which becomes one). Copies of this value do
  /// not change.
  Json& push(const Json& value);

  /// As text: one line, or indented by `indent` blanks. Object order is kept; NaN and infinities
  /// become null; bytes that are not UTF-8 become U+FFFD.
  std::string dump(int indent = -1) const;

  friend bool operator==(const Json& a, const Json& b);  // deep; object order does not matter

 private:
  struct Node;
  struct Field;
  struct Object;
  struct Document;
  class Builder;

  Json(std::shared_ptr<const Document> document, const Node* node) noexcept;
  Json(bool fits_signed, std::uint64_t bits);
  explicit Json(Node node);

  const Node& node() const noexcept;
  Node& own();  // makes this the only handle on a document of its own
  const Object& as_object() const;
  bool as_bool() const;
  std::int64_t as_signed(std::int64_t least, std::int64_t most) const;
  std::uint64_t as_unsigned(std::uint64_t most) const;
  double as_double() const;
  const std::string& as_text() const;
  std::size_t as_array_size() const;

  std::shared_ptr<const Document> document_;  // null: the value null
  const Node* node_ = nullptr;
};

/// The elements of an array, for range loops.
class Json::Elements {
 public:
  class Iterator {
   public:
    Iterator(const Json* array, std::size_t index) noexcept : array_(array), index_(index) {}
    Json operator*() const { return array_->at(index_); }
    Iterator& operator++() noexcept { return ++index_, *this; }
    bool operator==(const Iterator&) const = default;

   private:
    const Json* array_;
    std::size_t index_;
  };

  explicit Elements(Json array) : array_(std::move(array)) {}
  Iterator begin() const noexcept { return {&array_, 0}; }
  Iterator end() const noexcept { return {&array_, array_.size()}; }

 private:
  Json array_;
};

/// The members of an object, for range loops.
class Json::Members {
 public:
  class Iterator {
   public:
    Iterator(const Json* object, std::size_t index) noexcept : object_(object), index_(index) {}
    Member operator*() const;
    Iterator& operator++() noexcept { return ++index_, *this; }
    bool operator==(const Iterator&) const = default;

   private:
    const Json* object_;
    std::size_t index_;
  };

  explicit Members(Json object) : object_(std::move(object)) {}
  Iterator begin() const noexcept { return {&object_, 0}; }
  Iterator end() const noexcept { return {&object_, object_.size()}; }

 private:
  Json object_;
};

}  // namespace annulus
