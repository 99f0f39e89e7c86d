// The SQLite store on real files in a folder of the test's own.
#pragma once

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "coordinator/federation/job_start.hpp"
#include "coordinator/publish/trace.hpp"
#include "coordinator/store/store.hpp"
#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {

namespace fs = std::filesystem;
using test::Enrolment;
using test::make_items;
using test::make_job;
using test::make_key;

inline std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::vector<std::string> lines(const fs::path& path) {
  std::vector<std::string> found;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) found.push_back(line);
  return found;
}

inline constexpr WallTime kToday = Enrolment::kToday;
inline constexpr const char* kJob = "town";

// The store of a folder and its one job's part.
class OpenJob {
 public:
  explicit OpenJob(const fs::path& folder)
      : store_(open_sqlite_store(folder).value()), job_(store_->job(kJob).value()) {}
  JobStore& operator*() const { return *job_; }
  JobStore* operator->() const { return job_.get(); }
  [[nodiscard]] JobStore* get() const { return job_.get(); }
  [[nodiscard]] Store& whole() const { return *store_; }

 private:
  std::unique_ptr<Store> store_;
  std::unique_ptr<JobStore> job_;
};

inline JobEntry entered(std::string name) {
  JobEntry entry;
  entry.name = std::move(name);
  return entry;
}

inline OpenJob open_job(const fs::path& folder) {
  return OpenJob(folder);
}

inline privacy::PublishedLedger charged_ledger(std::uint64_t rounds) {
  privacy::PublishedLedger ledger;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    EXPECT_TRUE(ledger.charge({.round = RoundId(round),
                               .squared_sensitivity = 100,
                               .local_noise = 40,
                               .cohort_honest = 60,
                               .total_honest = 60},
                              std::nullopt));
  }
  return ledger;
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    std::string pattern = (fs::temp_directory_path() / "chorus-store-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~StoreTest() override {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
    fs::remove_all(folder_);
  }

  // A small file system in the folder's place; false where that is not allowed.
  bool mount(const std::string& options, bool read_only = false) {
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", read_only ? MS_RDONLY : 0, options.c_str()) == 0;
    return mounted_;
  }

  // One training round's worth of change, without devices.
  static Commit next_commit(const JobStart& start, const Version& from, std::uint64_t round) {
    Commit commit;
    const CollectedSums sums(start.publisher->model().layout(plan::Purpose::train, 0), {});
    commit.version =
        start.publisher->step(from, plan::Purpose::train, RoundId(round), sums, {.delta = 1e-5}).value().version;
    commit.surveyed = true;
    TraceRound record;
    record.round = RoundId(round);
    record.from = from.header.version;
    record.to = commit.version->header.version;
    record.model = commit.version->header.tensors;
    commit.trace_line = to_json_line(record);
    return commit;
  }

  fs::path folder_;
  bool mounted_ = false;
};

}  // namespace chorus::coordinator
