#include "coordinator/app/serve.hpp"

#include <algorithm>

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
#include "coordinator/io/machine.hpp"
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
                const std::map<std::string, std::filesystem::path>& catalogues) {
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
  for (const auto& [job, catalogue] : catalogues) {
    if (catalogue.empty()) continue;
    if (auto items = dataset::read_item_table(catalogue)) {
      reloaded.catalogues[job] = std::move(*items);
    } else {
      complain("catalogue", items.error());
    }
  }
  return reloaded;
}

void warn_of_expiry(const net::TlsContext& tls) {
  using std::chrono::days;
  const auto left = [](WallTime until) { return std::chrono::duration_cast<days>(until - wall_now()).count(); };
  if (left(tls.certificate_expires()) < kCertificateWarning.count()) {
    log::warning("the coordinator's certificate expires soon", {{"days", left(tls.certificate_expires())}});
  }
  if (left(tls.crl_expires()) < kListWarning.count()) {
    log::warning("the revocation list expires soon; then no device is admitted", {{"days", left(tls.crl_expires())}});
  }
}

// Otherwise the kernel turns devices away before we can tell them why.
void provide_open_files(const Limits& limits) {
  if (const std::uint64_t files = raise_open_files(); files < limits.connections + kFilesBesides) {
    log::warning("fewer files may be open than limits.connections asks for; raise the hard limit (ulimit -Hn)",
                 {{"open_files", files}, {"connections", limits.connections}});
  }
}

// A job that could not run is found now: version 0 is made, and the plans of its rounds.
Status try_out(const PreparedJob& job, const Admission& admission,
               const std::shared_ptr<const crypto::SigningKey>& key) {
  const auto random = crypto::make_system_random();
  CHORUS_TRY(auto start, new_job(job.description, job.items, key));
  CHORUS_TRY_DO(Federation::create(job.federation, std::move(start), admission, *random, plan::kProductionFloors));
  return {};
}

Result<PreparedJob> prepare(JobSettings settings) {
  CHORUS_TRY(auto items, dataset::read_item_table(settings.catalogue));
  if (items.empty()) {
    return fail(ErrorCode::invalid_argument, "the catalogue has no items", settings.catalogue.string());
  }
  CHORUS_TRY(auto description, describe_job(settings, static_cast<std::uint32_t>(items.size())));
  return PreparedJob{.federation = settings.federation,
                     .description = std::move(description),
                     .items = std::move(items),
                     .catalogue = std::move(settings.catalogue),
                     .file = {},
                     .folder = {}};
}

// A job whose file's text was handed over.
Result<PreparedJob> prepare_submitted(const std::string& file, const std::string& folder, const Admission& admission,
                                      const std::shared_ptr<const crypto::SigningKey>& key) {
  const std::filesystem::path place(folder);
  if (!place.is_absolute()) return fail(ErrorCode::invalid_argument, "the job file's folder is not absolute", folder);
  CHORUS_TRY(auto settings, parse_job_settings(file, place / "job.toml", plan::kProductionFloors));
  CHORUS_TRY(auto job, prepare(std::move(settings)));
  CHORUS_TRY_DO(try_out(job, admission, key));
  job.file = file;
  job.folder = folder;
  return job;
}

// Those that were submitted and not stopped, beside the command line's. One that cannot start does not keep the others
// from it.
Result<std::vector<PreparedJob>> submitted_jobs(Store& store, const Configured& configured) {
  std::vector<PreparedJob> jobs;
  CHORUS_TRY(const auto entries, store.jobs());
  for (const JobEntry& entry : entries) {
    const bool on_command_line = std::any_of(configured.jobs.begin(), configured.jobs.end(),
                                             [&](const auto& job) { return job.description.name == entry.name; });
    if (on_command_line) continue;
    if (entry.file.empty() || entry.standing == Standing::stopped) {
      log::info("a job of the state folder is not run", {{"job", entry.name}, {"standing", to_string(entry.standing)}});
      continue;
    }
    auto job = prepare_submitted(entry.file, entry.folder, configured.admission, configured.key);
    if (job) {
      jobs.push_back(std::move(*job));
    } else {
      log::error("a submitted job cannot start", {{"job", entry.name}, {"reason", job.error().to_string()}});
    }
  }
  return jobs;
}

}  // namespace

Result<Configured> configure(const std::filesystem::path& config, const std::vector<std::filesystem::path>& jobs) {
  CHORUS_TRY(auto settings, read_coordinator_file(config));
  std::vector<JobSettings> job_settings;
  for (const auto& job : jobs) {
    CHORUS_TRY(auto read, read_job_file(job, plan::kProductionFloors));
    for (const JobSettings& other : job_settings) {
      if (other.name == read.name) {
        return fail(ErrorCode::duplicate, fmt::format("another job is called '{}' too", read.name), job.string());
      }
    }
    job_settings.push_back(std::move(read));
  }
  if (jobs.empty() && !settings.admin) {
    return fail(ErrorCode::invalid_argument, "there is nothing to do: neither --job nor [admin] listen is given",
                config.string());
  }
  std::vector<PreparedJob> prepared;
  for (JobSettings& job : job_settings) {
    CHORUS_TRY(auto ready, prepare(std::move(job)));
    prepared.push_back(std::move(ready));
  }
  CHORUS_TRY(const auto credentials, net::read_credentials(settings.certificates, "coordinator"));
  CHORUS_TRY(auto tls, net::TlsContext::server(credentials, wall_now()));
  CHORUS_TRY(auto admission, read_admission(credentials));
  CHORUS_TRY(auto key, identity::parse_private_key_pem(credentials.key));
  Configured configured{.settings = std::move(settings),
                        .jobs = std::move(prepared),
                        .tls = std::move(tls),
                        .admission = std::move(admission),
                        .key = std::make_shared<const crypto::SigningKey>(std::move(key))};
  for (const PreparedJob& job : configured.jobs) CHORUS_TRY_DO(try_out(job, configured.admission, configured.key));
  return configured;
}

std::string summary(const Configured& configured) {
  std::string text;
  for (const PreparedJob& prepared : configured.jobs) {
    const auto& job = prepared.description;
    text += fmt::format(
        "job '{}': {} items, family {}, {}\n", job.name, prepared.items.size(), job.family,
        job.round_goal == 0 ? std::string("no last round") : fmt::format("{} training rounds", job.round_goal));
    for (const auto& [key, value] : job.settings) text += fmt::format("  {} = {}\n", key, value);
    text += fmt::format("  cohorts of {} to {} devices\n", prepared.federation.cohort_minimum,
                        prepared.federation.cohort_size);
    if (const CombinationRule& rule = prepared.federation.rule; rule.combination != Combination::mean) {
      text += fmt::format("  their sums are combined by the rule {}: rounds wait for {} devices\n",
                          to_string(rule.combination), prepared.federation.least_devices());
    }
    if (job.settings.contains("mu")) {
      const privacy::Budget& budget = prepared.federation.budget;
      text += fmt::format("  rounds end when a device has paid epsilon {} at delta {} to the coordinator\n",
                          budget.epsilon, budget.delta);
    }
  }
  for (const auto& address : configured.settings.listen) {
    text += fmt::format("listens on {}, port {}\n", address.host, address.port);
  }
  return text + fmt::format("state in {}\n", configured.settings.state.string());
}

Status serve(Configured configured, const std::filesystem::path& config) {
  log::configure(configured.settings.log_level, configured.settings.log_format);
  warn_of_expiry(configured.tls);
  provide_open_files(configured.settings.limits);
  CHORUS_TRY(auto store, open_sqlite_store(configured.settings.state));
  CHORUS_TRY(auto submitted, submitted_jobs(*store, configured));
  for (PreparedJob& job : submitted) configured.jobs.push_back(std::move(job));
  const auto random = crypto::make_system_random();
  CHORUS_TRY(auto daemon,
             Daemon::create(DaemonSetup{
                 .settings = configured.settings,
                 .jobs = std::move(configured.jobs),
                 .tls = std::move(configured.tls),
                 .admission = configured.admission,
                 .key = configured.key,
                 .store = std::move(store),
                 .random = *random,
                 .floors = plan::kProductionFloors,
                 .reload = [config, certificates = configured.settings.certificates](
                               const auto& catalogues) { return reload(config, certificates, catalogues); },
                 .prepare = [admission = configured.admission, key = configured.key](
                                const auto& file,
                                const auto& folder) { return prepare_submitted(file, folder, admission, key); },
             }));
  return daemon->run();
}

}  // namespace chorus::coordinator
