// The store in SQLite. For client/store's .cpp files alone: SQLiteCpp's exceptions stop there.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <type_traits>

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include "client/store/statements.hpp"
#include "client/store/store.hpp"
#include "client/store/store_file.hpp"

namespace chorus::client {

class SqliteStore final : public Store {
 public:
  // `file` empty: in memory.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& file, const StoreOptions& options);

  Result<PutCounts> put_ratings(std::span<const StoredRating> rows) override;
  Result<bool> remove_rating(std::string_view item) override;
  Result<StoredRatings> ratings() override;
  Result<RatingCounts> count_ratings() override;
  Result<std::optional<crypto::PublicKey>> coordinator_key() override;
  Status join(const crypto::PublicKey& coordinator, const protocol::Signed& job) override;
  Result<std::optional<protocol::Signed>> job() override { return header("job"); }
  Result<std::optional<protocol::Signed>> catalogue_header() override { return header("catalogue"); }
  Result<std::optional<StoredCatalogue>> catalogue() override;
  Status put_catalogue(const StoredCatalogue& catalogue) override;
  Result<std::optional<protocol::Signed>> model_header() override { return header("model"); }
  Result<std::optional<StoredModel>> model() override;
  Status put_model(const StoredModel& model) override;
  Status leave() override;
  Status forget() override;
  Result<bool> is_stopped() override;
  Result<RoundId> highest_round() override;
  Result<std::uint32_t> attempts(const Digest& model_id, plan::Purpose purpose) override;
  Status reserve(const Participation& started) override;
  Status charge(RoundId round, const RoundCharge& charge) override;
  Status afford(const RoundCharge& charge) override;
  Result<privacy::DeviceLedger> ledger() override;
  Result<std::vector<privacy::LedgerEntry>> charges(std::size_t most) override;
  Status vote(RoundId round, const Digest& survivors) override;
  Status finish(const Participation& ended) override;
  Result<std::vector<Participation>> history(std::size_t most) override;
  Status put_last_contact(const LastContact& contact) override;
  Result<std::optional<LastContact>> last_contact() override;
  Status begin_session() override;
  void end_session() noexcept override { session_ = SessionLock(); }

 private:
  SqliteStore(const std::filesystem::path& file, const StoreOptions& options)
      : file_(file),
        database_(file.empty() ? std::string(":memory:") : file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                  static_cast<int>(options.busy_timeout.count())),
        durable_(options.survives_power_loss) {}

  Status prepare(const StoreOptions& options);
  Use use(Sql which);
  Error translate(const SQLite::Exception& exception, std::string_view doing);
  // Runs `body`; an exception becomes an error that says what was being done.
  template <typename Body>
  auto guarded(std::string_view doing, Body&& body) -> std::invoke_result_t<Body> {
    try {
      return body();
    } catch (const SQLite::Exception& exception) {
      return fail(translate(exception, doing));
    } catch (const std::bad_alloc&) {
      return fail(ErrorCode::too_large, fmt::format("not enough memory to {}", doing), file_.string());
    }
  }
  SQLite::Transaction transaction() { return SQLite::Transaction(database_, SQLite::TransactionBehavior::IMMEDIATE); }
  Result<std::optional<protocol::Signed>> header(const char* name);
  struct Document {
    protocol::Signed header;
    std::uint32_t items = 0;
    Bytes content;
  };
  Result<std::optional<Document>> document(const char* name);
  Status put_document(const char* name, const protocol::Signed& header, std::uint32_t items, ByteView content);
  void write_document(const char* name, const protocol::Signed& header, std::uint32_t items, ByteView content);
  void write_round(Sql which, const Participation& line);
  std::vector<privacy::LedgerEntry> read_charges(Use& rows);
  // The seal of the ledger with the charge.
  Result<privacy::LedgerSeal> enter_charge(RoundId round, const RoundCharge& charge);
  // The ledger's seal lies beside the file, in a file of its own: a copy of the one does not bring back the other.
  [[nodiscard]] std::filesystem::path seal_file() const { return file_.string() + ".seal"; }
  Result<std::optional<privacy::LedgerSeal>> read_seal();
  Status write_seal(const privacy::LedgerSeal& seal);

  std::filesystem::path file_;
  SQLite::Database database_;
  std::array<std::unique_ptr<SQLite::Statement>, kStatements> statements_;
  SessionLock session_;
  bool durable_;
  std::optional<privacy::LedgerSeal> memory_seal_;  // of a store without a file
};

}  // namespace chorus::client
