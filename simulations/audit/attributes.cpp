#include "simulations/audit/attributes.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "simulations/audit/plain_uploads.hpp"
#include "simulations/audit/statistics.hpp"
#include "simulations/support/seeded_random.hpp"

namespace chorus::sim::audit {
namespace {

constexpr std::size_t kKnown = 10;    // ratings of a person that the attacker knows
constexpr std::uint32_t kRounds = 6;  // of the training without noise
constexpr std::uint32_t kGames = 3;
constexpr std::size_t kLeastPeople = 30;
constexpr double kMostCost = 0.05;  // of taking part, in AUC

bool is_of(const dataset::Catalogue& catalogue, std::uint32_t item, std::string_view genre) {
  const std::vector<std::string>& genres = catalogue.items()[item].genres;
  return std::ranges::find(genres, genre) != genres.end();
}

double share_of(const dataset::Catalogue& catalogue, std::span<const model::Observation> ratings,
                std::string_view genre) {
  double found = 0;
  for (const model::Observation& rating : ratings) found += is_of(catalogue, rating.item, genre) ? 1 : 0;
  return found / static_cast<double>(std::max<std::size_t>(ratings.size(), 1));
}

// A person, what the attacker knows of it, and what it does not.
struct Person {
  std::uint32_t user = 0;
  bool trait = false;
  std::vector<model::Observation> known;   // sorted by item
  std::vector<model::Observation> hidden;  // the others, sorted by item
};

// Who has twice as many ratings as the attacker knows, in a random order.
std::vector<Person> draw_people(const Scene& scene, crypto::RandomSource& random) {
  std::vector<std::uint32_t> users;
  for (const auto group : {scene.cohort(), scene.others()}) {
    std::ranges::copy_if(group, std::back_inserter(users),
                         [&scene](std::uint32_t user) { return scene.users()[user].training.size() >= 2 * kKnown; });
  }
  std::vector<Person> people;
  for (const std::uint32_t k : permutation(static_cast<std::uint32_t>(users.size()), random)) {
    Person person{.user = users[k], .trait = false, .known = {}, .hidden = {}};
    const auto ratings = scene.users()[person.user].training;
    std::vector<std::uint32_t> order = permutation(static_cast<std::uint32_t>(ratings.size()), random);
    std::ranges::sort(order.begin(), order.begin() + kKnown);
    std::ranges::sort(order.begin() + kKnown, order.end());
    for (std::size_t r = 0; r < order.size(); ++r) {
      (r < kKnown ? person.known : person.hidden).push_back(ratings[order[r]]);
    }
    people.push_back(std::move(person));
  }
  return people;
}

// The genre whose share differs most among people, against what chance alone would make: Σ (s − s̄)² n / (s̄ (1 − s̄)).
// Empty, if there is none that some have and some lack.
std::string telling_genre(const dataset::Catalogue& catalogue, std::span<const Person> people) {
  std::set<std::string> genres;
  for (const dataset::CatalogueItem& item : catalogue.items()) genres.insert(item.genres.begin(), item.genres.end());
  std::string best;
  double most = 0;
  for (const std::string& genre : genres) {
    double mean = 0;
    for (const Person& person : people) {
      mean += share_of(catalogue, person.hidden, genre) / static_cast<double>(people.size());
    }
    if (mean < 0.05 || mean > 0.95) continue;
    double sum = 0;
    for (const Person& person : people) {
      const double away = share_of(catalogue, person.hidden, genre) - mean;
      sum += away * away * static_cast<double>(person.hidden.size()) / (mean * (1 - mean));
    }
    if (sum > most) {
      most = sum;
      best = genre;
    }
  }
  return best;
}

// From popularity alone: how often the known items are rated, and how they were.
std::vector<double> by_popularity(std::span<const double> counts, const Person& person) {
  double mean = 0;
  double square = 0;
  double rating = 0;
  for (const model::Observation& known : person.known) {
    const double x = std::log(counts[known.item]);
    mean += x / kKnown;
    square += x * x / kKnown;
    rating += double{known.value} / kKnown;
  }
  return {mean, square - mean * mean, rating};
}

// What the attacker sees of a training: the model, and its last aggregate by what its own people would have summed to.
struct Aggregate {
  const model::Model* model = nullptr;
  model::TensorSet shared;
  std::vector<double> surprise;  // of the per-item tensor with a column for each number of a factor, [items × columns]
  std::size_t columns = 0;       // 0: there is none
};

// The person's factor under the model from the known ratings; and how much of the aggregate lies in its direction, in
// the genre's rows and in the others.
std::vector<double> by_model(const Aggregate& seen, const dataset::Catalogue& catalogue, std::string_view genre,
                             const Person& person) {
  const model::PrivateState state = seen.model->solve(seen.shared, {.training = person.known, .held_out = {}});
  std::vector<double> features(state.factor.begin(), state.factor.end());
  if (seen.columns != state.factor.size()) return features;
  double aligned[2] = {0, 0};
  double all[2] = {1e-9, 1e-9};
  for (std::size_t item = 0; item * seen.columns < seen.surprise.size(); ++item) {
    const int side = is_of(catalogue, static_cast<std::uint32_t>(item), genre) ? 1 : 0;
    const double* const row = seen.surprise.data() + item * seen.columns;
    double along = row[0];  // z = [1; p]
    double squares = row[0] * row[0];
    double length = 1;
    for (std::size_t k = 1; k < seen.columns; ++k) {
      along += row[k] * state.factor[k];
      squares += row[k] * row[k];
      length += state.factor[k] * state.factor[k];
    }
    aligned[side] += along * along / length;
    all[side] += squares;
  }
  features.push_back(aligned[1] / all[1]);
  features.push_back(aligned[0] / all[0]);
  return features;
}

// Trains by `contributors`. `own`: people of the attacker, as many or fewer.
Result<Aggregate> watch(const Scene& scene, const model::Model& model, std::span<const std::uint32_t> contributors,
                        std::span<const std::uint32_t> own, std::uint32_t rounds) {
  Training training(model, scene.users(), Aggregation::plain, scene.options().threads, scene.seed(4000));
  CHORUS_TRY_DO(train(training, model, contributors, rounds - 1));
  CHORUS_TRY(const Release seen, training.release(plan::Purpose::train, contributors));
  CHORUS_TRY(const Release expected, training.release(plan::Purpose::train, own));
  Aggregate aggregate{.model = &model, .shared = {}, .surprise = {}, .columns = 0};
  const plan::UpdateLayout& layout = seen.sum.layout();
  for (const char* const name : {"gradient", "residuals"}) {
    const auto tensor = layout.find(name);
    if (!tensor || !layout.tensors()[*tensor].per_item) continue;
    aggregate.columns = layout.tensors()[*tensor].columns;
    aggregate.surprise = seen.sum.numbers(*tensor);
    const std::vector<double> known = expected.sum.numbers(*tensor);
    const double share = static_cast<double>(contributors.size()) / static_cast<double>(own.size());
    for (std::size_t k = 0; k < known.size(); ++k) aggregate.surprise[k] -= share * known[k];
  }
  CHORUS_TRY_DO(training.apply(plan::Purpose::train, seen.sum));
  aggregate.shared = training.state().shared;
  return aggregate;
}

// Control: the upload, unmasked, says all ratings (A1); without the known ones it is the trait itself.
Result<double> trait_of_upload(const Scene& scene, const model::Model& model, const model::TensorSet& shared,
                               std::string_view genre, const Person& person) {
  ring::Contribution contribution;
  model.contribute(plan::Purpose::train, shared, scene.users()[person.user], contribution);
  ring::RoundSum one(model.layout(plan::Purpose::train, model.training_rounds(shared)));
  ring::EncodeCounts counts;
  CHORUS_TRY_DO(one.add(contribution, counts));
  std::vector<model::Observation> ratings = recover(model, shared, numbers_of(one)).ratings;
  std::erase_if(ratings, [&person](const model::Observation& rating) {
    return std::ranges::binary_search(person.known, rating.item, {}, &model::Observation::item);
  });
  return share_of(*scene.input().catalogue, ratings, genre);
}

// One game: other people make the models. `genre` is told by the people who were drawn, if it is empty; it stays so if
// there is none, or too few people.
Result<TraitInference> play(const Scene& scene, const model::Model& model, std::uint32_t rounds, std::uint32_t game,
                            std::string genre) {
  const dataset::Catalogue& catalogue = *scene.input().catalogue;
  SeededRandom random(scene.seed(3000 + game));
  std::vector<Person> people = draw_people(scene, random);
  TraitInference found;
  if (people.size() < kLeastPeople) return found;
  found.genre = genre.empty() ? telling_genre(catalogue, people) : std::move(genre);
  if (found.genre.empty()) return found;
  std::vector<double> shares;
  for (const Person& person : people) shares.push_back(share_of(catalogue, person.hidden, found.genre));
  std::vector<double> sorted = shares;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  for (std::size_t k = 0; k < people.size(); ++k) people[k].trait = shares[k] > *middle;

  // A third is the attacker's own; two groups of a third make a model each.
  const auto all = std::span<const Person>(people);
  const std::size_t third = all.size() / 3;
  const std::span<const Person> own = all.subspan(2 * third);
  const std::span<const Person> groups[] = {all.first(third), all.subspan(third, third)};
  const auto examples_of = [](std::span<const Person> some, const auto& features) {
    Examples examples(features(some.front()).size());
    for (const Person& person : some) examples.add(features(person), person.trait);
    return examples;
  };
  const auto users_of = [](std::span<const Person> some) {
    std::vector<std::uint32_t> users;
    for (const Person& person : some) users.push_back(person.user);
    return users;
  };
  std::vector<double> counts(scene.items(), 0);
  for (const Person& person : people) {
    for (const model::Observation& rating : scene.users()[person.user].training) counts[rating.item] += 1;
  }
  const auto popular = [&counts](const Person& person) { return by_popularity(counts, person); };
  found.people = 2 * third;
  found.popularity = Classifier(examples_of(own, popular)).auc(examples_of(all.first(2 * third), popular));

  const std::vector<std::uint32_t> known = users_of(own);
  found.own = found.foreign = 0;
  std::vector<double> told[2];
  for (const int g : {0, 1}) {
    CHORUS_TRY(const Aggregate seen, watch(scene, model, users_of(groups[g]), known, rounds));
    const auto features = [&](const Person& person) {
      std::vector<double> numbers = by_model(seen, catalogue, found.genre, person);
      const std::vector<double> more = popular(person);
      numbers.insert(numbers.end(), more.begin(), more.end());
      return numbers;
    };
    const Classifier classifier(examples_of(own, features));
    found.own += classifier.auc(examples_of(groups[g], features)) / 2;
    found.foreign += classifier.auc(examples_of(groups[1 - g], features)) / 2;
    if (model.privacy(plan::Purpose::train, rounds - 1)) continue;
    for (const Person& person : groups[g]) {
      CHORUS_TRY(const double share, trait_of_upload(scene, model, seen.shared, found.genre, person));
      told[person.trait ? 1 : 0].push_back(share);
    }
  }
  if (!told[0].empty() && !told[1].empty()) found.upload = attack_auc(told[1], told[0]);
  return found;
}

}  // namespace

Result<TraitInference> infer_trait(const Scene& scene, const model::Model& model, std::uint32_t rounds,
                                   std::uint32_t games) {
  TraitInference mean{.genre = {},
                      .popularity = 0,
                      .own = 0,
                      .foreign = 0,
                      .upload = model.privacy(plan::Purpose::survey, 0) ? 0.5 : 1};
  for (std::uint32_t game = 0; game < games; ++game) {
    CHORUS_TRY(const TraitInference found, play(scene, model, rounds, game, mean.genre));
    if (found.people == 0) return TraitInference{};
    mean.genre = found.genre;
    mean.people = found.people;
    mean.popularity += found.popularity / games;
    mean.own += found.own / games;
    mean.foreign += found.foreign / games;
    mean.upload = std::min(mean.upload, found.upload);
  }
  return mean;
}

Result<Finding> attack_attributes(const Scene& scene) {
  Finding finding;
  finding.id = "A7";
  finding.attack = "a trait: whether a person's hidden ratings favour a genre";
  const auto skip = [&finding](std::string why) {
    finding.verdict = Verdict::skipped;
    finding.result = std::move(why);
    return finding;
  };
  if (scene.input().catalogue == nullptr) return skip("the ratings come without genres, which the trait is made of");
  CHORUS_TRY(const auto plain, scene.plain_model());
  CHORUS_TRY(const TraitInference open, infer_trait(scene, *plain, kRounds, kGames));
  if (open.genre.empty() || open.people == 0) {
    return skip("no genre tells people apart, or too few people have enough ratings");
  }
  CHORUS_TRY(const auto noisy, scene.private_model(open.people / 2));
  CHORUS_TRY(const TraitInference hidden, infer_trait(scene, *noisy, noisy->preset_rounds(), kGames));
  const double cost = open.own - open.foreign;
  const double private_cost = hidden.own - hidden.foreign;
  // Of the difference, as if both AUCs were independent: they are of the same people, and it is smaller.
  const std::size_t sample = kGames * open.people / 2;
  const double error = std::sqrt(2.0) * auc_error(open.own, sample, sample);
  finding.controls = {{.what = "plain uploads without the known ratings: AUC",
                       .value = open.upload,
                       .needs = "at least 0.99",
                       .holds = open.upload >= 0.99}};
  finding.result = fmt::format(
      "'{}' from {} known ratings: popularity alone {:.3f}; with the model and its last sum {:.3f}, with those of a "
      "training without the person {:.3f}; ε = {}: {:.3f}, {:.3f}",
      open.genre, kKnown, open.popularity, open.own, open.foreign, scene.options().epsilon, hidden.own, hidden.foreign);
  finding.bar = fmt::format("taking part adds at most {} and two errors of {:.3f}", kMostCost, error);
  const double most = kMostCost + 2 * error;
  finding.verdict = cost <= most && private_cost <= most ? Verdict::held : Verdict::exceeded;
  finding.figures = {{"popularity_auc", open.popularity},
                     {"model_auc", open.own},
                     {"model_without_the_person_auc", open.foreign},
                     {"private_model_auc", hidden.own},
                     {"private_model_without_the_person_auc", hidden.foreign},
                     {"upload_auc", open.upload},
                     {"auc_error", error},
                     {"people", static_cast<double>(open.people)}};
  finding.bars = {{.label = "A7 trait, the model", .attack = open.own, .popularity = open.popularity},
                  {.label = fmt::format("A7 trait, ε = {}", scene.options().epsilon),
                   .attack = hidden.own,
                   .popularity = open.popularity}};
  return finding;
}

}  // namespace chorus::sim::audit
