// Why an item is recommended, for a person. A score is an exact sum (design: learning, section 3): the mean, the item's
// own part, and one part for each rating of the user. The amounts said are these parts and nothing else.
//
// Which of a hundred parts to say is a choice. The largest would often be the same for every item: each rating moves
// the user's own level, and with it all items alike. So those are said that raise this item most beyond what they do to
// an item of the catalogue on average, and none that does not do so visibly. Pure; immutable, thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "client/recommend/recommender.hpp"

namespace chorus::client {

// One of the user's ratings, as a part of a score.
struct Reason {
  std::uint32_t item = 0;  // that the user rated
  float rating = 0;        // how
  double amount = 0;       // by how much it raises the score, on the contract's scale
};

class Reasons {
 public:
  // Looks at a hundred items of the catalogue or so, for the average. The recommender must outlive it.
  explicit Reasons(const Recommender& recommender);

  // At most `most` ratings that raise the score by what can be seen (kVisible), the most telling first.
  [[nodiscard]] std::vector<Reason> of(const Recommendation& recommendation, std::size_t most = kSaid) const;

  // One clause: "because you rated A 5 (+0.41) and B 4 (+0.22)", "widely liked (+0.63)", or the second and the first
  // where the item's own part is the larger; what stands in its stead where nothing personal was known.
  [[nodiscard]] std::string sentence(const Recommendation& recommendation) const;

  static constexpr std::size_t kSaid = 2;
  // What two decimals show as more than nothing.
  static constexpr double kVisible = 0.005;

 private:
  const Recommender& recommender_;
  // What each of the user's ratings does to an item on average: the history parts' order of every explanation.
  crypto::ZeroizingVector<double> average_;
};

// At most `width` characters of UTF-8 and "…", or the text as it is.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t width);

}  // namespace chorus::client
