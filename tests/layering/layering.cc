#include "layering.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "source_text.h"

namespace annulus::layering {

namespace {

using Names = std::vector<std::string>;

// What each folder sees besides itself and whatever those see; the picture in ARCHITECTURE.md.
const std::map<std::string, Names>& arrows() {
  static const std::map<std::string, Names> list = {
      {"base", {}},
      {"tensor", {"base"}},
      {"attention", {"tensor"}},
      {"comm", {"tensor"}},
      {"platform", {"attention", "comm"}},
      {"parallel", {"attention", "comm"}},
      {"io", {"tensor"}},
      {"nn", {"parallel", "platform", "io"}},
      {"schedulers", {"nn"}},
      {"pipeline", {"nn", "schedulers"}},
      {"models", {"pipeline"}},
      {"engine", {"models"}},
      {"apps", {"engine"}},
  };
  return list;
}

std::string folder_of(const std::string& path) {
  return path.substr(0, path.find('/'));
}

bool lies_below(const std::string& path, std::string_view folder) {
  return path.starts_with(std::string(folder) + "/");
}

// Calls found(line number, line) for each line of a file's code.
template <class Found>
void for_each_line(const SourceFile& file, Found found) {
  const std::string code = code_of(file.text);
  int number = 0;
  for (const std::string_view line : lines_of(code)) found(++number, std::string(line));
}

std::vector<Offence> lines_that_match(const std::vector<SourceFile>& files,
                                      const std::regex& pattern, const std::string& what,
                                      const std::function<bool(const std::string&)>& allowed) {
  std::vector<Offence> offences;
  for (const SourceFile& file : files) {
    if (allowed(file.path)) continue;
    for_each_line(file, [&](int number, const std::string& line) {
      std::smatch match;
      if (std::regex_search(line, match, pattern))
        offences.push_back({file.path, number, what + ": " + match.str()});
    });
  }
  return offences;
}

void add_visible(const std::string& folder, std::set<std::string>& seen) {
  if (!seen.insert(folder).second) return;
  for (const std::string& next : arrows().at(folder)) add_visible(next, seen);
}

}  // namespace

std::vector<SourceFile> files_below(const std::string& src) {
  std::vector<SourceFile> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(src)) {
    const std::string ending = entry.path().extension().string();
    if (!entry.is_regular_file() || (ending != ".cc" && ending != ".h" && ending != ".hpp"))
      continue;
    std::ifstream stream(entry.path(), std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    files.push_back({std::filesystem::relative(entry.path(), src).generic_string(), text.str()});
  }
  std::ranges::sort(files, {}, &SourceFile::path);
  return files;
}

std::vector<std::string> visible_from(const std::string& folder) {
  std::set<std::string> seen;
  if (arrows().contains(folder)) add_visible(folder, seen);
  return {seen.begin(), seen.end()};
}

std::vector<Offence> includes_to_the_right(const std::vector<SourceFile>& files) {
  static const std::regex include(R"re(^\s*#\s*include\s*(["<])([^">]+)[">])re");
  std::set<std::string> paths;
  for (const SourceFile& file : files) paths.insert(file.path);

  std::vector<Offence> offences;
  for (const SourceFile& file : files) {
    const std::string folder = folder_of(file.path);
    const Names visible = visible_from(folder);
    if (visible.empty()) {
      offences.push_back({file.path, 1, "src/" + folder + " is no layer"});
      continue;
    }
    for_each_line(file, [&](int number, const std::string& line) {
      std::smatch match;
      if (!std::regex_search(line, match, include)) return;
      const bool quoted = match.str(1) == "\"";
      const std::string name = match.str(2), target = folder_of(name);
      if (!quoted && !paths.contains(name)) return;  // a system header or a library's
      const auto refuse = [&](const std::string& why) {
        offences.push_back({file.path, number, name + ": " + why});
      };
      if (!quoted)
        refuse("ours are included with quotes");
      else if (!arrows().contains(target))
        refuse("not spelled from src/, or no layer");
      else if (!paths.contains(name))
        refuse("no such file");
      else if (!std::ranges::binary_search(visible, target))
        refuse(folder + " may not see " + target);
    });
  }
  return offences;
}

std::vector<Offence> foreign_forward_declarations(const std::vector<SourceFile>& files) {
  static const std::string kind = R"((?:class|struct|union|enum(?:\s+(?:class|struct))?)\s+)";
  static const std::string attributes = R"((?:\[\[[^\]]*\]\]\s*|alignas\s*\([^)]*\)\s*)?)";
  static const std::regex definition(R"((?:^|[;{}>])\s*)" + kind + attributes +
                                     R"((?:\w+::)*(\w+)\s*(?:final\s*)?(?::[^:;{][^;{]*)?\{)");
  static const std::regex declaration("\\b" + kind + R"((?:\w+::)*(\w+)\s*(?::\s*[\w:]+\s*)?;)");

  std::map<std::string, std::set<std::string>> homes;  // type -> folders that define it
  std::set<std::string> public_types;                  // those that some header defines
  for (const SourceFile& file : files) {
    const std::string code = code_of(file.text);
    for (std::sregex_iterator at(code.begin(), code.end(), definition), end; at != end; ++at) {
      homes[at->str(1)].insert(folder_of(file.path));
      if (!file.path.ends_with(".cc")) public_types.insert(at->str(1));
    }
  }

  std::vector<Offence> offences;
  for (const SourceFile& file : files) {
    for_each_line(file, [&](int number, const std::string& line) {
      for (std::sregex_iterator at(line.begin(), line.end(), declaration), end; at != end; ++at) {
        const std::string name = at->str(1);
        if (!public_types.contains(name) || homes[name].contains(folder_of(file.path))) continue;
        offences.push_back({file.path, number, name + " belongs to " + *homes[name].begin()});
      }
    });
  }
  return offences;
}

std::vector<Offence> stray_openmp(const std::vector<SourceFile>& files) {
  static const std::regex pattern(R"(#\s*pragma\s+omp\b|<omp\.h>|\bomp_\w+|\b_OPENMP\b)");
  return lines_that_match(files, pattern, "OpenMP outside base/parallel_for.cc",
                          [](const std::string& path) { return path == "base/parallel_for.cc"; });
}

std::vector<Offence> stray_instruction_sets(const std::vector<SourceFile>& files) {
  static const std::regex pattern(
      R"(<\w*intrin\.h>|<arm_\w+\.h>|<cpuid\.h>|\b_mm\d*_\w+|\b__m(128|256|512)\w*|#\s*pragma\s+(GCC|clang)\s+target|__attribute__\s*\(\(\s*target|\bgnu::target\b|clang\s+attribute|\b__AVX\w*|\b__SSE\w*|\b__FMA__|\b__builtin_cpu_\w+|\b__builtin_ia32_\w+)");
  return lines_that_match(
      files, pattern, "an instruction set outside attention/cpu and platform/cpu",
      [](const std::string& path) {
        return lies_below(path, "attention/cpu") || lies_below(path, "platform/cpu");
      });
}

}  // namespace annulus::layering
