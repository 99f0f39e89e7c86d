// From two settings files to a running coordinator. Used once, by main.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "common/crypto/signature.hpp"
#include "common/dataset/catalogue.hpp"
#include "common/net/tls_context.hpp"
#include "common/protocol/job_description.hpp"
#include "coordinator/config/settings.hpp"
#include "coordinator/federation/federation.hpp"

namespace chorus::coordinator {

// Everything that can be known to be right before anything is started.
struct Configured {
  CoordinatorSettings settings;
  JobSettings job;
  protocol::JobDescription description;
  std::vector<dataset::CatalogueItem> items;
  net::TlsContext tls;
  Admission admission;
  std::shared_ptr<const crypto::SigningKey> key;
};

// Reads the settings, the catalogue and the certificates. Errors name the file, and the line where there is one.
[[nodiscard]] Result<Configured> configure(const std::filesystem::path& config, const std::filesystem::path& job);

// The text that `check` prints.
[[nodiscard]] std::string summary(const Configured& configured);

// Runs until it is stopped or the job is finished.
[[nodiscard]] Status serve(Configured configured, const std::filesystem::path& config);

}  // namespace chorus::coordinator
