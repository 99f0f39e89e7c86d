// Reads the coordinator file and the job file (TOML 1.0). Strict: an unknown key, a wrong type or a value out of range
// is an error with its place, "job.toml:17". Stateless.
#pragma once

#include <filesystem>
#include <string_view>

#include "common/plan/floors.hpp"
#include "common/protocol/job_description.hpp"
#include "coordinator/config/settings.hpp"

namespace chorus::coordinator {

// Errors: not_found, too_large (1 MiB), malformed, invalid_argument. Relative paths become relative to the file's
// folder.
[[nodiscard]] Result<CoordinatorSettings> read_coordinator_file(const std::filesystem::path& file);
// As above; parameter_below_floor and parameter_above_ceiling where `floors` forbid a cohort.
[[nodiscard]] Result<JobSettings> read_job_file(const std::filesystem::path& file, const plan::Floors& floors);

// The same from text; `file` stands in errors and its folder is what relative paths are relative to.
[[nodiscard]] Result<CoordinatorSettings> parse_coordinator_settings(std::string_view text,
                                                                     const std::filesystem::path& file);
[[nodiscard]] Result<JobSettings> parse_job_settings(std::string_view text, const std::filesystem::path& file,
                                                     const plan::Floors& floors);

// The job that the settings describe, with every setting of its model. Errors: those of model::make_model.
[[nodiscard]] Result<protocol::JobDescription> describe_job(const JobSettings& settings, std::uint32_t items);

// "500ms", "30s", "10min", "2h". Errors: malformed.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);
// "127.0.0.1:7443", "[::1]:0". Errors: malformed.
[[nodiscard]] Result<ListenAddress> parse_listen_address(std::string_view text);
// "3/20". Errors: malformed.
[[nodiscard]] Result<plan::Ratio> parse_ratio(std::string_view text);

}  // namespace chorus::coordinator
