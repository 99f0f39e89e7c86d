#include "coordinator/app/check_command.hpp"

#include <algorithm>
#include <cstdio>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/crypto/random_source.hpp"
#include "common/dataset/item_files.hpp"
#include "common/plan/floors.hpp"
#include "coordinator/app/serve.hpp"
#include "coordinator/config/config.hpp"
#include "coordinator/io/clock.hpp"
#include "coordinator/io/machine.hpp"

namespace chorus::coordinator {

namespace {

constexpr int kNotReady = 1;
constexpr int kWrong = 2;

using Findings = std::vector<Finding>;

void check_certificates(const std::filesystem::path& folder, Findings& findings) {
  const auto credentials = net::read_credentials(folder, "coordinator");
  if (!credentials) {
    findings.push_back(finding_of(trouble_of_certificates(credentials.error()), credentials.error()));
    return;
  }
  const auto tls = net::TlsContext::server(*credentials, wall_now());
  if (!tls) {
    Error error = tls.error().at(folder.string());
    findings.push_back(finding_of(trouble_of_certificates(tls.error()), error));
    return;
  }
  const auto days_left = [](WallTime until) {
    return std::chrono::duration_cast<std::chrono::days>(until - wall_now()).count();
  };
  if (const auto days = days_left(tls->certificate_expires()); days < kCertificateWarning.count()) {
    findings.push_back({.trouble = Trouble::certificate_ends_soon,
                        .sentence = fmt::format("the coordinator's certificate ends in {} days", days),
                        .where = (folder / "coordinator.crt").string()});
  }
  if (const auto days = days_left(tls->crl_expires()); days < kListWarning.count()) {
    findings.push_back({.trouble = Trouble::list_ends_soon,
                        .sentence = fmt::format("the revocation list ends in {} days", days),
                        .where = (folder / "crl.pem").string()});
  }
}

bool is_fatal(const Finding& finding) {
  return line_of(finding.trouble).severity != Severity::warning;
}

std::string_view word_of(const Finding& finding) {
  return is_fatal(finding) ? "error" : "warning";
}

std::string to_text(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    text += fmt::format("{} {}: {}{}{}\n", number_of(finding.trouble), word_of(finding), finding.where,
                        finding.where.empty() ? "" : ": ", finding.sentence);
  }
  if (!findings.empty()) {
    text += fmt::format("what one means and what to do: chorus-coordinator explain {}\n",
                        number_of(findings.front().trouble));
  }
  return text;
}

std::string to_json(const Findings& findings, bool starts) {
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    lines.push_back({{"number", number_of(finding.trouble)},
                     {"severity", word_of(finding)},
                     {"where", finding.where},
                     {"sentence", finding.sentence}});
  }
  return nlohmann::ordered_json{{"starts", starts}, {"findings", std::move(lines)}}.dump() + "\n";
}

int print(std::string_view text, std::FILE* file) {
  const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
  return whole ? 0 : kNotReady;
}

// Each is right for itself; whether they make jobs. The size of all their first versions.
std::uint64_t check_together(const std::filesystem::path& config, const std::vector<std::filesystem::path>& jobs,
                             Findings& findings) {
  const auto configured = configure(config, jobs);
  if (!configured) {
    findings.push_back(finding_of(Trouble::job_impossible, configured.error()));
    return 0;
  }
  std::uint64_t bytes = 0;
  for (const PreparedJob& job : configured->jobs) {
    const auto start = new_job(job.description, job.items, configured->key);
    if (start) bytes += start->version.header.size;
  }
  return bytes;
}

void check_job(const std::filesystem::path& file, std::set<std::string>& names, Findings& findings) {
  const auto job = read_job_file(file, plan::kProductionFloors);
  if (!job) {
    findings.push_back(finding_of(trouble_of_job(job.error()), job.error()));
    return;
  }
  if (!names.insert(job->name).second) {
    findings.push_back({.trouble = Trouble::job_twice,
                        .sentence = fmt::format("another job is called '{}' too", job->name),
                        .where = file.string()});
  }
  const auto items = dataset::read_item_table(job->catalogue);
  if (!items) {
    findings.push_back(finding_of(trouble_of_catalogue(items.error()), items.error()));
  } else if (items->empty()) {
    findings.push_back({.trouble = Trouble::catalogue_empty,
                        .sentence = "the catalogue has no items",
                        .where = job->catalogue.string()});
  }
}

}  // namespace

std::vector<Finding> find_trouble(const std::filesystem::path& config, const std::vector<std::filesystem::path>& jobs) {
  Findings findings;
  const auto settings = read_coordinator_file(config);
  if (!settings) findings.push_back(finding_of(trouble_of_config(settings.error()), settings.error()));
  if (settings && jobs.empty() && !settings->admin) {
    findings.push_back({.trouble = Trouble::nothing_to_do,
                        .sentence = "neither --job nor [admin] listen is given",
                        .where = config.string()});
  }
  std::set<std::string> names;
  for (const auto& job : jobs) check_job(job, names, findings);
  if (settings) check_certificates(settings->certificates, findings);
  std::uint64_t model_bytes = 0;
  if (std::none_of(findings.begin(), findings.end(), is_fatal)) model_bytes = check_together(config, jobs, findings);
  if (settings) {
    const MachineNeeds needs{.listen = settings->listen,
                             .admin = settings->admin,
                             .state = settings->state,
                             .connections = settings->limits.connections,
                             .model_bytes = model_bytes};
    for (Finding& finding : judge_machine(needs, look_at_machine(needs))) findings.push_back(std::move(finding));
  }
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.trouble < b.trouble; });
  return findings;
}

int check(const std::filesystem::path& config, const std::vector<std::filesystem::path>& jobs, bool json) {
  const Findings findings = find_trouble(config, jobs);
  int status = 0;
  for (const Finding& finding : findings) {
    const Severity severity = line_of(finding.trouble).severity;
    if (severity == Severity::wrong) status = kWrong;
    if (severity == Severity::machine && status == 0) status = kNotReady;
  }
  if (json) {
    const int printed = print(to_json(findings, status == 0), stdout);
    return status != 0 ? status : printed;
  }
  if (print(to_text(findings), stderr) != 0) return kNotReady;
  if (status != 0) return status;
  const auto configured = configure(config, jobs);
  return configured ? print(summary(*configured), stdout) : kWrong;
}

int explain(const std::string& number) {
  if (number.empty()) return print(list_of_explanations(), stdout);
  if (const auto page = explanation_of(number)) return print(*page, stdout);
  fmt::print(stderr, "chorus-coordinator: there is no page '{}'; 'explain' alone lists them\n", number);
  return kWrong;
}

}  // namespace chorus::coordinator
