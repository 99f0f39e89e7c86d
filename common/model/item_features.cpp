#include "common/model/item_features.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <string_view>

namespace chorus::model {
namespace {

constexpr double kFirstYear = 1935;
constexpr double kYearStep = 8;

// "Cité des enfants perdus, La" in parentheses; not "(a.k.a. …)", which is another name in the same language.
bool names_another_title(std::string_view title) {
  const std::size_t open = title.find('(');
  return open != std::string_view::npos && !title.substr(open).starts_with("(a.k.a");
}

bool counts_itself(std::string_view title) {
  constexpr std::string_view kNumerals[] = {"II", "III", "IV", "V", "VI", "VII", "VIII", "IX",
                                            "2",  "3",   "4",  "5", "6",  "7",   "8",    "9"};
  // "Rocky II", "Star Trek III: The Search for Spock", "Highlander 2".
  bool first = true;
  while (!title.empty()) {
    const std::size_t end = std::min(title.find(' '), title.size());
    std::string_view word = title.substr(0, end);
    title.remove_prefix(std::min(end + 1, title.size()));
    while (!word.empty() && (word.back() == ':' || word.back() == ',' || word.back() == '.')) word.remove_suffix(1);
    if (!first && std::ranges::find(kNumerals, word) != std::end(kNumerals)) return true;
    first = false;
  }
  return false;
}

}  // namespace

std::vector<double> public_features(const dataset::Catalogue* catalogue, std::size_t items) {
  std::vector<double> rows(items * feature::kPublic, 0);
  if (catalogue == nullptr) return rows;
  std::vector<std::string> genres;
  for (std::size_t i = 0; i < std::min(items, catalogue->size()); ++i) {
    const dataset::CatalogueItem& item = catalogue->items()[i];
    double* const row = rows.data() + i * feature::kPublic;
    for (const std::string& genre : item.genres) {
      auto known = std::ranges::find(genres, genre);
      if (known == genres.end()) {
        if (genres.size() == feature::kGenres) continue;
        known = genres.insert(genres.end(), genre);
      }
      row[known - genres.begin()] = 1;
    }
    if (item.year != 0) {
      const double last = feature::kYears - 1;
      const double place = std::clamp((static_cast<double>(item.year) - kFirstYear) / kYearStep, 0.0, last);
      const double lower = std::min(std::floor(place), last - 1);
      row[feature::kGenres + static_cast<std::size_t>(lower)] = 1 - (place - lower);
      row[feature::kGenres + static_cast<std::size_t>(lower) + 1] = place - lower;
    }
    row[feature::kForeign] = names_another_title(item.title) ? 1 : 0;
    row[feature::kSequel] = counts_itself(item.title) ? 1 : 0;
  }
  return rows;
}

void standardise(std::vector<double>& f, std::size_t columns, std::span<const float> weights,
                 std::vector<double>& standard) {
  const std::size_t m = weights.size();
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t k = 1; k < columns; ++k) {
    double mean = 0;
    double square = 0;
    for (std::size_t i = 0; i < m; ++i) mean += double{weights[i]} * f[i * columns + k];
    mean = total > 0 ? mean / total : 0;
    for (std::size_t i = 0; i < m; ++i) {
      const double away = f[i * columns + k] - mean;
      square += double{weights[i]} * away * away;
    }
    const double deviation = total > 0 ? std::sqrt(square / total) : 0;
    standard[k] = mean;
    standard[columns + k] = deviation > 1e-6 ? deviation : 0;
    for (std::size_t i = 0; i < m; ++i) {
      double& x = f[i * columns + k];
      x = standard[columns + k] > 0 ? std::clamp((x - mean) / deviation, -kMostDeviations, kMostDeviations) : 0;
    }
  }
}

}  // namespace chorus::model
