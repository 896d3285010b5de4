#include "apps/cli/report.h"

#include <iostream>

#include "io/atomic_file.h"

namespace annulus::cli {

void write_report(const std::filesystem::path& file, const Json& report) {
  const std::string text = report.dump(2) + "\n";
  if (file == "-")
    std::cout << text;
  else
    write_file(file, std::string_view(text));
}

}  // namespace annulus::cli
