// chorus-certs: the enrolment authority's tool. Options and wiring; the work is in certs/io.
#include <cstdio>
#include <exception>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "certs/app/commands.hpp"
#include "common/crypto/private_memory.hpp"

namespace chorus::certs::app {
namespace {

constexpr int kFailure = 1;
constexpr int kUsage = 2;

constexpr char kDescription[] =
    "The enrolment authority of Chorus: makes and renews the certificates of coordinators and devices, and revokes "
    "them.";
constexpr char kExitStatuses[] =
    "Exit status: 0 done; 1 failed; 2 wrong usage (an option, a host name, a number of days or devices).";

using Command = Result<Outcome> (Commands::*)();

// Declares the subcommands and, after parsing, says which one it is.
class CommandLine {
 public:
  explicit CommandLine(Options& options) : options_(options) {
    app_.footer(kExitStatuses);
    app_.set_version_flag("--version", "chorus-certs " CHORUS_VERSION);
    app_.require_subcommand(1);
    declare_issuing();
    declare_the_rest();
    declare_service();
  }

  [[nodiscard]] CLI::App& app() noexcept { return app_; }

  // REQUIRES: the command line was parsed.
  [[nodiscard]] Command chosen() const {
    for (const auto& [sub, command] : commands_) {
      if (sub->parsed()) return command;
    }
    return &Commands::show;
  }

 private:
  void declare_issuing() {
    CLI::App* const init = add("init", "Make a new authority", &Commands::init);
    add_authority(init);
    add_days(init, fmt::format("How long it holds (default {})", kAuthorityLifetime.count()));

    CLI::App* const coordinator = add("coordinator", "Certify a coordinator", &Commands::coordinator);
    coordinator
        ->add_option("--host", options_.hosts,
                     "A DNS name, IPv4 or IPv6 address under which devices reach it; may be repeated")
        ->required();
    add_authority(coordinator);
    add_out(coordinator, "The new folder (default ./coordinator)");
    add_days(coordinator, fmt::format("How long it holds (default {})", kCoordinatorLifetime.count()));

    CLI::App* const device = add("device", "Enrol a device", &Commands::device);
    add_authority(device);
    add_out(device, "The new folder (default ./device)");
    add_days(device, fmt::format("How long it holds (default {})", kDeviceLifetime.count()));

    CLI::App* const fleet = add("fleet", "Enrol many devices", &Commands::fleet);
    fleet->add_option("--count", options_.count, fmt::format("How many, 1 to {}", kMostDevicesAtOnce))->required();
    add_authority(fleet);
    add_out(fleet, "The new folder (default ./fleet)");
    add_days(fleet, fmt::format("How long they hold (default {})", kDeviceLifetime.count()));
  }

  void declare_the_rest() {
    const char* const list_out = "A coordinator's or device's folder that gets the new list at once";
    const std::string list_days = fmt::format("How long the list holds (default {})", kRevocationListLifetime.count());

    CLI::App* const show = add("show", "Say what a file or folder is", &Commands::show);
    show->add_option("path", options_.path, "A file or folder that chorus-certs made")->required();

    CLI::App* const revoke =
        add("revoke", "Revoke a device or a key, and sign a new revocation list", &Commands::revoke);
    revoke
        ->add_option("subject", options_.subject,
                     "A device's id (all of its certificates), or a serial number or the file of a certificate (all "
                     "certificates with that key)")
        ->required();
    add_authority(revoke);
    add_out(revoke, list_out);
    add_days(revoke, list_days);

    CLI::App* const crl = add("crl", "Sign the revocation list anew, before it ends", &Commands::crl);
    add_authority(crl);
    add_out(crl, list_out);
    add_days(crl, list_days);

    CLI::App* const renew =
        add("renew", "Renew the certificate in a coordinator's or device's folder", &Commands::renew);
    renew->add_option("folder", options_.path, "The folder to renew")->required();
    renew->add_flag("--new-key", options_.new_key, "Make a new private key (the old one is not revoked)");
    add_authority(renew);
    add_out(renew, "A new folder, instead of renewing in place");
    add_days(renew, fmt::format("How long it holds (default {} for a device, {} for a coordinator)",
                                kDeviceLifetime.count(), kCoordinatorLifetime.count()));
  }

  void declare_service() {
    CLI::App* const serve = add("serve", "Enrol and renew devices over the network", &Commands::serve);
    serve
        ->add_option("--host", options_.hosts,
                     "A DNS name, IPv4 or IPv6 address under which devices reach it; may be repeated")
        ->required();
    serve->add_option("--listen", options_.listen, "The address to listen on")->capture_default_str();
    serve->add_option("--port", options_.port, "The port; 0: any that is free")->capture_default_str();
    serve->add_option("--address-file", options_.address_file, "A file that is told where it listens");
    serve->add_flag("--without-invitation", options_.without_invitation,
                    "Let devices without an invitation wait for your approval");
    auto* const successor =
        serve->add_option("--successor", options_.successor, "The folder of the authority that will follow this one");
    serve
        ->add_option("--successor-address", options_.successor_address,
                     "Where the successor's own service listens, HOST:PORT (default: where this one does)")
        ->needs(successor);
    add_authority(serve);
    add_days(serve, fmt::format("How long the certificates of devices hold (default {})", kEnrolledLifetime.count()));

    CLI::App* const invite = add("invite", "Make an invitation, which enrols one device once", &Commands::invite);
    invite
        ->add_option("--hours", options_.hours,
                     fmt::format("How long it holds (default {})",
                                 std::chrono::duration_cast<std::chrono::hours>(kInvitationLifetime).count()))
        ->check(CLI::Range(1, 24 * 365));
    invite->add_flag("--ask", options_.ask, "One without a token: for many, each of whom you approve");
    add_authority(invite);

    CLI::App* const withdraw = add("withdraw", "Take back an invitation that was not used", &Commands::withdraw);
    withdraw->add_option("number", options_.subject, "Its number, 16 hexadecimal digits")->required();
    add_authority(withdraw);

    add_authority(add("requests", "List the devices that wait for your approval", &Commands::requests));
    for (const auto& [name, what, command] :
         {std::tuple("approve", "Enrol a device that waits", &Commands::approve),
          std::tuple("decline", "Turn a device away that waits", &Commands::decline)}) {
      CLI::App* const decide = add(name, what, command);
      decide
          ->add_option("key", options_.key, "Its key, or enough of its first digits; compare it with the device's own")
          ->required();
      add_authority(decide);
    }

    CLI::App* const succeed = add("succeed", "Make the authority that will follow this one", &Commands::succeed);
    add_authority(succeed);
    add_out(succeed, "The new folder (default ./authority-next)");
    add_days(succeed, fmt::format("How long it holds (default {})", kAuthorityLifetime.count()));

    CLI::App* const fetch = add("fetch", "Fetch the newest revocation list from the service", &Commands::fetch);
    fetch->add_option("--from", options_.from, "Where the service listens, HOST:PORT")->required();
    add_out(fetch, "The coordinator's or device's folder that gets it")->required();
  }

  CLI::App* add(const char* name, const char* what, Command command) {
    CLI::App* const sub = app_.add_subcommand(name, what);
    sub->footer(kExitStatuses);
    sub->add_flag("--json", options_.json, "Print JSON; errors too");
    commands_.emplace_back(sub, command);
    return sub;
  }

  void add_authority(CLI::App* sub) {
    sub->add_option("--authority", options_.authority, "The authority's folder (default ./authority)");
    sub->add_option("--passphrase-file", options_.passphrase_file,
                    "The file with the passphrase of the authority's key");
  }
  CLI::Option* add_out(CLI::App* sub, const char* what) { return sub->add_option("--out", options_.out, what); }
  void add_days(CLI::App* sub, const std::string& what) { sub->add_option("--days", options_.days, what); }

  Options& options_;
  CLI::App app_{kDescription, "chorus-certs"};
  std::vector<std::pair<CLI::App*, Command>> commands_;
};

int run(int argc, char** argv) {
  Options options;
  CommandLine line(options);
  try {
    line.app().parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return line.app().exit(error) == 0 ? 0 : kUsage;  // 0: --help and --version
  }
  Commands commands(options);
  const Result<Outcome> outcome = (commands.*line.chosen())();
  if (!outcome) {
    const Error& error = outcome.error();
    if (options.json) {
      fmt::print(stderr, "{}\n", as_json(error));
    } else {
      fmt::print(stderr, "chorus-certs: {}\n", error.to_string());
    }
    return error.code() == ErrorCode::invalid_argument ? kUsage : kFailure;
  }
  if (options.json) {
    fmt::print("{}\n", outcome->json);
  } else {
    fmt::print("{}", outcome->text);
    std::fflush(stdout);
    fmt::print(stderr, "{}", outcome->note);
  }
  return 0;
}

}  // namespace
}  // namespace chorus::certs::app

int main(int argc, char** argv) {
  if (const auto kept = chorus::crypto::keep_memory_private(argv); !kept) {
    std::fprintf(stderr, "chorus-certs: %s\n", kept.error().to_string().c_str());
    return 1;
  }
  try {
    return chorus::certs::app::run(argc, argv);
  } catch (const std::exception& error) {  // out of memory, a broken output pipe
    std::fprintf(stderr, "chorus-certs: %s\n", error.what());
    return 1;
  }
}
