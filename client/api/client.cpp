#include "chorus/client.hpp"

#include <cmath>
#include <utility>

#include "client/api/device.hpp"
#include "client/api/errors.hpp"
#include "common/dataset/rating.hpp"
#include "common/protocol/job_description.hpp"

namespace chorus {
namespace api {

WallTime wall_now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

Result<std::optional<dataset::DataContract>> contract_of(client::Store& store) {
  CHORUS_TRY(const auto job, store.job());
  if (!job) return std::nullopt;
  CHORUS_TRY(const auto description, protocol::JobDescription::decode(job->document));
  return description.contract;
}

Result<std::optional<dataset::Catalogue>> catalogue_of(client::Store& store) {
  CHORUS_TRY(const auto stored, store.catalogue());
  if (!stored) return std::nullopt;
  CHORUS_TRY(auto catalogue, dataset::Catalogue::decode(stored->bytes));
  return std::optional(std::move(catalogue));
}

namespace {

Result<RatingReport> rate(client::Store& store, std::string_view item, double value) {
  CHORUS_TRY_DO(dataset::check_id(item));
  if (!std::isfinite(static_cast<float>(value))) {
    return fail(ErrorCode::non_finite, "a rating is a finite number");
  }
  CHORUS_TRY(const auto contract, contract_of(store));
  if (contract) CHORUS_TRY_DO(contract->check(value));
  CHORUS_TRY(const auto catalogue, catalogue_of(store));
  const client::StoredRating row{
      .item = client::SecretText(item), .value = value, .when = std::int64_t{wall_now().time_since_epoch().count()}};
  CHORUS_TRY(const auto counts, store.put_ratings({&row, 1}));
  RatingReport report{.replaced = counts.replaced != 0, .title = {}, .in_catalogue = {}};
  if (catalogue) {
    const auto index = catalogue->find(item);
    report.in_catalogue = index.has_value();
    if (index) report.title = dataset::display_title((*catalogue)[*index]);
  }
  return report;
}

Result<void> leave(client::Store& store) {
  // A sync that runs would go on with what is dropped here.
  CHORUS_TRY_DO(store.begin_session());
  const Status left = store.leave();
  store.end_session();
  return left;
}

}  // namespace
}  // namespace api

Client::Client(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

ClientResult<Client> Client::open(const ClientOptions& options) {
  if (options.store.empty()) {
    return std::unexpected(ClientError{
        .kind = ClientErrorKind::usage, .code = "invalid_argument", .sentence = "no store is named", .where = {}});
  }
  auto state = std::make_unique<State>();
  state->options = options;
  state->random = crypto::make_system_random();
  auto cancellation = client::Cancellation::create();
  if (!cancellation) return std::unexpected(api::outward(cancellation.error()));
  state->cancellation = std::move(*cancellation);
  auto store = client::open_store(options.store);
  if (!store) return api::outward<Client>(fail(store.error()), ClientErrorKind::refused, ClientErrorKind::storage);
  state->store = std::move(*store);
  return Client(std::move(state));
}

ClientResult<ImportReport> Client::import_ratings(const std::filesystem::path& file, const ImportOptions& options) {
  return api::outward(api::import_ratings(*state_->store, file, options));
}

ClientResult<RatingReport> Client::rate(std::string_view item, double value) {
  return api::outward(api::rate(*state_->store, item, value));
}

ClientResult<bool> Client::remove(std::string_view item) {
  return api::outward(state_->store->remove_rating(item));
}

ClientResult<SyncReport> Client::sync(const SyncOptions& options, const Progress& progress) {
  return api::outward(api::sync(*state_, options, progress));
}

void Client::cancel() noexcept {
  state_->cancellation->request();
}

ClientResult<Recommendations> Client::recommend(std::size_t count) {
  auto result = api::recommend(*state_->store, count);
  const bool unsynced = !result && result.error().code() == ErrorCode::not_found;
  return api::outward(std::move(result), unsynced ? ClientErrorKind::storage : ClientErrorKind::input,
                      unsynced ? ClientErrorKind::unsynced : ClientErrorKind::storage);
}

ClientResult<ClientStatus> Client::status(std::size_t rounds) {
  return api::outward(api::status(*state_->store, rounds), ClientErrorKind::input, ClientErrorKind::storage);
}

ClientResult<void> Client::leave() {
  return api::outward(api::leave(*state_->store));
}

ClientResult<SharedLedger> Client::ledger(std::size_t updates) {
  return api::outward(api::ledger(*state_->store, state_->options.privacy, updates));
}

ClientResult<ForgetReport> Client::forget(const ForgetOptions& options) {
  return api::outward(api::forget(*state_, options));
}

ClientResult<EnrolReport> Client::enrol(const EnrolOptions& options) {
  return api::outward(api::enrol(*state_, options));
}

ClientResult<EnrolReport> Client::renew() {
  return api::outward(api::renew(*state_));
}

std::string_view client_version() noexcept {
  return CHORUS_VERSION;
}

}  // namespace chorus
