// What a demo has to show for itself afterwards: one person's recommendations with their reasons, and the proof that
// the trace repeats the run. Stateless functions, values.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/dataset/catalogue.hpp"
#include "simulations/fleet/demo_data.hpp"
#include "simulations/fleet/members.hpp"

namespace chorus::sim {

struct Showcase {
  struct Rated {
    std::string title;
    double value = 0;
  };
  struct Recommended {
    std::string title;
    double score = 0;
    std::string reason;  // "because you rated A 5 (+0.41) and B 4 (+0.22)"
  };
  std::string user;
  std::vector<Rated> liked;  // what this person rated highest, best first
  std::vector<Recommended> recommended;
};

// Asks the device of the person with a middling number of ratings, from its own store. REQUIRES: the fleet has ended.
// Errors: those of the store and of the recommender.
[[nodiscard]] Result<Showcase> make_showcase(const std::filesystem::path& out, const FleetMembers& members,
                                             const dataset::Catalogue& catalogue);

// Two columns of text, and the reasons below.
[[nodiscard]] std::string to_text(const Showcase& showcase);
[[nodiscard]] std::string to_json(const Showcase& showcase);

// Repeats the run that lies in `out` from its trace and the ratings: how many model versions came out, all of them
// identical to the coordinator's. Errors: corrupt, naming the version that is not.
[[nodiscard]] Result<std::size_t> verify_replay(const std::filesystem::path& out, const DemoData& data);

}  // namespace chorus::sim
