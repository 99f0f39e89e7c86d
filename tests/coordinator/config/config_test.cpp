#include "coordinator/config/config.hpp"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "coordinator/config/samples.hpp"

namespace chorus::coordinator {
namespace {

const std::filesystem::path kFile = "/etc/chorus/job.toml";

std::string file_contents(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

Result<JobSettings> job(std::string_view text) {
  return parse_job_settings(text, kFile, plan::kProductionFloors);
}
Result<CoordinatorSettings> coordinator(std::string_view text) {
  return parse_coordinator_settings(text, kFile);
}

constexpr std::string_view kJob = "name = \"a\"\ncatalogue = \"items.tsv\"\n";
constexpr std::string_view kCoordinator = "listen = [\"127.0.0.1:0\"]\nstate = \"s\"\ncertificates = \"c\"\n";

TEST(Samples, AreThePackagedFiles) {
  const std::filesystem::path packaging = std::filesystem::path(CHORUS_SOURCE_DIR) / "coordinator/packaging";
  EXPECT_EQ(file_contents(packaging / "coordinator.toml"), sample_coordinator_file());
  EXPECT_EQ(file_contents(packaging / "job.toml"), sample_job_file());
}

TEST(Samples, SayTheDefaults) {
  const auto sample = coordinator(sample_coordinator_file()).value();
  const CoordinatorSettings defaults;
  EXPECT_EQ(sample.limits.connections, defaults.limits.connections);
  EXPECT_EQ(sample.limits.handshakes, defaults.limits.handshakes);
  EXPECT_EQ(sample.limits.handshakes_per_address, defaults.limits.handshakes_per_address);
  EXPECT_EQ(sample.limits.handshake_timeout, defaults.limits.handshake_timeout);
  EXPECT_EQ(sample.limits.hello_timeout, defaults.limits.hello_timeout);
  EXPECT_EQ(sample.limits.frame_timeout, defaults.limits.frame_timeout);
  EXPECT_EQ(sample.limits.write_timeout, defaults.limits.write_timeout);
  EXPECT_EQ(sample.limits.queue, defaults.limits.queue);
  EXPECT_EQ(sample.shutdown_grace, defaults.shutdown_grace);
  EXPECT_EQ(sample.log_level, defaults.log_level);
  EXPECT_EQ(sample.log_format, defaults.log_format);
  EXPECT_EQ(sample.listen, (std::vector<ListenAddress>{{"127.0.0.1", 7443}, {"::1", 7443}}));

  const auto sample_job = job(sample_job_file()).value();
  const auto bare = job(kJob).value();
  EXPECT_EQ(sample_job.contract, bare.contract);
  EXPECT_EQ(sample_job.family, bare.family);
  EXPECT_TRUE(sample_job.model.empty());
  EXPECT_EQ(sample_job.federation.cohort_size, bare.federation.cohort_size);
  EXPECT_EQ(sample_job.federation.cohort_minimum, bare.federation.cohort_minimum);
  EXPECT_EQ(sample_job.federation.cohort_minimum, 76U);
  EXPECT_EQ(sample_job.federation.dropout, bare.federation.dropout);
  EXPECT_EQ(sample_job.federation.gather, bare.federation.gather);
  EXPECT_EQ(sample_job.federation.deadlines, bare.federation.deadlines);
  EXPECT_EQ(sample_job.federation.devices, bare.federation.devices);
  EXPECT_EQ(sample_job.federation.measure, bare.federation.measure);
  EXPECT_EQ(sample_job.federation.exit_when_finished, bare.federation.exit_when_finished);
}

TEST(JobFile, SaysWhatIsTrained) {
  const auto settings = job(R"(
name = "films-2"
rounds = 7
when_finished = "exit"
catalogue = "../items.tsv"
[data]
feedback = "ratings"
minimum = 0.5
maximum = 5
step = 0.5
max_items_per_user = 300
[model]
family = "mf"
rank = 7
lambda = 2.5
[cohort]
size = 200
minimum = 100
dropout = "1/4"
[round]
gather = "1500ms"
upload_deadline = "2min"
devices = 150
measure = false
)")
                            .value();
  EXPECT_EQ(settings.name, "films-2");
  EXPECT_EQ(settings.rounds, 7U);
  EXPECT_EQ(settings.catalogue, "/etc/items.tsv");
  EXPECT_EQ(settings.contract,
            (dataset::DataContract{.minimum = 0.5F, .maximum = 5, .step = 0.5F, .max_items_per_user = 300}));
  EXPECT_EQ(settings.model, (model::Settings{{"rank", "7"}, {"lambda", "2.5"}}));
  EXPECT_EQ(settings.federation.cohort_size, 200U);
  EXPECT_EQ(settings.federation.cohort_minimum, 100U);
  EXPECT_EQ(settings.federation.dropout, (plan::Ratio{1, 4}));
  EXPECT_EQ(settings.federation.gather, 1500ms);
  EXPECT_EQ(settings.federation.deadlines[2], 2min);
  EXPECT_EQ(settings.federation.devices, 150U);
  EXPECT_FALSE(settings.federation.measure);
  EXPECT_TRUE(settings.federation.exit_when_finished);
  const auto described = describe_job(settings, 50).value();
  EXPECT_EQ(described.name, "films-2");
  EXPECT_EQ(described.settings.at("rank"), "7");
  EXPECT_GT(described.settings.size(), 2U);  // the defaults too
  EXPECT_EQ(described.round_goal, 7U);
  EXPECT_EQ(described.max_contributors, 200U);
}

TEST(JobFile, SaysWhatBecomesOfTheCohortsSums) {
  EXPECT_EQ(job(kJob).value().federation.rule, CombinationRule());
  const auto with = [](const std::string& table) {
    return job(std::string(kJob) + "[aggregation]\n" + table).value().federation;
  };
  EXPECT_EQ(with("rule = \"mean\"").rule, CombinationRule());
  EXPECT_EQ(with("rule = \"trimmed-mean\"\ntrim = 0.1").rule,
            (CombinationRule{.combination = Combination::trimmed_mean, .trim = 0.1}));
  EXPECT_EQ(with("rule = \"norm-filtered\"\nmost_norm = 3").rule,
            (CombinationRule{.combination = Combination::norm_filtered, .most_norm = 3}));
  EXPECT_EQ(with("rule = \"median\"").least_devices(), 3 * 76U);
  EXPECT_EQ(with("rule = \"mean\"").least_devices(), 76U);
  EXPECT_EQ(with("rule = \"median\"\n[round]\ndevices = 228").devices, 228U);
}

TEST(JobFile, WithoutRoundsTheFamilysPresetHolds) {
  EXPECT_GT(describe_job(job(kJob).value(), 50).value().round_goal, 0U);
  EXPECT_EQ(describe_job(job(std::string(kJob) + "rounds = 0\n").value(), 50).value().round_goal, 0U);
}

TEST(JobFile, TheDefaultMinimumFollowsTheDropout) {
  EXPECT_EQ(job(std::string(kJob) + "[cohort]\ndropout = \"1/3\"\n").value().federation.cohort_minimum, 96U);
  EXPECT_EQ(job(std::string(kJob) + "[cohort]\ndropout = \"0/1\"\n").value().federation.cohort_minimum, 64U);
}

struct BadFile {
  std::string text;      // after kJob or kCoordinator: line 3 or 4 is its first
  int line = 0;          // 0: the file alone
  std::string sentence;  // a part of it
};

void expect_error(const Error& error, const BadFile& bad) {
  const std::string place = bad.line == 0 ? kFile.string() : kFile.string() + ":" + std::to_string(bad.line);
  EXPECT_EQ(error.where(), place) << bad.text;
  EXPECT_NE(error.sentence().find(bad.sentence), std::string::npos) << error.to_string();
}

TEST(JobFile, EveryErrorNamesItsLine) {
  const std::vector<BadFile> all = {
      {"surprise = 1\n", 3, "unknown key 'surprise'; known are: name, rounds, when_finished, catalogue"},
      {"\n[surprise]\n", 4, "unknown key 'surprise'"},
      {"rounds = \"many\"\n", 3, "rounds: expected a whole number"},
      {"rounds = -1\n", 3, "rounds: expected a whole number"},
      {"rounds = 2000000000\n", 3, "rounds: expected a whole number from 0 to 1000000000"},
      {"when_finished = \"never\"\n", 3, "expected serve or exit, found \"never\""},
      {"when_finished = 1\n", 3, "expected text in quotes"},
      {"data = 1\n", 3, "expected a table, [data]"},
      {"[data]\nfeedback = \"likes\"\n", 4, "[data] feedback: expected ratings or events"},
      {"[data]\nminimum = \"one\"\n", 4, "[data] minimum: expected a number"},
      {"[data]\nminimum = nan\n", 4, "[data] minimum: expected a number"},
      {"[data]\nmax_items_per_user = 0\n", 4, "from 1 to 1000000"},
      {"[data]\nmaximum = 0\n", 0, "[data]"},
      {"[data]\nscale = 5\n", 4, "unknown key 'scale' in [data]; known are: feedback, minimum, maximum, step"},
      {"[model]\nfamily = \"nonsense\"\n", 4, "mf"},
      {"[model]\n\nrank = 0\n", 5, "rank"},
      {"[model]\nrnk = 15\n", 4, "rank"},
      {"[model]\nrank = [1]\n", 4, "[model] rank: expected a number"},
      {"[cohort]\nsize = 513\n", 4, "[cohort] size: expected a whole number from 1 to 512"},
      {"[cohort]\nsize = 75\n", 4, "at least the cohort's minimum, 76"},
      {"[cohort]\nminimum = 75\n", 4, "at least 76, so that 64 devices are in every sum"},
      {"[cohort]\nminimum = 76\ndropout = \"1/3\"\n", 4, "at least 96"},
      {"[cohort]\ndropout = \"1/2\"\n", 4, "at most 1/3"},
      {"[cohort]\ndropout = \"15%\"\n", 4, "expected a fraction such as \"3/20\", found \"15%\""},
      {"[cohort]\ndropout = \"1/0\"\n", 4, "expected a fraction"},
      {"[cohort]\ndropout = 0.15\n", 4, "expected text in quotes"},
      {"[round]\ngather = \"5\"\n", 4, "expected a duration"},
      {"[round]\ngather = 5\n", 4, "expected text in quotes"},
      {"[cohort]\ncorrupt = \"1/21\"\n", 4, "at least 1/20"},
      {"[cohort]\nleast_identity_age = \"month\"\n", 4, "expected a duration"},
      {"[round]\nvote_deadline = \"0s\"\n", 4, "more than 0"},
      {"[round]\nupload_deadline = \"0s\"\n", 4, "more than 0"},
      {"[round]\nupload_deadline = \"11min\"\n", 4, "at most 600s"},
      {"[round]\ndevices = 10\n", 4, "expected 0 or at least the cohort's minimum"},
      {"[aggregation]\nrule = \"middle\"\n", 4, "expected mean, trimmed-mean, median or norm-filtered"},
      {"[aggregation]\nrule = \"trimmed-mean\"\ntrim = 0.5\n", 5, "above 0 and below 0.5"},
      {"[aggregation]\nrule = \"norm-filtered\"\nmost_norm = 0.5\n", 5, "at least 1"},
      {"[aggregation]\nrule = \"median\"\ntrim = 0.2\n", 5, "is a setting of the rule trimmed-mean"},
      {"[aggregation]\ntrim = 0.2\n", 4, "is a setting of the rule trimmed-mean"},
      {"[aggregation]\nmost_norm = 2\n", 4, "is a setting of every rule but mean"},
      {"[aggregation]\nrobust = true\n", 4, "known are: rule, trim, most_norm"},
      {"[aggregation]\nrule = \"median\"\n[privacy]\nepsilon = 5\n", 4, "keeps the noise of some cohorts"},
      {"[aggregation]\nrule = \"median\"\n[model]\nupdate = \"als\"\n", 4, "are one matrix"},
      {"[aggregation]\nrule = \"median\"\n[round]\ndevices = 227\n", 6, "at least 228: the rule median"},
      {"[round]\nmeasure = \"yes\"\n", 4, "expected true or false"},
      {"[round\n", 3, ""},
      {"rounds = 1\nrounds = 2\n", 4, ""},
  };
  for (const auto& bad : all) {
    const auto parsed = job(std::string(kJob) + bad.text);
    ASSERT_FALSE(parsed.has_value()) << bad.text;
    expect_error(parsed.error(), bad);
  }
  for (const auto& bad : std::vector<BadFile>{{"catalogue = \"x\"\n", 0, "name: is missing"},
                                              {"name = \"x\"\n", 0, "catalogue: is missing"},
                                              {"name = \"\"\ncatalogue = \"x\"\n", 1, "name: is missing or empty"},
                                              {"name = \"My Films\"\ncatalogue = \"x\"\n", 1, "a-z, 0-9"}}) {
    const auto parsed = job(bad.text);
    ASSERT_FALSE(parsed.has_value()) << bad.text;
    expect_error(parsed.error(), bad);
  }
}

TEST(CoordinatorFile, EveryErrorNamesItsLine) {
  const std::vector<BadFile> all = {
      {"port = 1\n", 4, "unknown key 'port'; known are: listen, state, certificates, log, admin, limits, shutdown"},
      {"[log]\nlevel = \"loud\"\n", 5, "expected debug, info, warning, error or off"},
      {"[log]\nformat = \"xml\"\n", 5, "expected text or json"},
      {"[log]\nfile = \"x\"\n", 5, "unknown key 'file' in [log]"},
      {"[limits]\nconnections = 0\n", 5, "from 1 to"},
      {"[limits]\nqueue = 1\n", 5, "from 8 to"},
      {"[limits]\nhello_timeout = \"0s\"\n", 5, "more than 0"},
      {"[limits]\nframe_timeout = \"2h\"\n", 5, "at most 1h"},
      {"[limits]\nhello_timeout = \"soon\"\n", 5, "expected a duration"},
      {"[shutdown]\ngrace = \"-1s\"\n", 5, "expected a duration"},
  };
  for (const auto& bad : all) {
    const auto parsed = coordinator(std::string(kCoordinator) + bad.text);
    ASSERT_FALSE(parsed.has_value()) << bad.text;
    expect_error(parsed.error(), bad);
  }
  for (const auto& bad : std::vector<BadFile>{
           {"state = \"s\"\ncertificates = \"c\"\n", 0, "listen: is missing"},
           {"listen = []\nstate = \"s\"\ncertificates = \"c\"\n", 1, "a list of one or more texts"},
           {"listen = \"127.0.0.1:1\"\nstate = \"s\"\ncertificates = \"c\"\n", 1, "a list of one or more texts"},
           {"listen = [\"localhost:7443\"]\nstate = \"s\"\ncertificates = \"c\"\n", 1, "found \"localhost:7443\""},
           {"listen = [\"127.0.0.1\"]\nstate = \"s\"\ncertificates = \"c\"\n", 1, "found \"127.0.0.1\""},
           {"listen = [\"127.0.0.1:65536\"]\nstate = \"s\"\ncertificates = \"c\"\n", 1, "expected an address"},
           {"listen = [\"::1:7443\"]\nstate = \"s\"\ncertificates = \"c\"\n", 1, "expected an address"},
           {"listen = [\"127.0.0.1:1\"]\ncertificates = \"c\"\n", 0, "state: is missing"},
           {"listen = [\"127.0.0.1:1\"]\nstate = \"s\"\n", 0, "certificates: is missing"}}) {
    const auto parsed = coordinator(bad.text);
    ASSERT_FALSE(parsed.has_value()) << bad.text;
    expect_error(parsed.error(), bad);
  }
}

TEST(CoordinatorFile, PathsAreRelativeToTheFile) {
  const auto settings = coordinator(kCoordinator).value();
  EXPECT_EQ(settings.state, "/etc/chorus/s");
  EXPECT_EQ(settings.certificates, "/etc/chorus/c");
  const auto absolute = coordinator("listen = [\"[::]:0\"]\nstate = \"/var/s\"\ncertificates = \"../c\"\n").value();
  EXPECT_EQ(absolute.state, "/var/s");
  EXPECT_EQ(absolute.certificates, "/etc/c");
}

TEST(SettingsFiles, OneThatIsNotThereIsNamed) {
  const auto missing = read_job_file("/nowhere/job.toml", plan::kProductionFloors);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code(), ErrorCode::not_found);
  EXPECT_EQ(missing.error().where(), "/nowhere/job.toml");
  EXPECT_EQ(read_coordinator_file("/").error().code(), ErrorCode::not_found);
  EXPECT_EQ(read_coordinator_file("/dev/zero").error().code(), ErrorCode::too_large);
}

TEST(Durations, AreExact) {
  EXPECT_EQ(parse_duration("500ms"), Duration(500ms));
  EXPECT_EQ(parse_duration("0s"), Duration(0s));
  EXPECT_EQ(parse_duration("90s"), Duration(90s));
  EXPECT_EQ(parse_duration("10min"), Duration(10min));
  EXPECT_EQ(parse_duration("2h"), Duration(2h));
  for (const std::string_view bad :
       {"", "s", "5", "5 s", "-5s", "+5s", "5m", "5sec", "1.5s", "99999999999s", "9000h", " 5s", "5s "}) {
    EXPECT_FALSE(parse_duration(bad).has_value()) << bad;
  }
}

TEST(JobFile, AnEpsilonMakesAPrivateModelAndABudget) {
  const auto with = [](const std::string& table) { return job(std::string(kJob) + table); };
  const auto private_job = with("[privacy]\nepsilon = 5\ndelta = 1e-6\nagainst = \"coordinator\"\n").value();
  EXPECT_EQ(private_job.model.at("update"), "dp");
  EXPECT_NEAR(std::stod(private_job.model.at("mu")), 1.0204, 1e-4);  // design: privacy recipe, accounting
  EXPECT_EQ(private_job.model.at("against"), "coordinator");
  EXPECT_EQ(private_job.model.at("cohort"), "128");
  EXPECT_EQ(private_job.federation.budget, (privacy::Budget{.epsilon = 8, .delta = 1e-6}));
  EXPECT_EQ(with("[privacy]\ndevice_epsilon = 3\nepsilon = 2\n").value().federation.budget.epsilon, 3);
  EXPECT_FALSE(with("").value().model.contains("update"));

  const auto refused = [&](const std::string& table) {
    const auto parsed = with(table);
    EXPECT_FALSE(parsed.has_value()) << table;
    return parsed ? std::string() : parsed.error().to_string();
  };
  EXPECT_NE(refused("[privacy]\nepsilon = 5\ndelta = 0\n").find("[privacy] delta"), std::string::npos);
  EXPECT_NE(refused("[privacy]\nepsilon = 5\ndelta = 1\n").find("[privacy] delta"), std::string::npos);
  EXPECT_NE(refused("[privacy]\nepsilon = -1\n").find("[privacy] epsilon"), std::string::npos);
  EXPECT_NE(refused("[privacy]\nepsilon = nan\n").find("[privacy] epsilon"), std::string::npos);
  EXPECT_NE(refused("[privacy]\nepsilon = 5\nagainst = \"you\"\n").find("[privacy] against"), std::string::npos);
  EXPECT_NE(refused("[privacy]\nagainst = \"readers\"\n").find("missing"), std::string::npos);
  EXPECT_NE(refused("[model]\nupdate = \"vb\"\n[privacy]\nepsilon = 5\n").find("[model] update"), std::string::npos);
  EXPECT_NE(refused("[model]\nfamily = \"nmf\"\n[privacy]\nepsilon = 5\n").find("no differential privacy"),
            std::string::npos);
  EXPECT_NE(refused("[privacy]\nepsilom = 5\n").find("epsilom"), std::string::npos);
}

}  // namespace
}  // namespace chorus::coordinator
