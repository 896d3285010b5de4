// annulus-goldens DIR...: runs every golden case below the folders and compares what the code makes
// with what the Python implementations made. Exit status 0 only when no case fails.
#include <cstdlib>
#include <iostream>
#include <map>

#include "kinds.h"
#include "report.h"

namespace annulus::goldens {
namespace {

constexpr const char* kUsage =
    "usage: annulus-goldens [--platform NAME] [--dtype f32|bf16|f16] [--threads N]\n"
    "                       [--filter TEXT] [--kind NAME] DIR...\n"
    "  runs every case.json below DIR; --filter takes cases whose name holds TEXT\n";

struct Options {
  WorkbenchOptions bench;
  std::string filter, kind;
  std::vector<std::filesystem::path> folders;
};

Options parse(const std::vector<std::string>& arguments) {
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("--")) {
      options.folders.emplace_back(argument);
      continue;
    }
    require(i + 1 < arguments.size(), ErrorCode::InvalidRequest, argument, ": wanted a value");
    const std::string& value = arguments[++i];
    if (argument == "--platform") {
      options.bench.platform = value;
    } else if (argument == "--dtype") {
      const std::optional<DType> dtype = dtype_of(value);
      require(dtype && is_floating(*dtype), ErrorCode::InvalidRequest,
              "--dtype: wanted f32, bf16 or f16, found ", value);
      options.bench.dtype = *dtype;
    } else if (argument == "--threads") {
      options.bench.threads = std::atoi(value.c_str());
    } else if (argument == "--filter") {
      options.filter = value;
    } else if (argument == "--kind") {
      options.kind = value;
    } else {
      throw Error(ErrorCode::InvalidRequest, "unknown option " + argument);
    }
  }
  require(!options.folders.empty(), ErrorCode::InvalidRequest, "wanted folders, found none");
  return options;
}

class Tally {
 public:
  explicit Tally(const Options& options) : options_(options), bench_(options.bench) {}

  void run_below(const std::filesystem::path& root) {
    for (const FoundCase& found : find_cases(root))
      if (found.name.find(options_.filter) != std::string::npos) run(found);
  }

  /// Exit status.
  int close() const {
    std::cout << passed_ << " passed, " << failed_ << " failed, " << skipped_ << " skipped\n";
    return failed_ == 0 && passed_ > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
  }

 private:
  void run(const FoundCase& found) {
    try {
      const GoldenCase golden(found.folder, found.name);
      if (!options_.kind.empty() && golden.kind() != options_.kind) return;
      const Kind* kind = nullptr;
      for (const Kind& known : kinds())
        if (known.name == golden.kind()) kind = &known;
      if (kind == nullptr) {
        ++skipped_;
        std::cout << "skip " << found.name << ": skipped: no runner for kind " << golden.kind()
                  << '\n';
        return;
      }
      Comparison comparison(golden, bench_);
      kind->run(golden, bench_, comparison);
      const CaseReport report = report_of(golden, comparison.finish());
      ++(report.ok ? passed_ : failed_);
      std::cout << report.text << '\n';
      if (!report.ok)
        std::cout << "     repeat: annulus-goldens --filter " << found.name << " DIR\n";
    } catch (const std::exception& error) {
      ++failed_;
      std::cout << "FAIL " << found.name << ": " << error.what() << '\n';
    }
    std::cout.flush();
  }

  const Options& options_;
  Workbench bench_;
  int passed_ = 0, failed_ = 0, skipped_ = 0;
};

int run(const std::vector<std::string>& arguments) {
  const Options options = parse(arguments);
  Tally tally(options);
  for (const std::filesystem::path& folder : options.folders) tally.run_below(folder);
  return tally.close();
}

}  // namespace
}  // namespace annulus::goldens

int main(int argc, char** argv) {
  try {
    return annulus::goldens::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n' << annulus::goldens::kUsage;
    return 2;
  }
}
