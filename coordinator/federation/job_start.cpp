#include "coordinator/federation/job_start.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "coordinator/publish/trace.hpp"

namespace chorus::coordinator {

namespace {

std::string header_line(const JobStart& start) {
  const auto& job = start.publisher->job();
  return to_json_line(TraceHeader{.job = start.publisher->job_id(),
                                  .name = job.name,
                                  .family = job.family,
                                  .settings = job.settings,
                                  .contract = job.contract,
                                  .items = start.publisher->catalogue().header.items,
                                  .max_contributors = job.max_contributors,
                                  .model = start.version.header.tensors});
}

// "[model] rank is 15 there and 16 here"
std::vector<std::string> differences(const protocol::JobDescription& stored, const protocol::JobDescription& job) {
  std::vector<std::string> found;
  const auto compare = [&](std::string_view name, const auto& there, const auto& here) {
    if (!(there == here)) found.push_back(fmt::format("{} is {} there and {} here", name, there, here));
  };
  compare("name", stored.name, job.name);
  compare("rounds", stored.round_goal, job.round_goal);
  compare("[model] family", stored.family, job.family);
  compare("[cohort] size", stored.max_contributors, job.max_contributors);
  compare("[data] feedback", dataset::to_string(stored.contract.feedback), dataset::to_string(job.contract.feedback));
  compare("[data] minimum", stored.contract.minimum, job.contract.minimum);
  compare("[data] maximum", stored.contract.maximum, job.contract.maximum);
  compare("[data] step", stored.contract.step, job.contract.step);
  compare("[data] max_items_per_user", stored.contract.max_items_per_user, job.contract.max_items_per_user);
  if (stored.family == job.family) {
    for (const auto& [key, value] : job.settings) {
      const auto there = stored.settings.find(key);
      compare(fmt::format("[model] {}", key), there == stored.settings.end() ? "absent" : there->second, value);
    }
    for (const auto& [key, value] : stored.settings) {
      if (!job.settings.contains(key))
        found.push_back(fmt::format("[model] {} is {} there and absent here", key, value));
    }
  }
  return found;
}

// `current` with what `items` has beyond it; `current` itself if that is nothing.
Result<dataset::Catalogue> extended(const dataset::Catalogue& current, std::vector<dataset::CatalogueItem> items) {
  const auto known = current.items();
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (i >= items.size()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the catalogue has {} items and had {}: '{}' and what follows cannot be removed",
                              items.size(), known.size(), known[i].id));
    }
    if (!(items[i] == known[i])) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("item {} of the catalogue, '{}', was changed, moved or removed; items can only be added "
                              "at the end",
                              i + 1, known[i].id));
    }
  }
  dataset::Catalogue catalogue = current;
  items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(known.size()));
  CHORUS_TRY_DO(catalogue.append(std::move(items)));
  return catalogue;
}

Result<JobStart> resume(StoredJob stored, JobStore& store, const protocol::JobDescription& job,
                        std::vector<dataset::CatalogueItem> items, std::shared_ptr<const crypto::SigningKey> key) {
  if (!(stored.job == job)) {
    return fail(ErrorCode::wrong_job,
                fmt::format("the state folder holds another job of this name: {}. Give this job another name, or set "
                            "these back",
                            fmt::join(differences(stored.job, job), "; ")));
  }
  CHORUS_TRY(auto publisher, Publisher::create(job, std::move(stored.catalogue), std::move(key)));
  CHORUS_TRY(auto version, publisher->restore(stored.header, std::move(stored.tensors), stored.hidden));
  JobStart start{.publisher = std::move(publisher), .version = std::move(version), .progress = stored.progress};
  CHORUS_TRY(auto growth, grow_job(*start.publisher, start.version, std::move(items)));
  if (!growth) return start;
  CHORUS_TRY_DO(store.commit(Commit{.version = growth->version,
                                    .catalogue = growth->publisher->catalogue(),
                                    .surveyed = start.progress.surveyed,
                                    .measured = start.progress.measured,
                                    .ledger = start.progress.ledger,
                                    .trace_line = growth->trace_line},
                             {}));
  start.publisher = std::move(growth->publisher);
  start.version = std::move(growth->version);
  return start;
}

}  // namespace

Result<JobStart> new_job(protocol::JobDescription job, std::vector<dataset::CatalogueItem> items,
                         std::shared_ptr<const crypto::SigningKey> key) {
  CHORUS_TRY(auto catalogue, dataset::Catalogue::create(std::move(items)));
  CHORUS_TRY(auto publisher, Publisher::create(std::move(job), std::move(catalogue), std::move(key)));
  Version version = publisher->initial();
  return JobStart{.publisher = std::move(publisher), .version = std::move(version), .progress = {}};
}

Result<JobStart> start_job(JobStore& store, protocol::JobDescription job, std::vector<dataset::CatalogueItem> items,
                           std::shared_ptr<const crypto::SigningKey> key) {
  CHORUS_TRY(auto stored, store.load());
  if (stored) return resume(std::move(*stored), store, job, std::move(items), std::move(key));
  CHORUS_TRY(auto start, new_job(std::move(job), std::move(items), std::move(key)));
  CHORUS_TRY_DO(store.begin(start.publisher->job(), start.publisher->catalogue(), start.version, header_line(start)));
  return start;
}

Result<std::optional<Growth>> grow_job(const Publisher& publisher, const Version& from,
                                       std::vector<dataset::CatalogueItem> items) {
  CHORUS_TRY(auto catalogue, extended(publisher.catalogue().catalogue, std::move(items)));
  if (catalogue.size() == publisher.catalogue().catalogue.size()) return std::nullopt;
  CHORUS_TRY(auto grown, Publisher::create(publisher.job(), std::move(catalogue), publisher.shared_key()));
  Growth growth{.publisher = grown, .version = grown->grow(from), .trace_line = {}};
  growth.trace_line = to_json_line(TraceGrow{.items = grown->catalogue().header.items,
                                             .from = from.header.version,
                                             .to = growth.version.header.version,
                                             .model = growth.version.header.tensors});
  return growth;
}

}  // namespace chorus::coordinator
