// What chorus-client does for each of its subcommands: calls the library, and says what came out as text and as JSON.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "chorus/client.hpp"

namespace chorus::client::app {

struct Options {
  ClientOptions client;
  bool json = false;

  std::string file;
  ImportOptions import;
  std::string item;
  double value = 0;
  SyncOptions sync;
  double patience = 0;                    // seconds; 0: for ever
  std::uint32_t least_identity_age = 30;  // days
  bool fetch_only = false;
  bool verbose = false;
  std::size_t top = 10;
  std::size_t rounds = 10;    // of the history
  std::size_t updates = 10;   // of the ledger
  double least_interval = 0;  // hours
  bool yes = false;           // forget without asking
  EnrolOptions enrol;
  ForgetOptions forget;
};

// One result in both forms, and the exit status.
struct Outcome {
  std::string text;  // ends with a newline
  std::string json;  // one object
  int status = 0;
};

// Exit statuses. Nobody renumbers them: scripts know them.
inline constexpr int kStorage = 1;
inline constexpr int kUsage = 2;
inline constexpr int kInput = 3;
inline constexpr int kBusy = 4;
inline constexpr int kTrust = 5;
inline constexpr int kNetwork = 6;
inline constexpr int kRefused = 7;
inline constexpr int kUnsynced = 8;
[[nodiscard]] int exit_status(ClientErrorKind kind) noexcept;

using Command = ClientResult<Outcome> (*)(Client&, const Options&);
[[nodiscard]] ClientResult<Outcome> import_ratings(Client& client, const Options& options);
[[nodiscard]] ClientResult<Outcome> rate(Client& client, const Options& options);
[[nodiscard]] ClientResult<Outcome> remove(Client& client, const Options& options);
// Progress goes to standard error; SIGINT and SIGTERM end it in order.
[[nodiscard]] ClientResult<Outcome> sync(Client& client, const Options& options);
[[nodiscard]] ClientResult<Outcome> recommend(Client& client, const Options& options);
[[nodiscard]] ClientResult<Outcome> status(Client& client, const Options& options);
[[nodiscard]] ClientResult<Outcome> leave(Client& client, const Options& options);
[[nodiscard]] ClientResult<Outcome> enrol(Client& client, const Options& options);
[[nodiscard]] ClientResult<Outcome> renew(Client& client, const Options& options);
[[nodiscard]] ClientResult<Outcome> ledger(Client& client, const Options& options);
// Asks on the terminal; without one, only with `yes`.
[[nodiscard]] ClientResult<Outcome> forget(Client& client, const Options& options);

// "ratings.csv:17: expected a number between 1 and 5, found '9'"
[[nodiscard]] std::string as_text(const ClientError& error);
// {"error": {"kind": ..., "code": ..., "sentence": ..., "where": ...}}
[[nodiscard]] std::string as_json(const ClientError& error);

}  // namespace chorus::client::app
