// Settings, questions with their layouts and noise, and shared tensors: what coordinator and device agree on.
#include "common/model/ials/private.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/model/expected_tensors.hpp"
#include "common/model/settings_reader.hpp"

namespace chorus::model::ials {
namespace {

constexpr std::uint32_t kMostRank = 128;
constexpr std::uint32_t kMostPasses = 16;
// Of μ²: the counts, and each answer's Gram matrix; the rest is for the tastes, later answers getting more.
constexpr double kCountShare = 0.1;
constexpr double kGramShare = 0.02;
constexpr double kShareGrowth = 1.5;

constexpr double kUsualPeople = 6040;
constexpr double kSmallBudget = 0.7, kLargeBudget = 1.5, kNoNoise = 20;

constexpr std::string_view kUpdates[] = {"dp"};
constexpr std::string_view kAgainst[] = {"readers", "coordinator"};
constexpr std::string_view kSwitch[] = {"on", "off"};

double share_of_pass(std::uint32_t pass, std::uint32_t passes) {
  double all = 0;
  double mine = 0;
  double next = 1;
  for (std::uint32_t p = 0; p < passes; ++p, next *= kShareGrowth) {
    if (p == pass) mine = next;
    all += next;
  }
  return (1 - kCountShare - kGramShare * passes) * mine / all;
}

}  // namespace

const std::vector<SettingDescription>& private_settings() {
  static const std::vector<SettingDescription> all = {
      {"update", "dp", "what devices upload and how the coordinator steps: dp is private, sums are not"},
      {"mu", "1.848",
       "the privacy budget of all rounds together as Gaussian privacy, a user's whole data; 0: no noise"},
      {"people", "6040", "about how many take part: the more, the finer the questions"},
      {"against", "readers", "whom the budget is against: readers of the model, or the coordinator, who sees more"},
      {"cohort", "512", "members of one secure sum; the more, the less noise against the coordinator"},
      {"features", "on", "on: learn from the catalogue's genres, years and titles"},
      {"rank", "auto", "numbers of a factor; auto: the more, the larger budget and crowd are"},
      {"passes", "auto", "how often tastes are asked for; auto: likewise"},
      {"lambda", "auto", "ridge of a factor for each event; auto: from the counts"},
      {"alpha0", "0.3", "weight of what did not happen, an event's being 1"},
      {"seed", "1", "seed of the initial item factors"},
  };
  return all;
}

Result<std::unique_ptr<Model>> Private::make(const Settings& given, const ModelShape& shape) {
  SettingsReader reader("ials", private_settings(), given);
  Options options;
  PrivateQuestions::Terms terms;
  static_cast<void>(reader.choice("update", kUpdates));
  terms.mu = reader.number("mu", 0, 1e3);
  const double people = reader.number("people", 1, 1e12);
  terms.per_cohort = reader.choice("against", kAgainst) == kAgainst[1];
  terms.cohort = static_cast<std::uint32_t>(reader.integer("cohort", 1, 1'000'000));
  options.features = reader.choice("features", kSwitch) == "on";
  const std::optional<std::uint64_t> rank = reader.integer_or_auto("rank", 1, kMostRank);
  const std::optional<std::uint64_t> asked_passes = reader.integer_or_auto("passes", 1, kMostPasses);
  options.lambda = reader.number_or_auto("lambda", 1e-6, 1e6);
  options.alpha = reader.number("alpha0", 1e-6, 1e3);
  options.seed = reader.integer("seed", 0, ~std::uint64_t{0});
  CHORUS_TRY(Settings settings, std::move(reader).finish());
  CHORUS_TRY_DO(check_shape("ials", dataset::Feedback::events, shape));

  // Noise is the same for any crowd and a sum grows with it: so many times more people are like so many times the
  // budget. Chosen on one split of public film ratings taken for events.
  const double budget = terms.mu > 0 ? terms.mu * people / kUsualPeople : kNoNoise;
  options.rank = static_cast<std::uint32_t>(rank.value_or(budget < kSmallBudget ? 8 : budget < kNoNoise ? 16 : 32));
  const auto passes = static_cast<std::uint32_t>(asked_passes.value_or(budget < kLargeBudget ? 2 : 3));

  const std::size_t d = options.rank;
  PrivateQuestions questions(shape, terms);
  // Rounding lengthens a contribution a little.
  const auto scale_for = [&](double clip, double z) { return questions.scale_for(clip, 1.1 * clip, z); };
  {
    const double z = questions.multiplier(kCountShare);
    const int scale = scale_for(1, z);
    const double norm = std::sqrt(1 + 2 * kDeviceMark * kDeviceMark);
    CHORUS_TRY_DO(questions.ask({noisy_tensor("share", shape.items, 1, true, 1, scale),
                                 noisy_tensor("totals", 1, 2, false, kDeviceMark, scale)},
                                {{.tensors = 2, .norm = std::ldexp(norm, scale)}}, z));
  }
  for (std::uint32_t pass = 0; pass < passes; ++pass) {
    const double share = share_of_pass(pass, passes);
    const double z = questions.multiplier(share + kGramShare);
    const int scale = scale_for(kTasteNorm, z);
    // The Gram matrix's scale gives it about its small share: shares are as the squares of Δ in ring units.
    const double wanted = kTasteNorm / kGramNorm * std::sqrt(kGramShare / share) * std::ldexp(1, scale);
    int coarse = scale;
    while (std::ldexp(1, coarse) > wanted * 1.42 && coarse > -8) --coarse;
    CHORUS_TRY_DO(questions.ask(
        {noisy_tensor("tastes", shape.items, d, true, kTasteNorm, scale),
         noisy_tensor("gram", 1, d * (d + 1) / 2, false, kGramNorm, coarse)},
        {{.tensors = 1, .norm = std::ldexp(kTasteNorm, scale)}, {.tensors = 1, .norm = std::ldexp(kGramNorm, coarse)}},
        z));
  }
  return std::unique_ptr<Model>(new Private(std::move(settings), options, shape, std::move(questions)));
}

Private::Private(Settings settings, const Options& options, const ModelShape& shape, PrivateQuestions questions)
    : settings_(std::move(settings)), options_(options), shape_(shape), questions_(std::move(questions)) {}

plan::UpdateLayout Private::layout(plan::Purpose purpose, std::uint64_t training_rounds) const {
  return questions_.layout(purpose, training_rounds);
}

std::optional<PrivateQuestion> Private::privacy(plan::Purpose purpose, std::uint64_t training_rounds) const {
  return questions_.privacy(purpose, training_rounds);
}

double Private::weighted(const TensorSet& shared, double events, double others) const noexcept {
  return double{shared.tensors[private_tensor::kScale].values[private_scale::kLambda]} *
         (events + options_.alpha * others);
}

Status Private::check_shared(const TensorSet& shared) const {
  const ExpectedTensor expected[] = {{"item_factors", shape_.items, options_.rank},
                                     {"gram", options_.rank, options_.rank},
                                     {"scale", 1, private_scale::kSize, false},
                                     {"popularity", shape_.items, 1, false},
                                     {"weight", shape_.items, 1, false}};
  CHORUS_TRY_DO(check_tensors("ials", shared, expected));
  const std::vector<float>& scale = shared.tensors[private_tensor::kScale].values;
  if (!(scale[private_scale::kLambda] > 0) || !(scale[private_scale::kLength] > 0)) {
    return fail(ErrorCode::wrong_model, "the shared tensor 'scale' needs a ridge and a length above zero");
  }
  const std::vector<float>& weight = shared.tensors[private_tensor::kWeight].values;
  const auto zero = std::ranges::find_if(weight, [](float x) { return !(x > 0); });
  if (zero == weight.end()) return {};
  return fail(ErrorCode::wrong_model, "the shared tensor 'weight' needs numbers above zero",
              fmt::format("row {}", zero - weight.begin()));
}

std::uint64_t Private::training_rounds(const TensorSet& shared) const noexcept {
  return static_cast<std::uint64_t>(shared.tensors[private_tensor::kScale].values[private_scale::kRounds]);
}

std::span<const float> Private::popularity(const TensorSet& shared) const noexcept {
  if (training_rounds(shared) == 0) return {};
  return shared.tensors[private_tensor::kPopularity].values;
}

Quality Private::quality(plan::Purpose purpose, std::span<const std::vector<double>> sums) const {
  return PrivateQuestions::quality(purpose, sums);
}

}  // namespace chorus::model::ials
