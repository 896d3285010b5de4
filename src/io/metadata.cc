#include "io/metadata.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "io/image_codecs.h"
#include "io/image_exif.h"
#include "io/image_segments.h"
#include "io/read_file.h"

namespace annulus {
namespace {

constexpr std::string_view kNegative = "Negative prompt:";
constexpr std::size_t kFewestSettings = 3;  // in a line, for it to be a line of settings

std::string_view trimmed(std::string_view text) noexcept {
  const auto blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// "annulus:{...}" to "{...}".
std::optional<std::string> after_key(std::string_view text) {
  if (!text.starts_with(kJsonKey) || text.size() <= kJsonKey.size() || text[kJsonKey.size()] != ':')
    return std::nullopt;
  return std::string(text.substr(kJsonKey.size() + 1));
}

bool is_name_character(char c) noexcept {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == ' ' || c == '-' ||
         c == '/';
}

/// A setting at the front of `line`: its name and value, and how much of `line` they take; nothing
/// when there is none.
struct Setting {
  std::string name, value;
  std::size_t bytes;
};
std::optional<Setting> setting_at(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view name = trimmed(line.substr(0, colon));
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_character))
    return std::nullopt;
  std::size_t at = colon + 1;
  while (at < line.size() && line[at] == ' ') ++at;
  std::size_t end = at;
  std::string value;
  if (at < line.size() && line[at] == '"') {  // a JSON string
    end = at + 1;
    while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
    if (end >= line.size()) return std::nullopt;
    ++end;
    try {
      value = Json::parse(line.substr(at, end - at), "parameters", ErrorCode::InvalidRequest)
                  .as<std::string>();
    } catch (const Error&) {
      value = std::string(line.substr(at, end - at));
    }
    if (end < line.size() && line[end] != ',') return std::nullopt;
  } else {
    end = std::min(line.find(',', at), line.size());
    value = std::string(trimmed(line.substr(at, end - at)));
  }
  return Setting{std::string(name), std::move(value), std::min(end + 1, line.size())};
}

std::vector<std::pair<std::string, std::string>> settings_of(std::string_view line) {
  std::vector<std::pair<std::string, std::string>> settings;
  for (line = trimmed(line); !line.empty();) {
    auto setting = setting_at(line);
    if (!setting) return {};
    settings.emplace_back(std::move(setting->name), std::move(setting->value));
    line.remove_prefix(setting->bytes);
  }
  return settings;
}

template <class Number>
std::optional<Number> number_of(std::string_view text) noexcept {
  Number value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

ImageMetadata read_metadata(const std::filesystem::path& file, const ImageLimits& limits) {
  return metadata_of(read_file(file, limits.file_bytes, ErrorCode::InvalidRequest), file.string());
}

ImageMetadata metadata_of(std::span<const std::byte> bytes, const std::string& name) {
  if (!is_png(bytes) && !is_jpeg(bytes) && !is_webp(bytes))
    ImageSource{bytes, name}.fail("a PNG, JPEG or WebP file",
                                  bytes.empty() ? "an empty one" : "another kind");
  const ImageSegments segments = find_segments(bytes);
  ImageMetadata found;
  std::string json;
  for (const auto& [key, text] : segments.texts) {
    if (key == kJsonKey) json = text;
    if (key == "parameters") found.parameters = text;
    if (key.empty()) json += after_key(text).value_or("");  // a JPEG's comments, each a part
  }
  const Exif exif = read_exif(segments.exif);
  if (json.empty() && exif.description) json = after_key(*exif.description).value_or("");
  if (!found.parameters) found.parameters = exif.user_comment;
  if (!json.empty()) {
    found.json = Json::parse(json, text_of(name, ", metadata"), ErrorCode::InvalidRequest);
    if (!found.json->is_object()) found.json->fail("an object");
  }
  return found;
}

std::string format_parameters(const GenerationText& text) {
  std::string lines = text.prompt;
  if (!text.negative_prompt.empty())
    lines.append("\n").append(kNegative).append(" ").append(text.negative_prompt);
  std::string_view between = "\n";
  for (const auto& [name, value] : text.settings) {
    const bool plain = value.find_first_of(",:\n") == std::string::npos &&
                       trimmed(value) == value && !value.starts_with('"');
    lines.append(between).append(name).append(": ").append(plain ? value : Json(value).dump());
    between = ", ";
  }
  return lines;
}

GenerationText parse_parameters(std::string_view text) {
  GenerationText parsed;
  text = trimmed(text);
  const std::size_t last = text.rfind('\n');
  parsed.settings = settings_of(last == std::string_view::npos ? text : text.substr(last + 1));
  if (parsed.settings.size() < kFewestSettings)
    parsed.settings.clear();
  else
    text = last == std::string_view::npos ? std::string_view() : text.substr(0, last);

  std::string* part = &parsed.prompt;
  bool first_line = true;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line = trimmed(line);
    if (line.starts_with(kNegative)) {
      part = &parsed.negative_prompt;
      first_line = true;
      line = trimmed(line.substr(kNegative.size()));
    }
    if (!first_line) *part += '\n';
    *part += line;
    first_line = false;
  }
  return parsed;
}

Json options_of(const GenerationText& text) {
  Json options = Json::object();
  options.set("prompt", text.prompt);
  if (!text.negative_prompt.empty()) options.set("negative_prompt", text.negative_prompt);
  for (const auto& [name, value] : text.settings) {
    if (name == "Steps") {
      if (const auto steps = number_of<std::int64_t>(value)) options.set("steps", *steps);
    } else if (name == "Seed") {
      if (const auto seed = number_of<std::uint64_t>(value)) options.set("seed", *seed);
    } else if (name == "CFG scale") {
      if (const auto scale = number_of<double>(value)) options.set("true_cfg_scale", *scale);
    } else if (name == "Denoising strength") {
      if (const auto strength = number_of<double>(value)) options.set("strength", *strength);
    } else if (name == "Model") {
      options.set("model", value);
    } else if (name == "Size") {
      const std::size_t x = std::min(value.find('x'), value.size());
      const auto width = number_of<std::int64_t>(std::string_view(value).substr(0, x));
      const auto height =
          number_of<std::int64_t>(std::string_view(value).substr(std::min(x + 1, value.size())));
      if (width && height) options.set("width", *width).set("height", *height);
    }
  }
  return options;
}

}  // namespace annulus
