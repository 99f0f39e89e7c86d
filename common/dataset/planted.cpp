#include "common/dataset/planted.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/dataset/seeded_generator.hpp"

namespace chorus::dataset {

namespace {

// The streams of a population's seed; users' own ones follow.
enum Stream : std::uint64_t { kItems = 1, kPopularity = 2, kYears = 3 };
constexpr std::uint64_t kUserTaste = std::uint64_t{1} << 32;
constexpr std::uint64_t kUserRatings = std::uint64_t{2} << 32;

constexpr std::uint32_t kMaxRank = 32;
constexpr std::int64_t kEpoch = 1'600'000'000;  // when the first users rate, seconds since 1970
constexpr std::int64_t kUserSpacing = 3'600;
constexpr std::uint64_t kLongestPause = 86'400;

// Two for each factor: what it is called where it is high, and where it is low.
constexpr std::array<std::string_view, 16> kGenres{"Drama",   "Comedy",      "Thriller", "Romance", "Action", "Musical",
                                                   "Science", "History",     "Crime",    "Family",  "Horror", "Fantasy",
                                                   "Western", "Documentary", "War",      "Sport"};

std::string genre_name(std::size_t factor, bool high) {
  const std::size_t index = 2 * factor + (high ? 0 : 1);
  return index < kGenres.size() ? std::string(kGenres[index]) : fmt::format("Genre {}", index + 1);
}

Status check_options(const PlantedOptions& options) {
  const auto wrong = [](std::string sentence, const char* option) {
    return fail(ErrorCode::invalid_argument, std::move(sentence), option);
  };
  if (options.users == 0 || options.users > kMaxUsers)
    return wrong(fmt::format("expected 1 to {}", kMaxUsers), "users");
  if (options.items < 2 || options.items > kMaxItems) return wrong(fmt::format("expected 2 to {}", kMaxItems), "items");
  if (options.ratings_per_user == 0 || options.ratings_per_user > kMaxItems) {
    return wrong(fmt::format("expected 1 to {}", kMaxItems), "ratings_per_user");
  }
  if (options.rank == 0 || options.rank > kMaxRank) return wrong(fmt::format("expected 1 to {}", kMaxRank), "rank");
  const double length = options.maximum - options.minimum;
  if (!std::isfinite(options.minimum) || !std::isfinite(options.maximum) || !(length > 0)) {
    return wrong("expected a maximum above the minimum", "maximum");
  }
  if (!(options.step > 0) || options.step > length) return wrong("expected a step within the scale", "step");
  const std::array deviations{std::pair{options.user_bias, "user_bias"}, std::pair{options.item_bias, "item_bias"},
                              std::pair{options.taste, "taste"}, std::pair{options.noise, "noise"}};
  for (const auto& [deviation, name] : deviations) {
    if (!(deviation >= 0 && deviation <= 1)) return wrong("expected a part of the scale, 0 to 1", name);
  }
  return {};
}

// A number with a heavy tail: Pareto with exponent 2, whose mean is twice its smallest value.
std::size_t draw_count(std::uint32_t mean, std::size_t most, SeededGenerator& generator) {
  const double smallest = 0.5 * mean;
  const double drawn = smallest / std::sqrt(1 - generator.unit());
  return std::clamp<std::size_t>(static_cast<std::size_t>(std::min(drawn, 1e9)), 1, most);
}

}  // namespace

Result<PlantedPopulation> PlantedPopulation::create(const PlantedOptions& options) {
  CHORUS_TRY_DO(check_options(options));
  return PlantedPopulation(options);
}

PlantedPopulation::PlantedPopulation(const PlantedOptions& options)
    : options_(options),
      item_biases_(options.items),
      item_factors_(std::size_t{options.items} * options.rank),
      cumulative_(options.items) {
  SeededGenerator generator(options_.seed, kItems);
  for (std::size_t item = 0; item < options_.items; ++item) {
    item_biases_[item] = generator.normal();
    for (std::size_t k = 0; k < options_.rank; ++k) item_factors_[item * options_.rank + k] = generator.normal();
  }
  // Zipf and Mandelbrot: the r-th most popular item has the weight 1 / (r + items / 20).
  std::vector<std::uint32_t> order(options_.items);
  std::iota(order.begin(), order.end(), 0U);
  SeededGenerator popularity(options_.seed, kPopularity);
  shuffle(std::span(order), popularity);
  for (std::size_t place = 0; place < order.size(); ++place) {
    cumulative_[order[place]] = 1.0 / (static_cast<double>(place) + 1 + 0.05 * options_.items);
  }
  std::partial_sum(cumulative_.begin(), cumulative_.end(), cumulative_.begin());
}

PlantedPopulation::User PlantedPopulation::user(std::uint32_t index) const {
  CHORUS_ENSURE(index < options_.users, "a user of the population");
  SeededGenerator generator(options_.seed, kUserTaste + index);
  User user;
  user.bias = generator.normal();
  user.factor.resize(options_.rank);
  for (double& value : user.factor) value = generator.normal();
  return user;
}

double PlantedPopulation::affinity(const User& user, std::uint32_t item) const {
  const double* factor = item_factors_.data() + std::size_t{item} * options_.rank;
  double sum = 0;
  for (std::size_t k = 0; k < options_.rank; ++k) sum += user.factor[k] * factor[k];
  return sum / std::sqrt(static_cast<double>(options_.rank));
}

double PlantedPopulation::opinion(const User& user, std::uint32_t item) const {
  const double length = options_.maximum - options_.minimum;
  const double mean = options_.minimum + 0.55 * length;
  return mean + length * (options_.user_bias * user.bias + options_.item_bias * item_biases_[item] +
                          options_.taste * affinity(user, item));
}

double PlantedPopulation::opinion(std::uint32_t user_index, std::uint32_t item) const {
  CHORUS_ENSURE(item < options_.items, "an item of the population");
  return opinion(user(user_index), item);
}

double PlantedPopulation::rounded(double value) const {
  const double most = std::floor((options_.maximum - options_.minimum) / options_.step + 1e-9);
  const double steps = std::clamp(std::round((value - options_.minimum) / options_.step), 0.0, most);
  return options_.minimum + steps * options_.step;
}

std::vector<Entry> PlantedPopulation::ratings_of(std::uint32_t index) const {
  const User me = user(index);
  SeededGenerator generator(options_.seed, kUserRatings + index);
  const std::size_t count = draw_count(options_.ratings_per_user, options_.items / 2, generator);
  std::vector<bool> met(options_.items, false);
  std::vector<Entry> entries;
  entries.reserve(count);
  std::int64_t when = kEpoch + std::int64_t{index} * kUserSpacing;
  const auto meet = [&](std::uint32_t item) {
    met[item] = true;
    const double length = options_.maximum - options_.minimum;
    const double value = rounded(opinion(me, item) + options_.noise * length * generator.normal());
    when += static_cast<std::int64_t>(1 + generator.below(kLongestPause));
    entries.push_back({index, item, options_.feedback == Feedback::events ? 1.0F : static_cast<float>(value), when});
  };
  // Popular items come up more often, and are taken up more often by who likes them.
  for (std::size_t attempts = 0; entries.size() < count && attempts < 64 * count; ++attempts) {
    const auto place = std::upper_bound(cumulative_.begin(), cumulative_.end(), generator.unit() * cumulative_.back());
    const auto item = static_cast<std::uint32_t>(
        std::min<std::size_t>(static_cast<std::size_t>(place - cumulative_.begin()), options_.items - 1));
    if (!met[item] && generator.unit() < 0.4 + 0.3 * affinity(me, item)) meet(item);
  }
  // Whoever has met all that is popular goes through the rest in order.
  const auto start = generator.below(options_.items);
  for (std::size_t i = 0; entries.size() < count; ++i) {
    const auto item = static_cast<std::uint32_t>((start + i) % options_.items);
    if (!met[item]) meet(item);
  }
  return entries;
}

RatingTable PlantedPopulation::table() const {
  const auto numbers = [](std::uint32_t count) {
    std::vector<std::string> ids(count);
    for (std::uint32_t i = 0; i < count; ++i) ids[i] = std::to_string(i + 1);
    return std::make_shared<const IdMap>(IdMap::of(std::move(ids)));
  };
  RatingTable table{numbers(options_.users), numbers(options_.items), {}};
  for (std::uint32_t user_index = 0; user_index < options_.users; ++user_index) {
    const std::vector<Entry> mine = ratings_of(user_index);
    table.entries.insert(table.entries.end(), mine.begin(), mine.end());
  }
  return table;
}

Catalogue PlantedPopulation::catalogue() const {
  SeededGenerator years(options_.seed, kYears);
  std::vector<CatalogueItem> items(options_.items);
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].id = std::to_string(i + 1);
    items[i].title = fmt::format("Planted film {}", i + 1);
    items[i].year = static_cast<std::uint16_t>(1960 + years.below(60));
    // The genre of its strongest factor, and of every other one beyond a standard deviation.
    const auto factor = std::span(item_factors_).subspan(i * options_.rank, options_.rank);
    const auto by_size = [](double left, double right) { return std::abs(left) < std::abs(right); };
    const auto strongest =
        static_cast<std::size_t>(std::max_element(factor.begin(), factor.end(), by_size) - factor.begin());
    for (std::size_t k = 0; k < factor.size(); ++k) {
      if (k == strongest || std::abs(factor[k]) > 1) items[i].genres.push_back(genre_name(k, factor[k] > 0));
    }
  }
  auto catalogue = Catalogue::create(std::move(items));
  CHORUS_ENSURE(catalogue.has_value(), "generated items are valid and distinct");
  return std::move(*catalogue);
}

DataContract PlantedPopulation::contract() const {
  DataContract contract;
  contract.feedback = options_.feedback;
  if (options_.feedback == Feedback::events) {
    contract.minimum = 0;
    contract.maximum = 1;
    contract.step = 0;
  } else {
    contract.minimum = static_cast<float>(options_.minimum);
    contract.maximum = static_cast<float>(options_.maximum);
    contract.step = static_cast<float>(options_.step);
  }
  return contract;
}

}  // namespace chorus::dataset
