// What stands behind a Client. Here randomness and the clocks come in.
#pragma once

#include <memory>

#include "chorus/client.hpp"
#include "client/io/blocking_run.hpp"
#include "client/policy/policy.hpp"
#include "client/store/store.hpp"
#include "common/base/time.hpp"
#include "common/crypto/random_source.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/dataset/data_contract.hpp"

namespace chorus::api {

struct Device {
  ClientOptions options;
  std::unique_ptr<client::Store> store;
  std::unique_ptr<crypto::RandomSource> random;
  std::unique_ptr<client::Cancellation> cancellation;
};

[[nodiscard]] WallTime wall_now();

// What the store knows of the job; absent before the first sync.
[[nodiscard]] Result<std::optional<dataset::DataContract>> contract_of(client::Store& store);
[[nodiscard]] Result<std::optional<dataset::Catalogue>> catalogue_of(client::Store& store);

[[nodiscard]] Result<ImportReport> import_ratings(client::Store& store, const std::filesystem::path& file,
                                                  const ImportOptions& options);
[[nodiscard]] Result<SyncReport> sync(Device& device, const SyncOptions& options, const Client::Progress& progress);
[[nodiscard]] Result<ClientStatus> status(client::Store& store, std::size_t rounds);
[[nodiscard]] Result<Recommendations> recommend(client::Store& store, std::size_t count);

// Errors: invalid_argument, with the limit's name in where().
[[nodiscard]] Status check(const PrivacyLimits& limits);
// What the device's policy holds plans and rounds against.
[[nodiscard]] client::Consent consent_of(const SyncOptions& options, const PrivacyLimits& limits);
[[nodiscard]] Result<SharedLedger> ledger(client::Store& store, const PrivacyLimits& limits, std::size_t updates);
[[nodiscard]] Result<ForgetReport> forget(Device& device, const ForgetOptions& options);
[[nodiscard]] Result<EnrolReport> enrol(Device& device, const EnrolOptions& options);
[[nodiscard]] Result<EnrolReport> renew(Device& device);

}  // namespace chorus::api

struct chorus::Client::State : chorus::api::Device {};
