// How a job begins or goes on: what the operator configured is held against what the store has. Stateless.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/publish/publisher.hpp"
#include "coordinator/store/store.hpp"

namespace chorus::coordinator {

// Where a job stands when its coordinator starts.
struct JobStart {
  std::shared_ptr<const Publisher> publisher;
  Version version;
  Progress progress;
};

// A new job, without a store: version 0. Errors: those of Publisher::create and Catalogue::create.
[[nodiscard]] Result<JobStart> new_job(protocol::JobDescription job, std::vector<dataset::CatalogueItem> items,
                                       std::shared_ptr<const crypto::SigningKey> key);

// The first start stores the job with its version 0; later ones go on from the last published version. If `items` are
// more than the stored catalogue's, the model grows first.
// Errors: wrong_job (the stored job is another one; says what differs), invalid_argument (items were changed or
// removed), corrupt, and those of Publisher and Store.
[[nodiscard]] Result<JobStart> start_job(JobStore& store, protocol::JobDescription job,
                                         std::vector<dataset::CatalogueItem> items,
                                         std::shared_ptr<const crypto::SigningKey> key);

// A job whose catalogue grew: the model has rows for the new items.
struct Growth {
  std::shared_ptr<const Publisher> publisher;
  Version version;
  std::string trace_line;
};
// Nothing, if `items` are the catalogue that is published. Errors: invalid_argument (an item was changed, moved or
// removed: names the first), those of Catalogue::append and Publisher::create.
[[nodiscard]] Result<std::optional<Growth>> grow_job(const Publisher& publisher, const Version& from,
                                                     std::vector<dataset::CatalogueItem> items);

}  // namespace chorus::coordinator
