#include <regex>

#include "kinds.h"
#include "schedulers/shift.h"
#include "tensor/copy.h"

namespace annulus::goldens {
namespace {

/// mu of an output whose name says by what rule: "flux2_STEPS_steps", or
/// "NAME_BASELEN_MAXLEN_BASESHIFT_MAXSHIFT".
double mu_of(const std::string& name, std::int64_t image_seq_len) {
  std::smatch part;
  if (std::regex_match(name, part, std::regex("flux2_([0-9]+)_steps")))
    return flux2_mu(image_seq_len, std::stoi(part[1].str()));
  const std::regex range("[a-z0-9]+_([0-9.]+)_([0-9.]+)_([0-9.]+)_([0-9.]+)");
  require(std::regex_match(name, part, range), ErrorCode::CorruptFile,
          "golden case: wanted a name with a range or steps, found ", name);
  const auto number = [&part](std::size_t i) { return std::stod(part[i].str()); };
  return shift_mu(image_seq_len, {.base_image_seq_len = number(1),
                                  .max_image_seq_len = number(2),
                                  .base_shift = number(3),
                                  .max_shift = number(4)});
}

}  // namespace

void run_mu(const GoldenCase& golden, Workbench& bench, Comparison& comparison) {
  const Tensor lengths = bench.widened(golden.input("image_seq_len", bench.host()));
  for (const std::string& name : golden.output_names()) {
    std::vector<double> mu;
    for (std::int64_t i = 0; i < lengths.elements(); ++i)
      mu.push_back(mu_of(name, lengths.data<std::int64_t>()[i]));
    comparison.add(name, mu, lengths.shape());
  }
}

}  // namespace annulus::goldens
