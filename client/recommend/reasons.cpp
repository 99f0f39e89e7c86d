#include "client/recommend/reasons.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace chorus::client {
namespace {

using model::ScorePart;

// Evenly spread over the catalogue: enough for an average that only ranks reasons.
constexpr std::uint32_t kSample = 128;
constexpr std::size_t kTitleWidth = 40;

double sum_of(const model::Explanation& explanation, ScorePart::Kind kind) {
  double sum = 0;
  for (const ScorePart& part : explanation.parts) sum += part.kind == kind ? part.amount : 0;
  return sum;
}

}  // namespace

Reasons::Reasons(const Recommender& recommender) : recommender_(recommender) {
  if (recommender.basis() != Basis::personal) return;
  const std::uint32_t items = recommender.items();
  const std::uint32_t sample = std::min(kSample, items);
  for (std::uint32_t k = 0; k < sample; ++k) {
    const auto item = static_cast<std::uint32_t>(std::uint64_t{k} * items / sample);
    std::size_t h = 0;
    for (const ScorePart& part : recommender.explain(item).parts) {
      if (part.kind != ScorePart::Kind::history) continue;
      if (h == average_.size()) average_.push_back(0);
      average_[h++] += part.amount / sample;
    }
  }
}

std::vector<Reason> Reasons::of(const Recommendation& recommendation, std::size_t most) const {
  struct Candidate {
    Reason reason;
    double beyond;  // the average
  };
  std::vector<Candidate> candidates;
  std::size_t h = 0;
  for (const ScorePart& part : recommendation.explanation.parts) {
    if (part.kind != ScorePart::Kind::history) continue;
    const double beyond = part.amount - average_.at(h++);
    if (part.amount < kVisible || beyond < kVisible) continue;
    candidates.push_back({{part.item, recommender_.rating_of(part.item).value_or(0), part.amount}, beyond});
  }
  std::ranges::stable_sort(candidates, std::ranges::greater(), &Candidate::beyond);
  candidates.resize(std::min(candidates.size(), most));
  std::vector<Reason> reasons;
  for (const Candidate& candidate : candidates) reasons.push_back(candidate.reason);
  std::ranges::stable_sort(reasons, std::ranges::greater(), &Reason::amount);
  return reasons;
}

std::string Reasons::sentence(const Recommendation& recommendation) const {
  if (recommender_.basis() == Basis::catalogue) return "nothing has been learned yet";
  if (recommender_.basis() == Basis::popularity) {
    return fmt::format("rated on {} devices in the last round", recommendation.rated_by);
  }
  const double liked = sum_of(recommendation.explanation, ScorePart::Kind::item);
  const std::string widely = fmt::format("widely liked ({:+.2f})", liked);
  const std::vector<Reason> reasons = of(recommendation);
  if (reasons.empty()) {
    const double together = sum_of(recommendation.explanation, ScorePart::Kind::history);
    if (liked >= kVisible && liked > together) return widely;
    if (together >= kVisible) return fmt::format("all your ratings together ({:+.2f}), none of them by much", together);
    return "neither your ratings nor those of others speak against it";
  }
  std::string because = "because you rated ";
  double said = 0;
  for (const Reason& reason : reasons) {
    if (&reason != &reasons.front()) because += " and ";
    because +=
        fmt::format("{} {:g} ({:+.2f})",
                    shortened(dataset::display_title(recommender_.catalogue()[ItemIndex(reason.item)]), kTitleWidth),
                    reason.rating, reason.amount);
    said += reason.amount;
  }
  return liked > said ? widely + ", and " + because : because;
}

std::string shortened(std::string_view text, std::size_t width) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U;
    if (!begins || ++characters <= width) continue;
    std::string cut(text.substr(0, i));
    cut.erase(cut.find_last_not_of(' ') + 1);
    return cut + "…";
  }
  return std::string(text);
}

}  // namespace chorus::client
