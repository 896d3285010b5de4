// How a picture was made, as stored in its file: our JSON, and the `parameters` text of the A1111
// web UI, which people and other tools read. PNG: text chunks "annulus" and "parameters"; JPEG:
// comments "annulus:..." and EXIF UserComment; WebP: EXIF ImageDescription "annulus:..." and
// UserComment. Written through ImageOptions::text (image.h). Start with `read_metadata`.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/image.h"
#include "io/json.h"

namespace annulus {

inline constexpr std::string_view kJsonKey = "annulus";

struct ImageMetadata {
  std::optional<Json> json;               // an object
  std::optional<std::string> parameters;  // as stored
};

/// Both are absent when the file says nothing. Throws NotFound, and InvalidRequest when it is no
/// picture or its JSON is damaged.
ImageMetadata read_metadata(const std::filesystem::path& file, const ImageLimits& limits = {});
ImageMetadata metadata_of(std::span<const std::byte> bytes, const std::string& name);

/// The content of a `parameters` text.
struct GenerationText {
  std::string prompt, negative_prompt;
  std::vector<std::pair<std::string, std::string>> settings;  // "Steps" -> "20", in order

  bool operator==(const GenerationText&) const = default;
};

/// The prompt, a line "Negative prompt: ..." if there is one, and a line of settings "Steps: 20,
/// Seed: 1, ...". A setting that holds a comma, colon or line break is written as a JSON string.
/// (create_infotext of the web UI.)
std::string format_parameters(const GenerationText& text);

/// The reverse; a last line that does not look like settings belongs to the prompt.
/// (parse_generation_parameters.)
GenerationText parse_parameters(std::string_view text);

/// What such a text asks for, under the names of our options, as far as it says: prompt,
/// negative_prompt, steps, seed, true_cfg_scale (CFG scale), width, height, model, strength
/// (Denoising strength). Settings that are no numbers where ours are, and all others, are left out.
Json options_of(const GenerationText& text);

}  // namespace annulus
