#include "io/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "io/json_node.h"

namespace annulus {

// ---- objects

const Json::Field* Json::Object::find(std::string_view key) const noexcept {
  if (table.empty()) {
    const auto found = std::find_if(fields.begin(), fields.end(),
                                    [&](const Field& field) { return field.key == key; });
    return found == fields.end() ? nullptr : &*found;
  }
  const std::size_t mask = table.size() - 1;
  for (std::size_t i = std::hash<std::string_view>{}(key)&mask; table[i] != 0; i = (i + 1) & mask)
    if (fields[table[i] - 1].key == key) return &fields[table[i] - 1];
  return nullptr;
}

Json::Field* Json::Object::add(std::string_view key) {
  if (find(key) != nullptr) return nullptr;
  fields.push_back({std::string(key), {}});
  if (fields.size() > 8 && 2 * fields.size() > table.size()) {
    grow();
  } else if (!table.empty()) {
    const std::size_t mask = table.size() - 1;
    std::size_t i = std::hash<std::string_view>{}(key)&mask;
    while (table[i] != 0) i = (i + 1) & mask;
    table[i] = static_cast<std::uint32_t>(fields.size());
  }
  return &fields.back();
}

void Json::Object::grow() {
  table.assign(std::max<std::size_t>(32, table.size() * 2), 0);
  const std::size_t mask = table.size() - 1;
  for (std::size_t position = 0; position < fields.size(); ++position) {
    std::size_t i = std::hash<std::string_view>{}(fields[position].key) & mask;
    while (table[i] != 0) i = (i + 1) & mask;
    table[i] = static_cast<std::uint32_t>(position + 1);
  }
}

// ---- reading

Json::Json(std::shared_ptr<const Document> document, const Node* node) noexcept
    : document_(std::move(document)), node_(node) {}

const Json::Node& Json::node() const noexcept {
  static const Node null;
  return node_ == nullptr ? null : *node_;
}

bool Json::is_null() const noexcept {
  return std::holds_alternative<std::monostate>(node().value);
}
bool Json::is_bool() const noexcept {
  return std::holds_alternative<bool>(node().value);
}
bool Json::is_integer() const noexcept {
  return std::holds_alternative<std::int64_t>(node().value) ||
         std::holds_alternative<std::uint64_t>(node().value);
}
bool Json::is_number() const noexcept {
  return is_integer() || std::holds_alternative<double>(node().value);
}
bool Json::is_string() const noexcept {
  return std::holds_alternative<std::string>(node().value);
}
bool Json::is_array() const noexcept {
  return std::holds_alternative<std::vector<Node>>(node().value);
}
bool Json::is_object() const noexcept {
  return std::holds_alternative<Object>(node().value);
}

const std::string& Json::where() const noexcept {
  static const std::string nowhere;
  return document_ ? document_->where : nowhere;
}

std::string Json::path() const {
  if (!document_) return {};
  // Errors are rare: the path is searched for then, and no value pays for it.
  std::string found;
  const std::function<bool(const Node&, const std::string&)> search =
      [&](const Node& at, const std::string& prefix) {
        if (&at == node_) {
          found = prefix;
          return true;
        }
        if (const auto* list = std::get_if<std::vector<Node>>(&at.value)) {
          for (std::size_t i = 0; i < list->size(); ++i)
            if (search((*list)[i], text_of(prefix, "[", i, "]"))) return true;
        } else if (const auto* object = std::get_if<Object>(&at.value)) {
          for (const Field& field : object->fields)
            if (search(field.value, prefix.empty() ? field.key : prefix + "." + field.key))
              return true;
        }
        return false;
      };
  search(document_->root, "");
  return found;
}

void Json::fail(std::string_view wanted, std::string_view found) const {
  std::string shown(found);
  if (shown.empty()) {
    constexpr std::size_t kMost = 60;
    shown = is_array()    ? text_of("a list of ", size())
            : is_object() ? text_of("an object of ", size())
                          : dump();
    if (shown.size() > kMost) shown = shown.substr(0, kMost) + "...";
  }
  const std::string at = path();
  throw Error(document_ ? document_->code : ErrorCode::InvalidRequest,
              text_of(at.empty() ? "value" : at, ": wanted ", wanted, ", found ", shown,
                      where().empty() ? "" : " (", where(), where().empty() ? "" : ")"));
}

bool Json::as_bool() const {
  if (const bool* value = std::get_if<bool>(&node().value)) return *value;
  fail("true or false");
}

double Json::as_double() const {
  if (const double* real = std::get_if<double>(&node().value)) return *real;
  if (const std::int64_t* whole = std::get_if<std::int64_t>(&node().value))
    return static_cast<double>(*whole);
  if (const std::uint64_t* large = std::get_if<std::uint64_t>(&node().value))
    return static_cast<double>(*large);
  fail("a number");
}

std::int64_t Json::as_signed(std::int64_t least, std::int64_t most) const {
  std::optional<std::int64_t> value;
  if (const std::int64_t* whole = std::get_if<std::int64_t>(&node().value)) value = *whole;
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (const double* real = std::get_if<double>(&node().value))
    if (*real == std::trunc(*real) && *real >= -kTwoTo63 && *real < kTwoTo63)
      value = static_cast<std::int64_t>(*real);
  if (!value && !std::holds_alternative<std::uint64_t>(node().value)) fail("an integer");
  if (!value || *value < least || *value > most)
    fail(text_of("an integer from ", least, " to ", most));
  return *value;
}

std::uint64_t Json::as_unsigned(std::uint64_t most) const {
  std::uint64_t value = 0;
  if (const std::uint64_t* large = std::get_if<std::uint64_t>(&node().value)) {
    value = *large;
  } else {
    const std::int64_t whole = as_signed(INT64_MIN, INT64_MAX);
    if (whole < 0) fail(text_of("an integer from 0 to ", most));
    value = static_cast<std::uint64_t>(whole);
  }
  if (value > most) fail(text_of("an integer from 0 to ", most));
  return value;
}

const std::string& Json::as_text() const {
  if (const std::string* value = std::get_if<std::string>(&node().value)) return *value;
  fail("a string");
}

std::size_t Json::as_array_size() const {
  if (!is_array()) fail("a list");
  return size();
}

const Json::Object& Json::as_object() const {
  if (const Object* object = std::get_if<Object>(&node().value)) return *object;
  fail("an object");
}

std::optional<Json> Json::find(std::string_view key) const {
  const Field* const field = as_object().find(key);
  if (field == nullptr || std::holds_alternative<std::monostate>(field->value.value))
    return std::nullopt;
  return Json(document_, &field->value);
}

bool Json::has(std::string_view key) const noexcept {
  const Object* const object = std::get_if<Object>(&node().value);
  return object != nullptr && object->find(key) != nullptr;
}

Json Json::operator[](std::string_view key) const {
  const Field* const field = as_object().find(key);
  if (field == nullptr) fail(text_of("the key \"", key, "\""), "no such key");
  return {document_, &field->value};
}

std::size_t Json::size() const noexcept {
  if (const auto* list = std::get_if<std::vector<Node>>(&node().value)) return list->size();
  if (const auto* object = std::get_if<Object>(&node().value)) return object->fields.size();
  return 0;
}

Json Json::at(std::size_t index) const {
  if (as_array_size() <= index) fail(text_of("at least ", index + 1, " elements"));
  return {document_, &std::get<std::vector<Node>>(node().value)[index]};
}

Json::Elements Json::elements() const {
  as_array_size();
  return Elements(*this);
}

Json::Members Json::members() const {
  as_object();
  return Members(*this);
}

Json::Member Json::Members::Iterator::operator*() const {
  const Field& field = object_->as_object().fields[index_];
  return {field.key, Json(object_->document_, &field.value)};
}

// ---- building

Json::Json(Node node) {
  auto document = std::make_shared<Document>();
  document->root = std::move(node);
  node_ = &document->root;
  document_ = std::move(document);
}

Json::Json(bool value) : Json(Node{value}) {}
Json::Json(double value) : Json(Node{value}) {}
Json::Json(std::string value) : Json(Node{std::move(value)}) {}
Json::Json(bool fits_signed, std::uint64_t bits)
    : Json(fits_signed ? Node{static_cast<std::int64_t>(bits)} : Node{bits}) {}
Json::Json(float value) : Json(Node{}) {
  // The double with the digits that print the float: 0.1f is written 0.1, not 0.10000000149011612.
  std::array<char, 32> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  double same = value;
  if (std::isfinite(value)) std::from_chars(digits.data(), end, same);
  own().value = same;
}

Json Json::object() {
  return Json(Node{Object{}});
}
Json Json::array() {
  return Json(Node{std::vector<Node>{}});
}

Json Json::object(std::initializer_list<Member> members) {
  Json result = object();
  for (const auto& [key, value] : members) result.set(key, value);
  return result;
}

Json Json::array(std::initializer_list<Json> elements) {
  Json result = array();
  for (const Json& element : elements) result.push(element);
  return result;
}

Json::Node& Json::own() {
  if (document_.use_count() != 1 || node_ != &document_->root) {
    auto copy = std::make_shared<Document>();
    copy->root = node();
    if (document_) {
      copy->where = document_->where;
      copy->code = document_->code;
    }
    node_ = &copy->root;
    document_ = std::move(copy);
  }
  return const_cast<Node&>(
      *node_);  // made non-const, by this function or a constructor, and seen by no other handle
}

Json& Json::set(std::string_view key, const Json& value) {
  Node copied = value.node();  // first: `value` may be this
  if (is_null()) *this = object();
  as_object();
  Object& object = std::get<Object>(own().value);
  Field* field = object.add(key);
  if (field == nullptr) field = const_cast<Field*>(object.find(key));
  field->value = std::move(copied);
  return *this;
}

Json& Json::push(const Json& value) {
  Node copied = value.node();
  if (is_null()) *this = array();
  as_array_size();
  std::get<std::vector<Node>>(own().value).push_back(std::move(copied));
  return *this;
}

// ---- text

std::string Json::dump(int indent) const {
  const std::function<nlohmann::ordered_json(const Node&)> convert =
      [&](const Node& from) -> nlohmann::ordered_json {
    return std::visit(
        [&](const auto& value) -> nlohmann::ordered_json {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, std::monostate>) {
            return nullptr;
          } else if constexpr (std::is_same_v<T, std::vector<Node>>) {
            auto list = nlohmann::ordered_json::array();
            for (const Node& element : value) list.push_back(convert(element));
            return list;
          } else if constexpr (std::is_same_v<T, Object>) {
            nlohmann::ordered_json::object_t object;
            for (const Field& field : value.fields)
              object
                  .std::vector<std::pair<const std::string, nlohmann::ordered_json>>::emplace_back(
                      field.key, convert(field.value));
            return object;
          } else {
            return value;
          }
        },
        from.value);
  };
  return convert(node()).dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

bool Json::Object::operator==(const Object& other) const {
  return fields.size() == other.fields.size() &&
         std::all_of(fields.begin(), fields.end(), [&](const Field& field) {
           const Field* const match = other.find(field.key);
           return match != nullptr && field.value == match->value;
         });
}

bool operator==(const Json& a, const Json& b) {
  return a.node() == b.node();
}

}  // namespace annulus
