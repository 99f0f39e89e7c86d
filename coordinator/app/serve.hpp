// From settings files to a running coordinator. Used once, by main.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <vector>

#include "common/crypto/signature.hpp"
#include "common/net/tls_context.hpp"
#include "coordinator/config/settings.hpp"
#include "coordinator/io/running_jobs.hpp"

namespace chorus::coordinator {

// How long before its end a certificate or a revocation list is worth a warning.
inline constexpr std::chrono::days kCertificateWarning{30};
inline constexpr std::chrono::days kListWarning{7};

// Everything that can be known to be right before anything is started.
struct Configured {
  CoordinatorSettings settings;
  std::vector<PreparedJob> jobs;
  net::TlsContext tls;
  Admission admission;
  std::shared_ptr<const crypto::SigningKey> key;
};

// Reads the settings, the catalogues and the certificates. Errors name the file, and the line where there is one.
[[nodiscard]] Result<Configured> configure(const std::filesystem::path& config,
                                           const std::vector<std::filesystem::path>& jobs);

// What `check` says would run.
[[nodiscard]] std::string summary(const Configured& configured);

// Runs until it is stopped or no job runs any more.
[[nodiscard]] Status serve(Configured configured, const std::filesystem::path& config);

}  // namespace chorus::coordinator
