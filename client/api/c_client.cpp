// The C face. No exception crosses it.
#include <algorithm>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "chorus/client.h"
#include "chorus/client.hpp"

struct chorus_client {
  chorus::Client client;
};

struct chorus_recommendations {
  chorus::Recommendations list;
};

struct chorus_ledger {
  chorus::SharedLedger ledger;
};

namespace {

struct LastError {
  std::string message;
  std::string code;
};
thread_local LastError last_error;

chorus_status refuse(const chorus::ClientError& error) {
  last_error.code = error.code;
  last_error.message = error.where.empty() ? error.sentence : error.where + ": " + error.sentence;
  return static_cast<chorus_status>(error.kind);
}

chorus_status misuse(const char* sentence) {
  return refuse(
      {.kind = chorus::ClientErrorKind::usage, .code = "invalid_argument", .sentence = sentence, .where = {}});
}

// Runs `body`, which returns a chorus_status.
template <typename Body>
chorus_status guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::exception& failure) {  // out of memory, above all
    try {
      last_error = {.message = failure.what(), .code = "no_memory"};
    } catch (...) {
      last_error = {};
    }
    return CHORUS_NO_MEMORY;
  }
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

chorus_sync_report to_c(const chorus::SyncReport& report) {
  return {.ending = static_cast<chorus_sync_ending>(report.ending),
          .rounds = report.rounds,
          .aborted = report.aborted,
          .has_model = report.model_version ? 1 : 0,
          .model_version = report.model_version.value_or(0),
          .bytes_up = report.bytes_up,
          .bytes_down = report.bytes_down,
          .devices_ready = report.devices_ready,
          .devices_needed = report.devices_needed};
}

constexpr std::uint64_t kLongest = 100ULL * 365 * 24 * 3600;  // seconds; so that they fit std::chrono::seconds

chorus::PrivacyLimits from_c(const chorus_privacy_limits& limits) {
  chorus::PrivacyLimits out;
  if (limits.epsilon != 0) out.epsilon = limits.epsilon;
  if (limits.delta != 0) out.delta = limits.delta;
  if (limits.most_round_epsilon != 0) out.most_round_epsilon = limits.most_round_epsilon;
  out.least_interval = std::chrono::seconds(std::min(limits.least_interval_s, kLongest));
  out.least_cohort = limits.least_cohort;
  return out;
}

const chorus::RecommendedItem* item_at(const chorus_recommendations* list, size_t index) {
  return list != nullptr && index < list->list.items.size() ? &list->list.items[index] : nullptr;
}

}  // namespace

const char* chorus_error_message(void) {
  return last_error.message.c_str();
}

const char* chorus_error_code(void) {
  return last_error.code.c_str();
}

const char* chorus_version(void) {
  return chorus::client_version().data();
}

chorus_status chorus_client_open(const char* store, const char* credentials, chorus_client** out) {
  constexpr chorus_privacy_limits kPresets{};
  return chorus_client_open_limited(store, credentials, &kPresets, out);
}

chorus_status chorus_client_open_limited(const char* store, const char* credentials,
                                         const chorus_privacy_limits* limits, chorus_client** out) {
  return guarded([&] {
    if (store == nullptr || limits == nullptr || out == nullptr) {
      return misuse("opening a client needs a store, limits and a place for the client");
    }
    auto opened = chorus::Client::open(
        {.store = store, .credentials = credentials == nullptr ? "" : credentials, .privacy = from_c(*limits)});
    if (!opened) return refuse(opened.error());
    *out = new chorus_client{std::move(*opened)};
    return CHORUS_OK;
  });
}

void chorus_client_close(chorus_client* client) {
  delete client;
}

chorus_status chorus_client_import(chorus_client* client, const char* file, int skip_bad_lines,
                                   chorus_import_report* report) {
  return guarded([&] {
    if (client == nullptr || file == nullptr) return misuse("chorus_client_import needs a client and a file");
    const auto imported = client->client.import_ratings(
        file, {.format = {}, .user = {}, .skip_bad_lines = skip_bad_lines != 0, .held_out = false});
    if (!imported) return refuse(imported.error());
    if (report != nullptr) {
      *report = {.ratings = imported->ratings,
                 .added = imported->added,
                 .replaced = imported->replaced,
                 .duplicates = imported->duplicates,
                 .bad_lines = imported->bad_lines,
                 .unknown = imported->unknown.value_or(0)};
    }
    return CHORUS_OK;
  });
}

chorus_status chorus_client_rate(chorus_client* client, const char* item, double value, int* replaced) {
  return guarded([&] {
    if (client == nullptr || item == nullptr) return misuse("chorus_client_rate needs a client and an item");
    const auto rated = client->client.rate(item, value);
    if (!rated) return refuse(rated.error());
    if (replaced != nullptr) *replaced = rated->replaced ? 1 : 0;
    return CHORUS_OK;
  });
}

chorus_status chorus_client_remove(chorus_client* client, const char* item, int* existed) {
  return guarded([&] {
    if (client == nullptr || item == nullptr) return misuse("chorus_client_remove needs a client and an item");
    const auto removed = client->client.remove(item);
    if (!removed) return refuse(removed.error());
    if (existed != nullptr) *existed = *removed ? 1 : 0;
    return CHORUS_OK;
  });
}

chorus_status chorus_client_enrol(chorus_client* client, const char* authority, const char* invitation, int* waiting) {
  return guarded([&] {
    if (client == nullptr || authority == nullptr || invitation == nullptr) {
      return misuse("chorus_client_enrol needs a client, the authority's address and an invitation");
    }
    const auto enrolled = client->client.enrol({.authority = authority, .invitation = invitation});
    if (!enrolled) return refuse(enrolled.error());
    if (waiting != nullptr) *waiting = enrolled->waiting ? 1 : 0;
    return CHORUS_OK;
  });
}

chorus_status chorus_client_renew(chorus_client* client) {
  return guarded([&] {
    if (client == nullptr) return misuse("chorus_client_renew needs a client");
    const auto renewed = client->client.renew();
    return renewed ? CHORUS_OK : refuse(renewed.error());
  });
}

chorus_status chorus_client_sync(chorus_client* client, const chorus_sync_options* options, chorus_progress progress,
                                 void* context, chorus_sync_report* report) {
  return guarded([&] {
    if (client == nullptr || options == nullptr || options->coordinator == nullptr) {
      return misuse("chorus_client_sync needs a client, options and a coordinator");
    }
    const std::uint64_t age = options->least_identity_age_s;
    chorus::SyncOptions wanted{.coordinators = split(options->coordinator),
                               .job = options->job == nullptr ? "" : options->job,
                               .rounds = options->rounds,
                               .until_finished = options->until_finished != 0,
                               .patience = std::chrono::milliseconds(options->patience_ms)};
    wanted.without_noise = options->without_noise != 0;
    if (age == CHORUS_ANY_IDENTITY_AGE) {
      wanted.least_identity_age = std::chrono::seconds(0);
    } else if (age != 0) {
      wanted.least_identity_age = std::chrono::seconds(std::min(age, kLongest));
    }
    chorus::Client::Progress told;
    if (progress != nullptr) {
      told = [&](const chorus::SyncProgress& said) { progress(context, said.sentence.c_str(), said.done, said.total); };
    }
    const auto synced = client->client.sync(wanted, told);
    if (!synced) return refuse(synced.error());
    if (report != nullptr) *report = to_c(*synced);
    return CHORUS_OK;
  });
}

void chorus_client_cancel(chorus_client* client) {
  if (client != nullptr) client->client.cancel();
}

chorus_status chorus_client_recommend(chorus_client* client, size_t count, chorus_recommendations** out) {
  return guarded([&] {
    if (client == nullptr || out == nullptr) return misuse("chorus_client_recommend needs a client and a place");
    auto found = client->client.recommend(count);
    if (!found) return refuse(found.error());
    *out = new chorus_recommendations{std::move(*found)};
    return CHORUS_OK;
  });
}

void chorus_recommendations_free(chorus_recommendations* list) {
  delete list;
}

size_t chorus_recommendations_count(const chorus_recommendations* list) {
  return list == nullptr ? 0 : list->list.items.size();
}

const char* chorus_recommendations_basis(const chorus_recommendations* list) {
  return list == nullptr ? nullptr : list->list.basis.c_str();
}

const char* chorus_recommendation_item(const chorus_recommendations* list, size_t index) {
  const auto* item = item_at(list, index);
  return item == nullptr ? nullptr : item->item.c_str();
}

const char* chorus_recommendation_title(const chorus_recommendations* list, size_t index) {
  const auto* item = item_at(list, index);
  return item == nullptr ? nullptr : item->title.c_str();
}

const char* chorus_recommendation_why(const chorus_recommendations* list, size_t index) {
  const auto* item = item_at(list, index);
  return item == nullptr ? nullptr : item->why.c_str();
}

double chorus_recommendation_score(const chorus_recommendations* list, size_t index) {
  const auto* item = item_at(list, index);
  return item == nullptr ? 0 : item->score;
}

chorus_status chorus_client_get_state(chorus_client* client, chorus_client_state* out) {
  return guarded([&] {
    if (client == nullptr || out == nullptr) return misuse("chorus_client_get_state needs a client and a place");
    const auto status = client->client.status(0);
    if (!status) return refuse(status.error());
    *out = {.ratings = status->ratings,
            .held_out = status->held_out,
            .unknown = status->unknown.value_or(0),
            .off_scale = status->off_scale.value_or(0),
            .catalogue_items = status->catalogue_items,
            .has_model = status->model_version ? 1 : 0,
            .model_version = status->model_version.value_or(0),
            .training_rounds = status->training_rounds,
            .last_contact = status->last_contact.value_or(0),
            .devices_ready = status->devices_ready,
            .devices_needed = status->devices_needed};
    return CHORUS_OK;
  });
}

chorus_status chorus_client_leave(chorus_client* client) {
  return guarded([&] {
    if (client == nullptr) return misuse("chorus_client_leave needs a client");
    const auto left = client->client.leave();
    return left ? CHORUS_OK : refuse(left.error());
  });
}

chorus_status chorus_client_read_ledger(chorus_client* client, size_t updates, chorus_ledger** out) {
  return guarded([&] {
    if (client == nullptr || out == nullptr) return misuse("chorus_client_read_ledger needs a client and a place");
    auto found = client->client.ledger(updates);
    if (!found) return refuse(found.error());
    *out = new chorus_ledger{std::move(*found)};
    return CHORUS_OK;
  });
}

void chorus_ledger_free(chorus_ledger* ledger) {
  delete ledger;
}

chorus_ledger_totals chorus_ledger_get_totals(const chorus_ledger* ledger) {
  if (ledger == nullptr) return {};
  const chorus::SharedLedger& found = ledger->ledger;
  return {.updates = found.updates,
          .unprotected = found.unprotected,
          .epsilon_spent = found.spent,
          .epsilon_left = found.left,
          .has_rounds_left = found.rounds_left ? 1 : 0,
          .rounds_left = found.rounds_left.value_or(0)};
}

size_t chorus_ledger_count(const chorus_ledger* ledger) {
  return ledger == nullptr ? 0 : ledger->ledger.shared.size();
}

chorus_status chorus_ledger_get_update(const chorus_ledger* ledger, size_t index, chorus_shared_update* out) {
  return guarded([&] {
    if (index >= chorus_ledger_count(ledger) || out == nullptr) {
      return misuse("chorus_ledger_get_update needs an index below chorus_ledger_count, and a place");
    }
    const chorus::SharedUpdate& update = ledger->ledger.shared[index];
    *out = {.when = update.when,
            .round = update.round,
            .in_history = update.model_version ? 1 : 0,
            .job = update.job.c_str(),
            .purpose = update.purpose.c_str(),
            .ending = update.ending.c_str(),
            .model_version = update.model_version.value_or(0),
            .others = update.others.value_or(0),
            .honest = update.honest,
            .epsilon = update.epsilon.value_or(std::numeric_limits<double>::infinity())};
    return CHORUS_OK;
  });
}

chorus_status chorus_client_forget(chorus_client* client) {
  return guarded([&] {
    if (client == nullptr) return misuse("chorus_client_forget needs a client");
    const auto forgot = client->client.forget();
    return forgot ? CHORUS_OK : refuse(forgot.error());
  });
}
