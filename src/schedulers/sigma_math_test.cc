#include "schedulers/sigma_math.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "schedulers/beta_quantile.h"
#include "schedulers/shift.h"

namespace annulus {
namespace {

TEST(Linspace, EndsAreExactAndOneValueIsTheStart) {
  EXPECT_EQ(linspace(1, 0.1, 4).front(), 1);
  EXPECT_EQ(linspace(1, 0.1, 4).back(), 0.1);
  EXPECT_EQ(linspace(3, 9, 1), std::vector<double>{3});
  EXPECT_EQ(linspace(2, 2, 3), (std::vector<double>{2, 2, 2}));
}

TEST(RoundedArange, TiesGoToEven) {
  EXPECT_EQ(rounded_arange(5, 0, -2.5), (std::vector<double>{5, 2}));
}

TEST(Interpolated, IsLinearInsideAndConstantOutside) {
  const std::vector<float> values = {1, 3, 7};
  EXPECT_EQ(interpolated(-1, values), 1);
  EXPECT_EQ(interpolated(0.25, values), 1.5);
  EXPECT_EQ(interpolated(1, values), 3);
  EXPECT_EQ(interpolated(9, values), 7);
}

TEST(NumpyLog, IsWithinTwoUnitsOfTheLastPlace) {
  for (float x = 1e-6f; x < 1e6f; x *= 1.37f)
    EXPECT_NEAR(numpy_log(x), std::log(double{x}),
                2.4e-7 * std::max(1.0, std::abs(std::log(double{x}))));
}

TEST(BetaQuantile, EqualsClosedForms) {
  for (const double p : {0.0, 1e-9, 0.1, 0.37, 0.5, 0.9, 1.0}) {
    EXPECT_NEAR(beta_quantile(p, 1, 1), p, 1e-13);
    EXPECT_NEAR(beta_quantile(p, 2, 1), std::sqrt(p), 1e-13);
    EXPECT_NEAR(beta_quantile(p, 1, 3), 1 - std::cbrt(1 - p), 1e-13);
    const double arcsine = std::sin(p * std::acos(-1.0) / 2);
    EXPECT_NEAR(beta_quantile(p, 0.5, 0.5), arcsine * arcsine, 1e-13);
  }
}

TEST(BetaQuantile, IsSymmetricForEqualExponents) {
  for (const double p : {0.001, 0.2, 0.45})
    EXPECT_NEAR(beta_quantile(p, 0.6, 0.6) + beta_quantile(1 - p, 0.6, 0.6), 1, 1e-13);
}

TEST(SpacedSigmas, EndAtTheGivenLevels) {
  for (const SigmaSpacing spacing :
       {SigmaSpacing::Karras, SigmaSpacing::Exponential, SigmaSpacing::Beta}) {
    const std::vector<double> sigmas = spaced_sigmas(spacing, 14, 0.03, 7);
    EXPECT_NEAR(sigmas.front(), 14, 1e-12);
    EXPECT_NEAR(sigmas.back(), 0.03, 1e-12);
    EXPECT_EQ(spaced_sigmas(spacing, 14, 0.03, 1).size(), 1u);
  }
}

TEST(TimestepOf, InvertsTheTrainingLevels) {
  std::vector<float> logs(50);
  for (std::size_t t = 0; t < logs.size(); ++t) logs[t] = -3.0f + 0.125f * static_cast<float>(t);
  for (const double t : {0.0, 0.5, 17.25, 49.0})
    EXPECT_NEAR(timestep_of(std::exp(-3.0 + 0.125 * t), logs), t, 1e-9);
  EXPECT_EQ(timestep_of(0, logs), 0);
  EXPECT_EQ(timestep_of(1e9, logs), 49);
}

TEST(StretchToTerminal, KeepsTheFirstAndSetsTheLast) {
  std::vector<double> sigmas = {1, 0.6, 0.2};
  stretch_to_terminal(sigmas, 0.05);
  EXPECT_EQ(sigmas[0], 1);
  EXPECT_NEAR(sigmas[1], 1 - 0.4 / 0.8 * 0.95, 1e-15);
  EXPECT_NEAR(sigmas[2], 0.05, 1e-15);
  std::vector<float> one = {1};
  EXPECT_THROW(stretch_to_terminal(one, 0.05), Error);
}

TEST(ShiftMu, IsTheRangesShiftAtItsEnds) {
  const ShiftRange qwen{256, 8192, 0.5, 0.9};
  EXPECT_NEAR(shift_mu(256, qwen), 0.5, 1e-12);
  EXPECT_NEAR(shift_mu(8192, qwen), 0.9, 1e-12);
}

TEST(Flux2Mu, DependsOnStepsOnlyForSmallPictures) {
  EXPECT_NE(flux2_mu(4096, 10), flux2_mu(4096, 50));
  EXPECT_EQ(flux2_mu(4301, 10), flux2_mu(4301, 50));
  EXPECT_NEAR(flux2_mu(1000, 200), 0.00016927 * 1000 + 0.45666666, 1e-12);
}

}  // namespace
}  // namespace annulus
