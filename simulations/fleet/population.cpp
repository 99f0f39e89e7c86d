#include "simulations/fleet/population.hpp"

#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "common/base/check.hpp"
#include "simulations/fleet/slice.hpp"

namespace chorus::sim {
namespace {

std::vector<SliceRating> slice_ratings(const dataset::IdMap& items, std::span<const dataset::Entry> entries) {
  std::vector<SliceRating> out;
  out.reserve(entries.size());
  for (const dataset::Entry& entry : entries) {
    out.push_back({.item = items[entry.item], .value = entry.value, .when = entry.when});
  }
  return out;
}

}  // namespace

Result<Population> Population::create(dataset::RatingTable training, dataset::RatingTable held_out,
                                      std::vector<Enrolled> devices, std::size_t limit) {
  CHORUS_ENSURE(training.user_count() == held_out.user_count(), "both halves of a split share their users");
  Population made;
  made.training_ = std::move(training);
  made.held_out_ = std::move(held_out);
  const dataset::ByUser by_user(made.training_);
  for (std::uint32_t user = 0; user < by_user.user_count(); ++user) {
    if (limit != 0 && made.members_.size() == limit) break;
    if (!by_user[user].empty()) made.members_.push_back({.device = {}, .user = user});
  }
  if (made.members_.empty()) return fail(ErrorCode::invalid_argument, "there is no user with training ratings");
  if (devices.size() < made.members_.size()) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} users need as many devices, and {} are enrolled",
                                                         made.members_.size(), devices.size()));
  }
  for (std::size_t i = 0; i < made.members_.size(); ++i) made.members_[i].device = std::move(devices[i]);
  return made;
}

Status Population::write_members(const std::filesystem::path& path) const {
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    return fail(ErrorCode::already_exists, "the file exists already; name another folder", path.string());
  }
  std::ofstream file(path, std::ios::binary);
  for (const Member& member : members_) {
    file << identity::to_string(member.device.id) << '\t' << user_id(member) << '\n';
  }
  file.close();
  if (!file) return fail(ErrorCode::unwritable, "the file cannot be written", path.string());
  return {};
}

std::string Population::slice(std::size_t first, std::size_t last) const {
  CHORUS_ENSURE(first <= last && last <= members_.size(), "a slice lies in the population");
  const dataset::ByUser training(training_);
  const dataset::ByUser held_out(held_out_);
  std::string out;
  for (std::size_t i = first; i < last; ++i) {
    const Member& member = members_[i];
    append(out, {.index = static_cast<std::uint32_t>(i),
                 .id = identity::to_string(member.device.id),
                 .credentials = member.device.folder,
                 .training = slice_ratings(*training_.items, training[member.user]),
                 .held_out = slice_ratings(*held_out_.items, held_out[member.user])});
  }
  append_end(out);
  return out;
}

}  // namespace chorus::sim
