// chorus-client: a device's own tool. Options and wiring; the work is behind chorus/client.hpp.
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

#include "client/app/commands.hpp"
#include "common/crypto/private_memory.hpp"

namespace chorus::client::app {
namespace {

constexpr char kDescription[] =
    "Keeps your ratings on this device, trains a recommender together with other devices, and recommends.\n\n"
    "  chorus-client import ratings.csv                      your ratings, into this device's store\n"
    "  chorus-client sync --coordinator example.org:7443     the latest model; one round with your part in it\n"
    "  chorus-client recommend --top 10                      what you may like next, and why\n\n"
    "Ratings never leave the store. What a sync sends is this device's summand of a round's sum.";
constexpr char kExitStatuses[] =
    "Exit status: 0 done, also when SIGINT or SIGTERM ended a sync; 1 the store or a file fails; 2 wrong usage; 3 a "
    "bad\n"
    "line or rating; 4 a sync runs on this store; 5 a certificate or the coordinator is not to be trusted; 6 "
    "the\n"
    "time is up or nobody can be reached; 7 refused; 8 not yet: nothing to recommend from, or an operator decides.";

// Declares the subcommands and, after parsing, says which one it is.
class CommandLine {
 public:
  explicit CommandLine(Options& options) : options_(options) {
    app_.footer(kExitStatuses);
    app_.set_version_flag("--version", "chorus-client " CHORUS_VERSION);
    app_.require_subcommand(1);
    options_.client.store = "chorus-client.db";
    options_.client.credentials = "device";
    declare_ratings();
    declare_enrolment();
    declare_sync();
    declare_reports();
    declare_privacy();
  }

  [[nodiscard]] CLI::App& app() noexcept { return app_; }

  // REQUIRES: the command line was parsed.
  [[nodiscard]] Command chosen() const {
    for (const auto& [sub, command] : commands_) {
      if (sub->parsed()) return command;
    }
    return &status;
  }

 private:
  void declare_ratings() {
    CLI::App* const import = add("import", "Read your ratings from a file", &import_ratings);
    import
        ->add_option("file", options_.file,
                     "CSV or TSV with a header such as item,rating,timestamp, or a published collection's file")
        ->required();
    import->add_option("--user", options_.import.user, "Whose ratings, if the file has those of several people");
    import->add_option("--format", options_.import.format, "The file's format (default: recognised by content)");
    import->add_flag("--skip-bad-lines", options_.import.skip_bad_lines,
                     "Leave bad lines out and count them, instead of importing nothing");
    import->add_flag("--held-out", options_.import.held_out, "Only measure the model with these; never train on them");

    CLI::App* const rate = add("rate", "Rate one item, or change its rating", &app::rate);
    rate->add_option("item", options_.item, "The item's id in the catalogue")->required();
    rate->add_option("value", options_.value, "The rating, on the job's scale")->required();

    CLI::App* const remove = add("remove", "Take a rating back", &app::remove);
    remove->add_option("item", options_.item, "The item's id")->required();
  }

  void declare_enrolment() {
    CLI::App* const enrol = add("enrol", "Get an identity from an enrolment authority", &app::enrol);
    enrol->add_option("--authority", options_.enrol.authority, "Where its service listens, HOST:PORT or [IPv6]:PORT")
        ->required()
        ->envname("CHORUS_AUTHORITY");
    // Other people on this machine can read a command line, and not its environment.
    enrol->add_option("--invitation", options_.enrol.invitation, "The text that its operator gave you")
        ->required()
        ->envname("CHORUS_INVITATION");
    add_credentials(enrol, "The new folder of the identity");
    enrol->footer(
        "Makes a key in the folder and has it certified; the key stays there. An invitation without a token "
        "waits\nfor the operator (exit status 8): enrol again when they have approved.\n\n" +
        std::string(kExitStatuses));
    CLI::App* const renew = add("renew", "Renew the identity now; a sync does so in time", &app::renew);
    add_credentials(renew, "The folder that `enrol` made");
  }

  void declare_sync() {
    CLI::App* const sync = add("sync", "Fetch the latest model, and take part in training it", &app::sync);
    sync->add_option("--coordinator", options_.sync.coordinators,
                     "Where it listens, HOST:PORT or [IPv6]:PORT; more than one are tried in turn")
        ->required()
        ->envname("CHORUS_COORDINATOR");
    add_credentials(sync, "The folder that `enrol` or `chorus-certs device` made");
    sync->add_option("--job", options_.sync.job, "The job's name (default: the coordinator's only one)");
    auto* const rounds = sync->add_option("--rounds", options_.sync.rounds, "Take part in so many rounds")
                             ->capture_default_str()
                             ->check(CLI::Range(1, 1'000'000'000));
    auto* const fetch =
        sync->add_flag("--fetch-only", options_.fetch_only, "Only fetch the latest model")->excludes(rounds);
    sync->add_flag("--until-finished", options_.sync.until_finished,
                   "Take part until the job reaches its goal, or for ever if it has none")
        ->excludes(rounds)
        ->excludes(fetch);
    sync->add_flag("--without-noise", options_.sync.without_noise,
                   "Agree to rounds without noise: nothing but the secure sum protects your update then");
    add_budget(sync);
    sync->add_option("--least-interval", options_.least_interval, "Hours between two updates")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 876'000.0))
        ->envname("CHORUS_LEAST_INTERVAL");
    sync->add_option("--least-cohort", options_.client.privacy.least_cohort,
                     "Devices that a round must insist on (76 or more in any case)")
        ->capture_default_str()
        ->envname("CHORUS_LEAST_COHORT");
    sync->add_option("--least-identity-age", options_.least_identity_age,
                     "Days since the enrolment of the other devices of a sum, at least (default: 30; lower it for "
                     "demonstrations alone)");
    sync->add_option("--patience", options_.patience, "Give up after so many seconds (default: never)")
        ->check(CLI::Range(0.001, 1e9));
    sync->add_flag("--verbose", options_.verbose, "Say each step, also where standard error is no terminal");
    sync->footer(
        "A round needs a minimum of devices (76 by default), so that no update is ever summed with few others. Until\n"
        "they are there a sync waits, and says how many are ready. Connections that break are made again, after a\n"
        "random pause that grows; ending a sync at any moment loses nothing but its round.\n\n" +
        std::string(kExitStatuses));
  }

  void declare_reports() {
    CLI::App* const recommend = add("recommend", "What you may like next, and why", &app::recommend);
    recommend->add_option("--top", options_.top, "How many items")
        ->capture_default_str()
        ->check(CLI::Range(1, 2'000'000));
    recommend->footer(
        "A score is an exact sum: what people give on average, what they give this item, and what each of your\n"
        "ratings adds. The reasons are summands of it.\n\n" +
        std::string(kExitStatuses));

    CLI::App* const show = add("status", "What this device knows and did", &app::status);
    show->add_option("--rounds", options_.rounds, "How many past rounds to list")->capture_default_str();
    add("leave", "Forget the job and its coordinator; keep the ratings", &app::leave);
  }

  void declare_privacy() {
    CLI::App* const ledger = add("ledger", "What I shared: when, with how many others, what it cost", &app::ledger);
    add_budget(ledger);
    ledger->add_option("--updates", options_.updates, "How many to list, newest first")->capture_default_str();
    ledger->footer(
        "Epsilon bounds what the coordinator can learn of you from all of it, even if it lies: your part changes the\n"
        "odds of anything that it sees by at most e^epsilon, but for a chance of delta. Costs do not add up: two "
        "rounds\n"
        "cost less than twice one. Name the limits that you sync with. An update counts as soon as it may have "
        "left.\n\n" +
        std::string(kExitStatuses));

    CLI::App* const forget = add("forget", "Stop for good: delete ratings, model, history and identity", &app::forget);
    add_credentials(forget, "The folder of the identity to delete");
    forget->add_flag("!--offline", options_.forget.tell_authority, "Do not ask the enrolment authority to revoke it");
    forget->add_flag("--yes", options_.yes, "Do not ask; needed without a terminal");
    forget->footer(
        "Every later sync with this store is refused. What was summed into a model cannot be taken back. The ledger\n"
        "stays, so that a spent budget stays spent, until you delete the store's files. `leave` keeps the "
        "ratings.\n\n" +
        std::string(kExitStatuses));
  }

  // What the user agrees to give away.
  void add_budget(CLI::App* sub) {
    PrivacyLimits& limits = options_.client.privacy;
    sub->add_option("--epsilon", limits.epsilon, "The budget of all rounds together, against the coordinator")
        ->capture_default_str()
        ->envname("CHORUS_EPSILON");
    sub->add_option("--delta", limits.delta, "The chance that epsilon may fail, above 0")
        ->capture_default_str()
        ->envname("CHORUS_DELTA");
    sub->add_option("--most-round-epsilon", limits.most_round_epsilon, "Of a single round")
        ->capture_default_str()
        ->envname("CHORUS_MOST_ROUND_EPSILON");
  }

  void add_credentials(CLI::App* sub, const char* what) {
    sub->add_option("--credentials", options_.client.credentials, what)
        ->capture_default_str()
        ->envname("CHORUS_CREDENTIALS");
  }

  CLI::App* add(const char* name, const char* what, Command command) {
    CLI::App* const sub = app_.add_subcommand(name, what);
    sub->footer(kExitStatuses);
    sub->add_flag("--json", options_.json, "Print one JSON object on standard output; errors too");
    sub->add_option("--store", options_.client.store, "The file of what this device knows; made if it is not there")
        ->capture_default_str()
        ->envname("CHORUS_STORE");
    commands_.emplace_back(sub, command);
    return sub;
  }

  Options& options_;
  CLI::App app_{kDescription, "chorus-client"};
  std::vector<std::pair<CLI::App*, Command>> commands_;
};

int complain(const ClientError& error, bool json) {
  fmt::print(stderr, "chorus-client: {}\n", as_text(error));
  if (json) fmt::print("{}\n", as_json(error));
  return exit_status(error.kind);
}

int run(int argc, char** argv) {
  Options options;
  CommandLine line(options);
  try {
    line.app().parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return line.app().exit(error) == 0 ? 0 : kUsage;  // 0: --help and --version
  }
  options.client.privacy.least_interval =
      std::chrono::seconds(static_cast<std::int64_t>(options.least_interval * 3600));
  auto client = Client::open(options.client);
  if (!client) return complain(client.error(), options.json);
  const auto outcome = line.chosen()(*client, options);
  if (!outcome) return complain(outcome.error(), options.json);
  fmt::print("{}{}", options.json ? outcome->json : outcome->text, options.json ? "\n" : "");
  return outcome->status;
}

}  // namespace
}  // namespace chorus::client::app

int main(int argc, char** argv) {
  // What this process writes is its user's alone, and what it holds is its own.
  ::umask(077);
  if (const auto kept = chorus::crypto::keep_memory_private(argv); !kept) {
    std::fprintf(stderr, "chorus-client: %s\n", kept.error().to_string().c_str());
    return 1;
  }
  try {
    return chorus::client::app::run(argc, argv);
  } catch (const std::exception& error) {  // out of memory, a broken output pipe
    std::fprintf(stderr, "chorus-client: %s\n", error.what());
    return 1;
  }
}
