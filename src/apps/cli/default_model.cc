#include "apps/cli/default_model.h"

#include "base/error.h"

namespace annulus::cli {

std::optional<std::filesystem::path> find_default_model() {
  namespace fs = std::filesystem;
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  if (failed) return std::nullopt;
  fs::path installed = program.parent_path().parent_path() / "share/annulus/storybook";
  if (fs::exists(installed / "model_index.json", failed)) return installed;
  for (fs::path folder = program.parent_path(); folder.has_relative_path();
       folder = folder.parent_path())
    if (fs::exists(folder / "demo/storybook/model_index.json", failed))
      return folder / "demo/storybook";
  return std::nullopt;
}

std::filesystem::path default_model() {
  std::optional<std::filesystem::path> found = find_default_model();
  if (found) return *std::move(found);
  throw Error(ErrorCode::NotFound,
              "model: wanted the storybook model beside the program, found none",
              "--model DIR names a model folder");
}

}  // namespace annulus::cli
