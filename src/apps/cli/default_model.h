#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

namespace annulus::cli {

/// How metadata and --model name the model that comes with the program.
inline constexpr std::string_view kDefaultModelName = "storybook";

/// The storybook model that comes with the program: beside an installed program in
/// share/annulus/storybook, or demo/storybook of the tree that it was built in.
std::optional<std::filesystem::path> find_default_model();

/// That. Throws NotFound when there is none.
std::filesystem::path default_model();

}  // namespace annulus::cli
