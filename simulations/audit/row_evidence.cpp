#include "simulations/audit/row_evidence.hpp"

#include <algorithm>
#include <cmath>

namespace chorus::sim::audit {

Look look_at(const Scene& scene, const model::Model& model, const Training& training, plan::Purpose purpose,
             const Release& release) {
  Look look{.purpose = purpose,
            .shared = training.state().shared,
            .layout = release.sum.layout(),
            .members = static_cast<double>(release.sum.contributors()),
            .population = static_cast<double>(scene.others().size()),
            .seen = numbers_of(release.sum),
            .others = {},
            .noise = {},
            .counts = {}};
  if (release.sigma == 0) look.counts = look.layout.find("count");
  for (const plan::TensorLayout& tensor : look.layout.tensors()) {
    const double unit = std::ldexp(1.0, -tensor.scale_log2);
    look.noise.push_back(unit * unit * (release.sigma * release.sigma + look.members / 12 + 1));
    const std::size_t rows = tensor.per_item ? tensor.rows : 1;
    const std::size_t numbers = tensor.numbers();
    look.others.push_back({std::vector<double>(rows), std::vector<double>(numbers), std::vector<double>(numbers),
                           std::vector<double>(numbers / rows)});
  }
  ring::Contribution contribution;
  for (const std::uint32_t user : scene.others()) {
    model.contribute(purpose, look.shared, scene.users()[user], contribution);
    for_each_row(look.layout, contribution, [&](std::size_t t, std::size_t row, std::span<const double> x) {
      Moments& moments = look.others[t];
      moments.touches[row] += 1;
      for (std::size_t k = 0; k < x.size(); ++k) {
        moments.sum[row * x.size() + k] += x[k];
        moments.squares[row * x.size() + k] += x[k] * x[k];
      }
    });
  }
  for (Moments& moments : look.others) {
    const std::size_t columns = moments.spread.size();
    double free = 1;
    for (std::size_t row = 0; row < moments.touches.size(); ++row) {
      if (moments.touches[row] < 2) continue;
      free += moments.touches[row] - 1;
      for (std::size_t k = 0; k < columns; ++k) {
        const double sum = moments.sum[row * columns + k];
        moments.spread[k] += moments.squares[row * columns + k] - sum * sum / moments.touches[row];
      }
    }
    for (double& spread : moments.spread) spread = std::max(spread / free, 1e-9);
  }
  return look;
}

double evidence_of(const Look& look, std::size_t t, std::size_t row, std::span<const double> x, bool own) {
  constexpr double kPrior = 2;  // touches that a row of average spread is worth
  const Moments& others = look.others[t];
  const bool per_item = look.layout.tensors()[t].per_item;
  const double mine = own ? 1 : 0;
  const double touches = others.touches[row] - mine;
  const double people = look.population - mine;
  const double share = per_item ? (touches + 0.5) / (people + 1) : 1;
  const auto bounded = [](double evidence) { return std::clamp(evidence, -kMostEvidence, kMostEvidence); };
  double out = look.members * share;       // touches that are expected without the candidate
  double in = (look.members - 1) * share;  // and beside it
  double luck = 1 - share;                 // whether a member touches the row is left to chance
  if (look.counts && per_item) {
    const double counted = look.seen[*look.counts][row];
    if (counted < 0.5) return -kMostEvidence;
    if (t == *look.counts) return bounded(std::log(counted / out));  // of Poisson's law
    out = counted;
    in = counted - 1;
    luck = 0;
  }
  double evidence = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const std::size_t at = row * x.size() + k;
    const double sum = others.sum[at] - mine * x[k];
    const double squares = others.squares[at] - mine * x[k] * x[k];
    const double mean = sum / (touches + kPrior);
    const double spread =
        (std::max(squares - 2 * mean * sum + mean * mean * touches, 0.0) + kPrior * others.spread[k]) /
        (touches + kPrior);
    const double each = spread + luck * mean * mean;
    const double unsure = spread / (touches + kPrior);  // of the mean
    const double variance_out = out * each + out * out * unsure + look.noise[t];
    const double variance_in = in * each + in * in * unsure + look.noise[t];
    const double away_out = look.seen[t][at] - out * mean;
    const double away_in = look.seen[t][at] - in * mean - x[k];
    evidence +=
        (away_out * away_out / variance_out - away_in * away_in / variance_in + std::log(variance_out / variance_in)) /
        2;
  }
  return bounded(evidence);
}

}  // namespace chorus::sim::audit
