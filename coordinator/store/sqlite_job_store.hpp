// One job's rows of the SQLite store.
#pragma once

#include "coordinator/store/sqlite_support.hpp"
#include "coordinator/store/state_folder.hpp"
#include "coordinator/store/store.hpp"

namespace chorus::coordinator::sqlite {

// `id` is the job's in the table jobs; `database` outlives the object. Brings the copy of the trace up to date.
[[nodiscard]] Result<std::unique_ptr<JobStore>> open_job_store(SQLite::Database& database,
                                                               const std::filesystem::path& folder, std::int64_t id,
                                                               const std::string& name);

}  // namespace chorus::coordinator::sqlite
