// Text -> Json: nlohmann's parser drives a builder which adds what it does not check: duplicate
// keys, depth, counts.
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "io/json.h"
#include "io/json_node.h"

namespace annulus {

namespace {

struct Position {
  std::size_t line = 1, column = 1;
};

Position position_of(std::string_view text, std::size_t byte) {
  Position at;
  for (const char c : text.substr(0, byte)) {
    ++at.column;
    if (c == '\n') at = {at.line + 1, 1};
  }
  return at;
}

/// Python writes NaN, Infinity and -Infinity, which JSON does not have: replaces them by zeros and
/// remembers, by their place among the numbers of the text, what they were.
struct NonFinite {
  std::string text;
  std::unordered_map<std::size_t, double> numbers;
};

bool may_be_in_number(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

NonFinite without_nonfinite(std::string_view text) {
  NonFinite result;
  std::size_t number = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
      i = std::min(i + 1, text.size());
      result.text += text.substr(begin, i - begin);
      continue;
    }
    const bool negative = text.substr(i, 2) == "-I";
    const std::string_view rest = text.substr(negative ? i + 1 : i);
    if (rest.starts_with("Infinity") || rest.starts_with("NaN")) {
      const double value = rest[0] == 'N' ? std::numeric_limits<double>::quiet_NaN()
                                          : std::numeric_limits<double>::infinity();
      result.numbers[number++] = negative ? -value : value;
      result.text += " 0 ";  // blanks: it must not join its neighbours
      i += (negative ? 1 : 0) + (rest[0] == 'N' ? 3 : 8);
      continue;
    }
    if ((text[i] >= '0' && text[i] <= '9') || text[i] == '-') {
      ++number;
      while (i < text.size() && may_be_in_number(text[i])) ++i;
    } else {
      ++i;
    }
    result.text += text.substr(begin, i - begin);
  }
  return result;
}

}  // namespace

/// Takes nlohmann's events. A false return stops the parser; `problem` then says why.
class Json::Builder {
 public:
  Builder(const JsonLimits& limits, const std::unordered_map<std::size_t, double>& nonfinite)
      : limits_(limits), nonfinite_(nonfinite) {}

  bool null() { return put({}); }
  bool boolean(bool value) { return put({value}); }
  bool number_integer(std::int64_t value) { return put_number({value}); }
  bool number_unsigned(std::uint64_t value) {
    if (value <= static_cast<std::uint64_t>(INT64_MAX))
      return put_number({static_cast<std::int64_t>(value)});
    return put_number({value});
  }
  bool number_float(double value, const std::string&) { return put_number({value}); }
  bool string(std::string& value) { return put({std::move(value)}); }
  bool binary(std::vector<std::uint8_t>&) { return stop("binary data"); }
  bool start_object(std::size_t) { return open({Object{}}); }
  bool start_array(std::size_t) { return open({std::vector<Node>{}}); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    Field* const field = std::get<Object>(open_.back()->value).add(name);
    if (field == nullptr) return stop(text_of("key \"", name, "\" twice in one object"));
    slot_ = &field->value;
    return true;
  }

  bool parse_error(std::size_t byte, const std::string&, const nlohmann::json::exception& error) {
    byte_ = byte;
    problem_ = error.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2:
                              // syntax error ..."
    if (const std::size_t at = problem_.find(": "); at != std::string::npos)
      problem_.erase(0, at + 2);
    return false;
  }

  Node take() { return std::move(root_); }
  const std::string& problem() const noexcept { return problem_; }
  std::optional<std::size_t> byte() const noexcept { return byte_; }

 private:
  bool stop(std::string why) {
    problem_ = std::move(why);
    return false;
  }

  // Where the next value goes: the root, the member whose key came last, or a new element. Pointers
  // into the vectors of outer levels stay valid, since only the innermost grows.
  Node* next() {
    if (open_.empty()) return &root_;
    if (auto* list = std::get_if<std::vector<Node>>(&open_.back()->value))
      return &list->emplace_back();
    return slot_;
  }

  bool put(Node::Value value) {
    if (++values_ > limits_.values) return stop(text_of("more than ", limits_.values, " values"));
    next()->value = std::move(value);
    return true;
  }

  bool put_number(Node::Value value) {
    const auto found = nonfinite_.find(numbers_++);
    return found == nonfinite_.end() ? put(std::move(value)) : put({found->second});
  }

  bool open(Node::Value value) {
    if (static_cast<int>(open_.size()) >= limits_.depth)
      return stop(text_of("more than ", limits_.depth, " levels"));
    if (++values_ > limits_.values) return stop(text_of("more than ", limits_.values, " values"));
    Node* const node = next();
    node->value = std::move(value);
    open_.push_back(node);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  const JsonLimits& limits_;
  const std::unordered_map<std::size_t, double>& nonfinite_;
  Node root_;
  std::vector<Node*> open_;
  Node* slot_ = nullptr;
  std::size_t values_ = 0, numbers_ = 0;
  std::string problem_;
  std::optional<std::size_t> byte_;
};

Json Json::parse(std::string_view text, std::string where, ErrorCode code,
                 const JsonLimits& limits) {
  require(text.size() <= limits.bytes, code, "JSON: wanted at most ", limits.bytes,
          " bytes, found ", text.size(), " (", where, ")");
  NonFinite nonfinite;
  const bool python =
      text.find("NaN") != std::string_view::npos || text.find("Infinity") != std::string_view::npos;
  if (python) nonfinite = without_nonfinite(text);
  const std::string_view plain = python ? std::string_view(nonfinite.text) : text;

  Builder builder(limits, nonfinite.numbers);
  if (!nlohmann::json::sax_parse(plain.begin(), plain.end(), &builder)) {
    std::string place = where;
    if (builder.byte()) {
      const Position at = position_of(plain, *builder.byte());
      place = text_of(where, ", line ", at.line, ", column ", at.column);
    }
    throw Error(code, text_of("JSON: wanted a valid document, found ", builder.problem(), " (",
                              place, ")"));
  }
  auto document = std::make_shared<Document>(Document{builder.take(), std::move(where), code});
  const Node* const root = &document->root;
  return {std::move(document), root};
}

Json Json::read(const std::filesystem::path& file, ErrorCode code, const JsonLimits& limits) {
  std::error_code status;
  require(std::filesystem::is_regular_file(file, status), code, "file: wanted a JSON file, found ",
          std::filesystem::exists(file, status) ? "something else" : "none", " (", file.string(),
          ")");
  const std::uintmax_t size = std::filesystem::file_size(file, status);
  require(!status, code, "file: wanted its size, found ", status.message(), " (", file.string(),
          ")");
  require(size <= limits.bytes, code, "JSON: wanted at most ", limits.bytes, " bytes, found ", size,
          " (", file.string(), ")");
  std::string text(size, '\0');
  std::ifstream in(file, std::ios::binary);
  in.read(text.data(), static_cast<std::streamsize>(size));
  require(static_cast<std::uintmax_t>(in.gcount()) == size, code, "file: wanted ", size,
          " bytes, found ", in.gcount(), " readable (", file.string(), ")");
  return parse(text, file.string(), code, limits);
}

}  // namespace annulus
