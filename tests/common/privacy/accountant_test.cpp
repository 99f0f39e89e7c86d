// The accountants against reference values (tests/vectors/accountant.json), against each other, and on bad input.
#include <cmath>
#include <fstream>
#include <limits>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/privacy/gaussian_accountant.hpp"
#include "common/privacy/pld_accountant.hpp"
#include "common/privacy/rdp_accountant.hpp"

namespace chorus::privacy {
namespace {

using nlohmann::json;

// One table of the file; not empty.
const json& vectors(const char* table) {
  static const json all = json::parse(std::ifstream(CHORUS_SOURCE_DIR "/tests/vectors/accountant.json"));
  EXPECT_FALSE(all.at(table).empty());
  return all.at(table);
}

void expect_close(const Result<double>& found, double wanted, double relative, const std::string& what = {}) {
  ASSERT_TRUE(found.has_value()) << found.error().to_string();
  EXPECT_NEAR(*found / wanted, 1, relative) << what << ": " << *found << " is not " << wanted;
}

Mechanism mechanism_of(const json& row) {
  Mechanism mechanism{.noise_multiplier = row["noise_multiplier"]};
  if (row.contains("steps")) mechanism.rounds = row["steps"];
  if (row.contains("sampling")) mechanism.sampling = row["sampling"];
  return mechanism;
}

TEST(RdpAccountant, OneStepMatchesTheReferences) {
  for (const json& row : vectors("rdp_step")) {
    expect_close(rdp_step(row["sampling"], row["noise_multiplier"], row["alpha"]), row["rdp"], 1e-9, row.dump());
  }
}

TEST(RdpAccountant, SubsampledRoundsMatchTheReferences) {
  std::vector<double> whole;
  for (const double order : rdp_orders()) {
    if (order == std::floor(order)) whole.push_back(order);
  }
  for (const json& row : vectors("subsampled")) {
    const auto found = rdp_epsilon(mechanism_of(row), row["delta"]);
    ASSERT_TRUE(found.has_value());
    expect_close(found->epsilon, row["rdp_epsilon"], 1e-9, row.dump());
    EXPECT_EQ(found->order, row["order"].get<double>()) << row;
    const auto of_whole = rdp_epsilon(mechanism_of(row), row["delta"], whole);
    ASSERT_TRUE(of_whole.has_value());
    expect_close(of_whole->epsilon, row["integer_orders_epsilon"], 1e-9, row.dump());
    EXPECT_EQ(of_whole->order, row["integer_order"].get<double>()) << row;
  }
}

TEST(RdpAccountant, MatchesWhatIsPublishedElsewhere) {
  const auto orders = vectors("tf_orders").get<std::vector<double>>();
  for (const json& row : vectors("published")) {
    const auto found = rdp_epsilon(mechanism_of(row), row["delta"], orders);
    ASSERT_TRUE(found.has_value());
    expect_close(found->epsilon, row["rdp_epsilon"], 1e-9, row.dump());
    EXPECT_EQ(found->order, row["order"].get<double>()) << row;
  }
}

TEST(Accountants, CertainParticipationMatchesTheReferences) {
  for (const json& row : vectors("full_participation")) {
    expect_close(exact_epsilon(mechanism_of(row), row["delta"]), row["exact_epsilon"], 1e-9, row.dump());
    const auto rdp = rdp_epsilon(mechanism_of(row), row["delta"]);
    ASSERT_TRUE(rdp.has_value());
    expect_close(rdp->epsilon, row["rdp_epsilon"], 1e-9, row.dump());
  }
}

TEST(Accountants, ABudgetAllowsExactlyTheReferencesRounds) {
  for (const json& row : vectors("refusal")) {
    const Budget budget{.epsilon = row["epsilon"], .delta = row["delta"]};
    Mechanism mechanism = mechanism_of(row);
    EXPECT_EQ(gaussian_rounds(mechanism.noise_multiplier, budget), row["rounds_exact"].get<std::uint64_t>()) << row;
    EXPECT_EQ(rdp_rounds(mechanism, budget), row["rounds_rdp"].get<std::uint64_t>()) << row;
    // The rounds are within the budget by the accountant itself, and one more is not.
    mechanism.rounds = row["rounds_exact"];
    EXPECT_LE(*exact_epsilon(mechanism, budget.delta), budget.epsilon);
    ++mechanism.rounds;
    EXPECT_GT(*exact_epsilon(mechanism, budget.delta), budget.epsilon);
  }
}

TEST(PldAccountant, MatchesTheReferences) {
  for (const json& row : vectors("pld")) {
    const auto found = pld_epsilon(mechanism_of(row), row["delta"]);
    ASSERT_TRUE(found.has_value()) << found.error().to_string();
    EXPECT_NEAR(*found, row["epsilon"], row["tolerance"]) << row;
  }
}

TEST(PldAccountant, AgreesWithTheExactOneWhereEveryRoundIsCertain) {
  for (const json& row : vectors("full_participation")) {
    const auto found = pld_epsilon(mechanism_of(row), row["delta"]);
    ASSERT_TRUE(found.has_value()) << found.error().to_string();
    EXPECT_NEAR(*found, row["exact_epsilon"], 5e-4) << row;
    EXPECT_GE(*found, row["exact_epsilon"].get<double>() - 1e-9) << "it rounds towards more loss";
  }
}

TEST(PldAccountant, IsATenThousandthTooLargeAtMostAndNeverTooSmall) {
  for (const double delta : {1e-5, 1e-9}) {
    for (const double mu : {0.05, 0.5, 2.0, 8.0}) {
      for (const std::uint64_t rounds : {1, 30, 1'000}) {
        const Mechanism mechanism{.noise_multiplier = std::sqrt(static_cast<double>(rounds)) / mu, .rounds = rounds};
        const double exact = *exact_epsilon(mechanism, delta);
        const auto found = pld_epsilon(mechanism, delta);
        ASSERT_TRUE(found.has_value()) << found.error().to_string();
        EXPECT_GE(*found, exact - 1e-9) << mu << " " << rounds << " " << delta;
        EXPECT_LE(*found, exact * (1 + 1.2e-4) + 1e-6) << mu << " " << rounds << " " << delta;
      }
    }
  }
}

TEST(PldAccountant, IsBelowTheRenyiAccountantUnderSubsampling) {
  for (const json& row : vectors("subsampled")) {
    const auto found = pld_epsilon(mechanism_of(row), row["delta"]);
    ASSERT_TRUE(found.has_value()) << found.error().to_string();
    EXPECT_LT(*found, row["rdp_epsilon"].get<double>()) << row;
    EXPECT_GT(*found, 0.75 * row["rdp_epsilon"].get<double>()) << row;
  }
}

// Between two integers the fractional orders go by quadrature, at integers by a finite sum: ρ_α is continuous.
TEST(RdpAccountant, FractionalOrdersMeetTheWholeOnesBetweenThem) {
  for (const double z : {0.3, 0.7, 1.1, 5.0, 40.0}) {
    for (const double q : {1e-6, 0.01, 0.3, 0.999}) {
      for (const double alpha : {2.0, 5.0, 10.0, 40.0}) {
        const double whole = *rdp_step(q, z, alpha);
        const double above = *rdp_step(q, z, alpha * (1 + 1e-12));
        EXPECT_NEAR(above / whole, 1, 1e-9) << "q " << q << ", z " << z << ", order " << alpha;
      }
    }
  }
}

TEST(RdpAccountant, RareAndFaintRoundsKeepTheirPrecision) {
  // q → 0: ρ_α → q² α (e^(1/z²) − 1)/2, the second term of the binomial series; the next one is smaller by about q.
  const double q = 1e-9;
  for (const double alpha : {1.5, 2.0, 7.0}) {
    expect_close(rdp_step(q, 2, alpha), q * q * alpha * std::expm1(0.25) / 2, 1e-7);
  }
}

TEST(GaussianAccountant, TheThreeFunctionsInvertEachOtherIntoTheTails) {
  for (const double delta : {0.4, 1e-3, 1e-10, 1e-100, 1e-290}) {
    for (const double mu : {1e-6, 0.01, 0.5, 3.0, 20.0, 300.0}) {
      const double epsilon = *gaussian_epsilon(mu, delta);
      if (epsilon == 0) continue;
      EXPECT_NEAR(std::log(*gaussian_delta(mu, epsilon)) / std::log(delta), 1, 1e-11) << mu << " " << delta;
      expect_close(gaussian_mu({.epsilon = epsilon, .delta = delta}), mu, 1e-9);
    }
  }
}

TEST(GaussianAccountant, AgreesWithTheTextbookFormulaWhereThatIsPrecise) {
  const auto normal = [](double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); };
  for (const double mu : {0.5, 1.0, 2.5, 6.0}) {
    for (const double epsilon : {0.0, 0.1, 1.0, 4.0, 10.0}) {
      const double textbook = normal(mu / 2 - epsilon / mu) - std::exp(epsilon) * normal(-mu / 2 - epsilon / mu);
      if (textbook < 1e-6) continue;
      expect_close(gaussian_delta(mu, epsilon), textbook, 1e-9);
    }
  }
}

TEST(Accountants, RefuseWhatMeansNothingByName) {
  const Mechanism good{.noise_multiplier = 1, .rounds = 1, .sampling = 0.5};
  constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
  for (const double delta : {0.0, 1.0, -1e-5, kNothing}) {
    EXPECT_EQ(rdp_epsilon(good, delta).error().where(), "privacy.delta") << delta;
    EXPECT_EQ(pld_epsilon(good, delta).error().where(), "privacy.delta") << delta;
    EXPECT_EQ(exact_epsilon(good, delta).error().where(), "privacy.delta") << delta;
    EXPECT_EQ(gaussian_rounds(1, {.epsilon = 1, .delta = delta}).error().where(), "privacy.delta") << delta;
  }
  for (const double z : {0.0, -1.0, kNothing, std::numeric_limits<double>::infinity()}) {
    const Mechanism bad{.noise_multiplier = z};
    EXPECT_EQ(rdp_epsilon(bad, 1e-5).error().where(), "noise_multiplier") << z;
    EXPECT_EQ(pld_epsilon(bad, 1e-5).error().where(), "noise_multiplier") << z;
    EXPECT_EQ(exact_epsilon(bad, 1e-5).error().where(), "noise_multiplier") << z;
    EXPECT_EQ(gaussian_rounds(z, {.epsilon = 1, .delta = 1e-5}).error().where(), "noise_multiplier") << z;
  }
  for (const double q : {0.0, -0.1, 1.1, kNothing}) {
    const Mechanism bad{.noise_multiplier = 1, .sampling = q};
    EXPECT_EQ(rdp_epsilon(bad, 1e-5).error().where(), "sampling") << q;
    EXPECT_EQ(pld_epsilon(bad, 1e-5).error().where(), "sampling") << q;
    EXPECT_EQ(rdp_step(q, 1, 2).error().where(), "sampling") << q;
  }
  EXPECT_EQ(rdp_epsilon({.noise_multiplier = 1, .rounds = 0}, 1e-5).error().where(), "rounds");
  EXPECT_EQ(rdp_step(0.5, 1, 1).error().where(), "order");
  EXPECT_EQ(rdp_epsilon(good, 1e-5, {}).error().where(), "order");
  EXPECT_EQ(gaussian_mu({.epsilon = -1, .delta = 1e-5}).error().where(), "privacy.epsilon");
  EXPECT_EQ(gaussian_epsilon(0, 1e-5).error().where(), "mu");
  EXPECT_EQ(pld_epsilon({.noise_multiplier = 0.01}, 1e-5).error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(pld_epsilon(good, 1e-15).error().where(), "privacy.delta");
}

}  // namespace
}  // namespace chorus::privacy
