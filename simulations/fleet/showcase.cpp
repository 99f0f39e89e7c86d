#include "simulations/fleet/showcase.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/recommend/reasons.hpp"
#include "client/store/store.hpp"
#include "simulations/fleet/coordinator_process.hpp"
#include "simulations/fleet/worker.hpp"
#include "simulations/world/population.hpp"
#include "simulations/world/replay.hpp"

namespace chorus::sim {
namespace {

constexpr std::size_t kShown = 10;
constexpr std::size_t kTitleWidth = 38;

Result<std::string> read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::not_found, "the file cannot be read", path.string());
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The member whose number of ratings lies in the middle; the first of those.
const FleetMembers::Member& middling_member(const FleetMembers& members) {
  const dataset::ByUser ratings(members.training());
  std::vector<std::size_t> counts;
  for (const auto& member : members.members()) counts.push_back(ratings[member.user].size());
  const auto middle = counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2);
  std::ranges::nth_element(counts, middle);
  return *std::ranges::find_if(members.members(),
                               [&](const auto& member) { return ratings[member.user].size() == *middle; });
}

std::vector<Showcase::Rated> liked_by(const FleetMembers::Member& member, const FleetMembers& members,
                                      const dataset::Catalogue& catalogue) {
  const dataset::ByUser ratings(members.training());
  std::vector<dataset::Entry> entries(ratings[member.user].begin(), ratings[member.user].end());
  std::ranges::stable_sort(entries, std::ranges::greater(), &dataset::Entry::value);
  entries.resize(std::min(entries.size(), kShown));
  std::vector<Showcase::Rated> liked;
  for (const auto& entry : entries) {
    liked.push_back({dataset::display_title(catalogue[ItemIndex(entry.item)]), entry.value});
  }
  return liked;
}

// Cut between two characters of UTF-8 and filled up with blanks, both by characters.
std::string column(std::string_view text, std::size_t width) {
  std::string out;
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U;
    if (begins && ++characters > width) break;
    out += text[i];
  }
  if (characters < width) out.append(width - characters, ' ');
  return out;
}

}  // namespace

Result<Showcase> make_showcase(const std::filesystem::path& out, const FleetMembers& members,
                               const dataset::Catalogue& catalogue) {
  const FleetMembers::Member& member = middling_member(members);
  CHORUS_TRY(const auto store, client::open_store(device_store(out, identity::to_string(member.device.id))));
  CHORUS_TRY(const auto recommender, client::Recommender::of(*store));
  const client::Reasons reasons(recommender);
  Showcase showcase;
  showcase.user = members.user_id(member);
  showcase.liked = liked_by(member, members, catalogue);
  for (const auto& next : recommender.best(kShown)) {
    showcase.recommended.push_back(
        {dataset::display_title(catalogue[ItemIndex(next.item)]), next.explanation.score, reasons.sentence(next)});
  }
  return showcase;
}

std::string to_text(const Showcase& showcase) {
  std::string text = fmt::format("Person {}, from the ratings and the model on their own device:\n\n  {}  {}\n",
                                 showcase.user, column("rated highest", kTitleWidth + 5), "recommended next");
  const std::size_t lines = std::max(showcase.liked.size(), showcase.recommended.size());
  for (std::size_t i = 0; i < lines; ++i) {
    std::string left(kTitleWidth + 5, ' ');
    if (i < showcase.liked.size()) {
      left = fmt::format("{} {:4g}", column(showcase.liked[i].title, kTitleWidth), showcase.liked[i].value);
    }
    text += fmt::format("  {}  ", left);
    if (i < showcase.recommended.size()) {
      const auto& next = showcase.recommended[i];
      text += fmt::format("{:>2}  {} {:.2f}", i + 1, column(next.title, kTitleWidth), next.score);
    }
    text += '\n';
  }
  text += "\nWhy:\n";
  for (std::size_t i = 0; i < showcase.recommended.size(); ++i) {
    text += fmt::format("  {:>2}  {}\n", i + 1, showcase.recommended[i].reason);
  }
  return text;
}

std::string to_json(const Showcase& showcase) {
  nlohmann::json liked = nlohmann::json::array();
  for (const auto& item : showcase.liked) liked.push_back({{"title", item.title}, {"value", item.value}});
  nlohmann::json recommended = nlohmann::json::array();
  for (const auto& item : showcase.recommended) {
    recommended.push_back({{"title", item.title}, {"score", item.score}, {"reason", item.reason}});
  }
  return nlohmann::json{{"user", showcase.user}, {"liked", liked}, {"recommended", recommended}}.dump();
}

Result<std::size_t> verify_replay(const std::filesystem::path& out, const DemoData& data) {
  CHORUS_TRY(const std::string trace, read_text(trace_file(out / "coordinator")));
  CHORUS_TRY(const std::string names, read_text(out / "population.tsv"));
  Population population(data.training, data.held_out);
  CHORUS_TRY_DO(population.enrol(names));
  CHORUS_TRY(const Replay replayed, replay(trace, population, data.catalogue.items(), 2));
  return static_cast<std::size_t>(replayed.versions);
}

}  // namespace chorus::sim
