#include "coordinator/app/serve.hpp"

#include <fmt/format.h>

#include "common/crypto/random_source.hpp"
#include "common/dataset/item_files.hpp"
#include "common/identity/certificate.hpp"
#include "common/identity/private_key_pem.hpp"
#include "common/identity/revocation_list.hpp"
#include "common/log/log.hpp"
#include "common/plan/floors.hpp"
#include "coordinator/config/config.hpp"
#include "coordinator/federation/federation.hpp"
#include "coordinator/io/clock.hpp"
#include "coordinator/io/daemon.hpp"
#include "coordinator/io/open_files.hpp"

namespace chorus::coordinator {

namespace {

// The authority whose devices are admitted, and those that it has revoked. The chain and the list's signature are
// checked where the TLS context is made.
Result<Admission> read_admission(const net::TlsCredentials& credentials) {
  CHORUS_TRY(const auto authority, identity::Certificate::from_pem(credentials.authority));
  CHORUS_TRY(auto revoked, identity::RevocationList::from_pem(credentials.crl));
  return Admission{.authority = authority.info().key,
                   .revoked = std::make_shared<const identity::RevocationList>(std::move(revoked))};
}

// Reads again what SIGHUP may change; what cannot be read is logged and stays as it was.
Reloaded reload(const std::filesystem::path& config, const std::filesystem::path& certificates,
                const std::filesystem::path& catalogue) {
  Reloaded reloaded;
  const auto complain = [](std::string_view what, const Error& error) {
    log::error("cannot reload, the old one stays", {{"what", what}, {"reason", error.to_string()}});
  };
  if (const auto settings = read_coordinator_file(config)) {
    log::set_level(settings->log_level);
  } else {
    complain("log level", settings.error());
  }
  auto credentials = net::read_credentials(certificates, "coordinator");
  auto tls = credentials ? net::TlsContext::server(*credentials, wall_now()) : fail(credentials.error());
  auto admission = credentials ? read_admission(*credentials) : fail(credentials.error());
  if (tls && admission) {
    reloaded.tls = std::move(*tls);
    reloaded.admission = std::move(*admission);
  } else {
    complain("certificates", tls ? admission.error() : tls.error());
  }
  if (auto items = dataset::read_item_table(catalogue)) {
    reloaded.catalogue = std::move(*items);
  } else {
    complain("catalogue", items.error());
  }
  return reloaded;
}

void warn_of_expiry(const net::TlsContext& tls) {
  using std::chrono::days;
  const auto left = [](WallTime until) { return std::chrono::duration_cast<days>(until - wall_now()).count(); };
  if (left(tls.certificate_expires()) < 30) {
    log::warning("the coordinator's certificate expires soon", {{"days", left(tls.certificate_expires())}});
  }
  if (left(tls.crl_expires()) < 7) {
    log::warning("the revocation list expires soon; then no device is admitted", {{"days", left(tls.crl_expires())}});
  }
}

// Otherwise the kernel turns devices away before we can tell them why.
void provide_open_files(const Limits& limits) {
  constexpr std::uint64_t kBesides = 64;  // listeners, the store, logs
  if (const std::uint64_t files = raise_open_files(); files < limits.connections + kBesides) {
    log::warning("fewer files may be open than limits.connections asks for; raise the hard limit (ulimit -Hn)",
                 {{"open_files", files}, {"connections", limits.connections}});
  }
}

}  // namespace

Result<Configured> configure(const std::filesystem::path& config, const std::filesystem::path& job) {
  CHORUS_TRY(auto settings, read_coordinator_file(config));
  CHORUS_TRY(auto job_settings, read_job_file(job, plan::kProductionFloors));
  CHORUS_TRY(auto items, dataset::read_item_table(job_settings.catalogue));
  if (items.empty()) {
    return fail(ErrorCode::invalid_argument, "the catalogue has no items", job_settings.catalogue.string());
  }
  CHORUS_TRY(auto description, describe_job(job_settings, static_cast<std::uint32_t>(items.size())));
  CHORUS_TRY(const auto credentials, net::read_credentials(settings.certificates, "coordinator"));
  CHORUS_TRY(auto tls, net::TlsContext::server(credentials, wall_now()));
  CHORUS_TRY(auto admission, read_admission(credentials));
  CHORUS_TRY(auto key, identity::parse_private_key_pem(credentials.key));
  job_settings.federation.shutdown_grace = settings.shutdown_grace;
  Configured configured{.settings = std::move(settings),
                        .job = std::move(job_settings),
                        .description = std::move(description),
                        .items = std::move(items),
                        .tls = std::move(tls),
                        .admission = std::move(admission),
                        .key = std::make_shared<const crypto::SigningKey>(std::move(key))};
  // A job that could not run is found now: version 0 is made, and the plans of its rounds.
  const auto random = crypto::make_system_random();
  CHORUS_TRY(auto start, new_job(configured.description, configured.items, configured.key));
  CHORUS_TRY_DO(Federation::create(configured.job.federation, std::move(start), configured.admission, *random,
                                   plan::kProductionFloors));
  return configured;
}

std::string summary(const Configured& configured) {
  const auto& job = configured.description;
  std::string text = fmt::format(
      "job '{}': {} items, family {}, {}\n", job.name, configured.items.size(), job.family,
      job.round_goal == 0 ? std::string("no last round") : fmt::format("{} training rounds", job.round_goal));
  for (const auto& [key, value] : job.settings) text += fmt::format("  {} = {}\n", key, value);
  text += fmt::format("cohorts of {} to {} devices\n", configured.job.federation.cohort_minimum,
                      configured.job.federation.cohort_size);
  if (job.settings.contains("mu")) {
    const privacy::Budget& budget = configured.job.federation.budget;
    text += fmt::format("rounds end when a device has paid epsilon {} at delta {} to the coordinator\n", budget.epsilon,
                        budget.delta);
  }
  for (const auto& address : configured.settings.listen) {
    text += fmt::format("listens on {}, port {}\n", address.host, address.port);
  }
  return text + fmt::format("state in {}\n", configured.settings.state.string());
}

// Said at every start, because it is what an operator must not take for granted: the secure sum hides who said what in
// one round, and the difference of two sums is one device's update.
void warn_of_missing_noise(const model::Model& model) {
  if (model.privacy(plan::Purpose::train, 0)) return;
  log::warning("updates carry no noise: NO DIFFERENCING PROTECTION, epsilon is infinite");
}

Status serve(Configured configured, const std::filesystem::path& config) {
  log::configure(configured.settings.log_level, configured.settings.log_format);
  warn_of_expiry(configured.tls);
  provide_open_files(configured.settings.limits);
  CHORUS_TRY(auto store, open_sqlite_store(configured.settings.state));
  CHORUS_TRY(auto job, store->job(configured.description.name));
  CHORUS_TRY(auto start, start_job(*job, configured.description, std::move(configured.items), configured.key));
  log::info("job", {{"name", configured.description.name},
                    {"family", configured.description.family},
                    {"items", start.publisher->catalogue().header.items},
                    {"version", start.version.header.version.value()},
                    {"training_rounds", start.version.header.training_rounds},
                    {"goal", configured.description.round_goal}});
  warn_of_missing_noise(start.publisher->model());
  const auto random = crypto::make_system_random();
  CHORUS_TRY(auto daemon,
             Daemon::create(DaemonSetup{
                 .settings = configured.settings,
                 .federation = configured.job.federation,
                 .tls = std::move(configured.tls),
                 .admission = std::move(configured.admission),
                 .start = std::move(start),
                 .store = std::move(store),
                 .job = std::move(job),
                 .random = *random,
                 .floors = plan::kProductionFloors,
                 .reload = [config, certificates = configured.settings.certificates,
                            catalogue = configured.job.catalogue] { return reload(config, certificates, catalogue); },
             }));
  return daemon->run();
}

}  // namespace chorus::coordinator
