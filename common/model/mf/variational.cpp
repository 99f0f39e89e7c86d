// Settings, layouts and shared tensors.
#include "common/model/mf/variational.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "common/model/expected_tensors.hpp"
#include "common/model/initial_factors.hpp"
#include "common/model/item_features.hpp"
#include "common/model/layout_maker.hpp"
#include "common/model/mf/variational_tensors.hpp"

namespace chorus::model::mf {
namespace {

// |x_k − μ_k|² + Σ_kk and |x_k f_l|, |f_k f_l| ≤ kFeatureBound². A standardised factor is of the order of one.
constexpr double kRelevanceClip = 64;
constexpr double kMapClip = 64;
// e² + variances of one rating, of the order of one: on average at most this.
constexpr double kNoiseClip = 16;
// Numbers of the twin: q and p are of the order of one, p·q near one where somebody rated.
constexpr double kTwinGradientClip = 4;
constexpr double kTwinGramClip = 16;

struct TrainLayout {
  const Parameters& parameters;
  const ModelShape& shape;
  std::size_t dimension;

  [[nodiscard]] Result<plan::UpdateLayout> make(bool twin_learns) const {
    using Numbers = LayoutMaker::Numbers;
    const auto cap = static_cast<double>(shape.contract.max_items_per_user);
    const std::size_t d = dimension;
    const std::size_t k = parameters.twin_rank;
    const std::size_t f = k + 2;
    LayoutMaker train(shape, parameters.bits);
    train.per_item("gradient", d, 1, kGradientClip);
    train.per_item("count", 1, 1, 1, Numbers::whole);
    train.once("curvature", d * (d + 1) / 2, 2, kCurvatureClip * cap);
    train.once("weight", 1, 2, cap, Numbers::whole);
    train.once("metrics", metric::kSize, 2, cap);
    train.once("relevance", d, 2, kRelevanceClip);
    train.once("noise", 1, 2, kNoiseClip * cap);
    if (parameters.twin) {
      train.once("twin_map", d * f, 2, kMapClip);
      train.once("twin_features", f * (f + 1) / 2, 2, kMapClip);
    }
    if (twin_learns) {
      train.per_item("twin_gradient", k, 1, kTwinGradientClip);
      train.once("twin_gram", k * (k + 1) / 2, 2, kTwinGramClip);
      train.once("twin_weighted", k * (k + 1) / 2, 2, kTwinGramClip * cap);
    }
    return std::move(train).make();
  }
};

}  // namespace

Result<std::unique_ptr<Model>> Variational::make(Settings settings, const Parameters& parameters,
                                                 const ModelShape& shape, Layouts layouts) {
  const TrainLayout train{parameters, shape, std::size_t{parameters.rank} + 1};
  CHORUS_TRY(layouts.train, train.make(parameters.twin));
  CHORUS_TRY(plan::UpdateLayout later, train.make(false));
  if (parameters.twin) {
    const auto cap = static_cast<double>(shape.contract.max_items_per_user);
    LayoutMaker survey(shape, parameters.bits);
    survey.once("moments", moment::kSize, 2, cap);
    survey.once("activity", activity::kSize, 2, cap);
    survey.per_item("count", 1, 1, 1, LayoutMaker::Numbers::whole);
    CHORUS_TRY(layouts.survey, std::move(survey).make());
  }
  return std::unique_ptr<Model>(
      new Variational(std::move(settings), parameters, shape, std::move(layouts), std::move(later)));
}

Variational::Variational(Settings settings, const Parameters& parameters, const ModelShape& shape, Layouts layouts,
                         plan::UpdateLayout later)
    : Mf(std::move(settings), parameters, shape, std::move(layouts)), later_(std::move(later)) {
  if (parameters_.features) public_ = public_features(shape_.catalogue.get(), shape_.items);
}

plan::UpdateLayout Variational::layout(plan::Purpose purpose, std::uint64_t training_rounds) const {
  if (purpose == plan::Purpose::train && !twin_learns(training_rounds)) return later_;
  return Mf::layout(purpose, training_rounds);
}

ServerState Variational::initial() const {
  ServerState state = Mf::initial();
  const auto d = static_cast<std::uint32_t>(dimension());
  auto& tensors = state.shared.tensors;
  tensors.push_back({.name = "posterior", .rows = d + 1, .columns = d, .values = {}});
  tensors.push_back({.name = "prior", .rows = 2, .columns = d, .values = {}});
  tensors.push_back({.name = "noise", .rows = 1, .columns = 1, .values = {static_cast<float>(parameters_.noise)}});
  tensors[shared_tensor::kPosterior].values.assign(std::size_t{d + 1} * d, 0.0F);
  for (int side = 0; side < 2; ++side) {
    for (const double lambda : prior_) tensors[shared_tensor::kPrior].values.push_back(static_cast<float>(lambda));
  }
  if (!parameters_.twin) return state;
  const std::uint32_t k = parameters_.twin_rank;
  const auto f = static_cast<std::uint32_t>(features());
  tensors.push_back({.name = "twin_factors", .rows = 0, .columns = k, .values = {}});
  tensors.push_back({.name = "twin_gram", .rows = k, .columns = k, .values = {}});
  tensors.push_back({.name = "twin_scale", .rows = 1, .columns = twin_scale::kSize, .values = {}});
  tensors.push_back({.name = "twin_map", .rows = 2 * d, .columns = f, .values = {}});
  tensors[shared_tensor::kTwinScale].values.assign(twin_scale::kSize, 0.0F);
  tensors[shared_tensor::kTwinMap].values.assign(2 * std::size_t{d} * f, 0.0F);
  if (parameters_.features) {
    tensors.push_back({.name = "feature_map", .rows = d, .columns = feature::kPublic, .values = {}});
    tensors[shared_tensor::kFeatureMap].values.assign(std::size_t{d} * feature::kPublic, 0.0F);
  }
  append_twin_rows(state, 0);
  return state;
}

void Variational::grow(ServerState& state) const {
  const std::uint32_t from = state.shared.tensors[0].rows;
  Mf::grow(state);
  if (parameters_.twin) append_twin_rows(state, from);
}

void Variational::append_twin_rows(ServerState& state, std::uint32_t from) const {
  const std::uint32_t k = parameters_.twin_rank;
  Tensor& factors = state.shared.tensors[shared_tensor::kTwinFactors];
  factors.rows = shape_.items;
  factors.values.resize(std::size_t{shape_.items} * k, 0.0F);
  state.hidden[std::string(kTwinMomentum)].resize(std::size_t{shape_.items} * k, 0.0);
  fill_initial_factors("mf-twin", parameters_.seed, parameters_.initial_scale,
                       {.from = from, .rows = shape_.items, .stride = k, .first = 0, .columns = k}, factors.values);
  state.shared.tensors[shared_tensor::kTwinGram].values = twin_gram(factors.values, k);
}

Status Variational::check_shared(const TensorSet& shared) const {
  const auto d = static_cast<std::uint32_t>(dimension());
  std::vector<ExpectedTensor> expected = {
      {"item_factors", shape_.items, d}, {"scale", 1, 3}, {"popularity", shape_.items, 1, false},
      {"posterior", d + 1, d},           {"prior", 2, d}, {"noise", 1, 1}};
  if (parameters_.twin) {
    expected.insert(expected.end(), {{"twin_factors", shape_.items, parameters_.twin_rank},
                                     {"twin_gram", parameters_.twin_rank, parameters_.twin_rank},
                                     {"twin_scale", 1, twin_scale::kSize},
                                     {"twin_map", 2 * d, static_cast<std::uint32_t>(features())}});
    if (parameters_.features) expected.push_back({"feature_map", d, feature::kPublic});
  }
  CHORUS_TRY_DO(check_tensors("mf", shared, expected));
  CHORUS_TRY_DO(check_scale(shared));
  const auto positive = [](float x) { return x > 0; };
  const std::vector<float>& posterior = shared.tensors[shared_tensor::kPosterior].values;
  if (!std::ranges::all_of(shared.tensors[shared_tensor::kPrior].values, positive) ||
      !positive(shared.tensors[shared_tensor::kNoise].values[0]) ||
      std::any_of(posterior.begin() + static_cast<std::ptrdiff_t>(std::size_t{d} * d), posterior.end(),
                  [](float x) { return x < 0; })) {
    return fail(
        ErrorCode::wrong_model,
        "the shared tensors 'prior' and 'noise' need numbers above zero, and 'posterior' no negative eigenvalue");
  }
  return {};
}

TwinView Variational::twin_of(const TensorSet& shared) const {
  return {.factors = shared.tensors[shared_tensor::kTwinFactors].values,
          .gram = shared.tensors[shared_tensor::kTwinGram].values,
          .scale = shared.tensors[shared_tensor::kTwinScale].values,
          .rank = parameters_.twin_rank,
          .items = shape_.items};
}

Variational::Published Variational::published(const TensorSet& shared) const {
  const std::size_t d = dimension();
  Published from{.base = view(shared),
                 .basis = {},
                 .gamma = {},
                 .counts = shared.tensors[2].values,
                 .prior_users = std::span(shared.tensors[shared_tensor::kPrior].values).first(d),
                 .noise = double{shared.tensors[shared_tensor::kNoise].values[0]},
                 .twin = {},
                 .map_users = {}};
  if (parameters_.update == Update::vb && training_rounds(shared) > 0) {
    const std::vector<float>& posterior = shared.tensors[shared_tensor::kPosterior].values;
    from.basis.assign(posterior.begin(), posterior.begin() + static_cast<std::ptrdiff_t>(d * d));
    from.gamma.assign(posterior.begin() + static_cast<std::ptrdiff_t>(d * d), posterior.end());
  }
  if (parameters_.twin) {
    from.twin = twin_of(shared);
    from.map_users = std::span(shared.tensors[shared_tensor::kTwinMap].values).first(d * features());
  }
  return from;
}

}  // namespace chorus::model::mf
