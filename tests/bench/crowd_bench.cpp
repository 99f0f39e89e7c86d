// The crowd pays for privacy: what a budget costs in error, beside the same training without noise, on generated
// populations of planted taste that differ in size alone.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "common/dataset/planted.hpp"
#include "common/evaluation/rating_test.hpp"
#include "simulations/world/parallel.hpp"
#include "simulations/world/population.hpp"
#include "simulations/world/train_settings.hpp"
#include "simulations/world/training.hpp"
#include "tests/bench/bench_report.hpp"

namespace chorus::bench {
namespace {

struct Options {
  std::vector<std::uint32_t> users = {10'000, 100'000, 1'000'000};
  std::uint32_t items = 3'700;
  std::uint32_t ratings = 54;
  std::uint64_t seed = 1;
  double epsilon = 2;
};

// Of a loss that is worse than this the bench says so: a fortieth more of the error for each tenfold smaller crowd.
double allowed_loss(std::uint32_t users) {
  if (users >= 1'000'000) return 0.005;
  return users >= 100'000 ? 0.01 : 0.04;
}

struct Crowd {
  dataset::RatingTable training;
  dataset::RatingTable test;
  dataset::DataContract contract;
  std::shared_ptr<const dataset::Catalogue> catalogue;
};

// Opinions as ratings of films have them: an error that nobody can foresee of four fifths of a star in five, and half
// as much taste.
Crowd make_crowd(const Options& options, std::uint32_t users) {
  const auto planted = dataset::PlantedPopulation::create({.seed = options.seed,
                                                           .users = users,
                                                           .items = options.items,
                                                           .ratings_per_user = options.ratings,
                                                           .user_bias = 0.1,
                                                           .item_bias = 0.12,
                                                           .taste = 0.11,
                                                           .noise = 0.2});
  if (!planted) throw std::runtime_error(planted.error().to_string());
  Crowd crowd{.training = planted->table(),
              .test = {},
              .contract = planted->contract(),
              .catalogue = std::make_shared<const dataset::Catalogue>(planted->catalogue())};
  crowd.test.users = crowd.training.users;
  crowd.test.items = crowd.training.items;
  // Every tenth of all ratings, which lie user by user.
  std::size_t kept = 0;
  std::vector<dataset::Entry>& all = crowd.training.entries;
  for (std::size_t k = 0; k < all.size(); ++k) {
    if (k % 10 == 9) {
      crowd.test.entries.push_back(all[k]);
    } else {
      all[kept++] = all[k];
    }
  }
  all.resize(kept);
  return crowd;
}

double train(const Crowd& crowd, const Options& options, const std::string& epsilon) {
  const std::vector<std::string> sets = {"privacy.epsilon=" + epsilon};
  auto settings = sim::TrainSettings::create("mf", sets, "plain", 1);
  if (!settings) throw std::runtime_error(settings.error().to_string());
  settings->people = crowd.training.user_count();
  const auto made = settings->make_model(options.items, crowd.contract, options.seed, crowd.catalogue);
  if (!made) throw std::runtime_error(made.error().to_string());
  const model::Model& model = **made;
  const evaluation::UserData users(crowd.training);
  const unsigned threads = std::max(1U, std::thread::hardware_concurrency());
  sim::Training training(model, users, sim::Aggregation::plain, threads, options.seed);
  std::vector<std::uint32_t> everybody(users.size());
  std::iota(everybody.begin(), everybody.end(), 0U);
  for (std::uint32_t round = 0; round <= model.preset_rounds(); ++round) {
    const auto outcome = training.round(round == 0 ? plan::Purpose::survey : plan::Purpose::train, everybody);
    if (!outcome) throw std::runtime_error(outcome.error().to_string());
    fmt::print(stderr, "{} people, epsilon {}: question {} of {}\n", users.size(), epsilon, round + 1,
               model.preset_rounds() + 1);
  }
  const dataset::ByUser tests(crowd.test);
  std::vector<metrics::RatingError> parts(sim::kChunks);
  sim::for_each_chunk(users.size(), threads, [&](const sim::Chunk& chunk) {
    parts[chunk.index] =
        evaluation::test_ratings(model, training.state().shared, users, tests, static_cast<std::uint32_t>(chunk.first),
                                 static_cast<std::uint32_t>(chunk.last))
            .value();
  });
  metrics::RatingError error;
  for (const metrics::RatingError& part : parts) error.add(part);
  return error.rmse();
}

int main_of(int argc, char** argv) {
  Options options;
  CLI::App app{"What a privacy budget costs crowds of different sizes: the error beside training without noise."};
  app.add_option("--users", options.users, "Sizes of the crowds")->delimiter(',')->check(CLI::Range(100, 5'000'000));
  app.add_option("--items", options.items, "Items")->check(CLI::Range(10, 100'000));
  app.add_option("--ratings", options.ratings, "Mean number of a person's ratings")->check(CLI::Range(1, 1000));
  app.add_option("--epsilon", options.epsilon, "The budget against readers, at delta 1e-6")
      ->check(CLI::Range(0.1, 100.0));
  app.add_option("--seed", options.seed, "Of the population and the noise");
  CLI11_PARSE(app, argc, argv);
  auto json = report("crowd", std::thread::hardware_concurrency());
  json["epsilon"] = options.epsilon;
  json["crowds"] = nlohmann::json::array();
  fmt::print(stderr, "{:>10} {:>10} {:>12} {:>12} {:>8} {:>8} {:>9}\n", "people", "ratings", "rmse", "no noise", "loss",
             "at most", "seconds");
  for (const std::uint32_t users : options.users) {
    const auto start = std::chrono::steady_clock::now();
    const Crowd crowd = make_crowd(options, users);
    const double exact = train(crowd, options, "inf");
    const double noisy = train(crowd, options, fmt::format("{}", options.epsilon));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double loss = noisy / exact - 1;
    fmt::print(stderr, "{:>10} {:>10} {:>12.4f} {:>12.4f} {:>7.2f}% {:>7.1f}% {:>9.0f}\n", users, crowd.training.size(),
               noisy, exact, 100 * loss, 100 * allowed_loss(users), seconds);
    json["crowds"].push_back({{"users", users},
                              {"ratings", crowd.training.size()},
                              {"rmse", noisy},
                              {"rmse_without_noise", exact},
                              {"loss", loss},
                              {"allowed_loss", allowed_loss(users)},
                              {"seconds", seconds}});
  }
  print(json);
  return 0;
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  try {
    return chorus::bench::main_of(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 1;
  }
}
