#include "coordinator/roster/roster.hpp"

#include <algorithm>

#include "common/base/check.hpp"
#include "coordinator/roster/cohorts.hpp"

namespace chorus::coordinator {

namespace {

// Fisher and Yates: every order is equally likely.
template <typename T>
void shuffle(std::vector<T>& values, crypto::RandomSource& random) {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

}  // namespace

std::optional<SessionId> Roster::connect(SessionId session, const identity::DeviceId& device) {
  CHORUS_ENSURE(!sessions_.contains(session), "session ids are not used twice");
  std::optional<SessionId> older;
  if (const auto found = by_device_.find(device); found != by_device_.end()) {
    older = found->second;
    disconnect(*older);
  }
  sessions_.emplace(session, Session{.device = device});
  by_device_.emplace(device, session);
  return older;
}

void Roster::disconnect(SessionId session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  const Session& leaving = found->second;
  if (leaving.ready) --ready_;
  if (leaving.last_round) --(leaving.ready ? returned_ : away_);
  by_device_.erase(leaving.device);
  sessions_.erase(found);
}

void Roster::set_ready(SessionId session, bool ready) {
  Session& changing = sessions_.at(session);
  if (changing.ready == ready) return;
  changing.ready = ready;
  ready ? ++ready_ : --ready_;
  if (!changing.last_round) return;
  --(ready ? away_ : returned_);
  ++(ready ? returned_ : away_);
}

std::vector<SessionId> Roster::ready_sessions() const {
  std::vector<SessionId> ready;
  ready.reserve(ready_);
  for (const auto& [id, session] : sessions_) {
    if (session.ready) ready.push_back(id);
  }
  return ready;
}

std::vector<std::vector<SessionId>> Roster::draw(const Wanted& wanted, crypto::RandomSource& random) const {
  std::vector<SessionId> candidates = ready_sessions();
  const auto devices = static_cast<std::uint32_t>(
      wanted.target == 0 ? candidates.size() : std::min<std::size_t>(wanted.target, candidates.size()));
  const std::vector<std::uint32_t> sizes = cohort_sizes(devices, wanted.least, wanted.most, wanted.fewest);
  std::size_t invited = 0;
  for (const std::uint32_t size : sizes) invited += size;

  shuffle(candidates, random);
  if (invited < candidates.size()) {
    // Round-robin: fair, and fewer rounds are needed than when chance alone chooses (design: learning, section 2).
    std::vector<std::pair<RoundId, SessionId>> queue;
    queue.reserve(candidates.size());
    for (const SessionId session : candidates) {
      const auto last = took_part_.find(sessions_.at(session).device);
      queue.emplace_back(last == took_part_.end() ? RoundId(0) : last->second.round, session);
    }
    std::stable_sort(queue.begin(), queue.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    candidates.clear();
    for (std::size_t i = 0; i < invited; ++i) candidates.push_back(queue[i].second);
    shuffle(candidates, random);
  }
  std::vector<std::vector<SessionId>> cohorts;
  auto next = candidates.begin();
  for (const std::uint32_t size : sizes) {
    cohorts.emplace_back(next, next + size);
    next += size;
  }
  return cohorts;
}

void Roster::take_part(RoundId round, std::span<const SessionId> members, Moment now) {
  forget_last_round();
  for (const SessionId member : members) {
    set_ready(member, false);
    Session& session = sessions_.at(member);
    session.last_round = true;
    ++away_;
    took_part_.insert_or_assign(session.device, LastRound{.round = round, .when = now});
  }
}

void Roster::remember(const identity::DeviceId& device, RoundId round, Moment when) {
  const auto [known, added] = took_part_.emplace(device, LastRound{.round = round, .when = when});
  if (!added && known->second.round < round) known->second = {.round = round, .when = when};
}

std::optional<Moment> Roster::drawn_at(const identity::DeviceId& device) const {
  const auto found = took_part_.find(device);
  return found == took_part_.end() ? std::nullopt : std::optional(found->second.when);
}

void Roster::forget_last_round() {
  for (auto& [id, session] : sessions_) session.last_round = false;
  away_ = 0;
  returned_ = 0;
}

}  // namespace chorus::coordinator
