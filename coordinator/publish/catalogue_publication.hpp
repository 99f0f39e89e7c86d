// A catalogue as devices get it: its bytes and the header that the coordinator signs. Immutable; thread-safe.
#pragma once

#include <memory>

#include "common/dataset/catalogue.hpp"
#include "common/protocol/documents.hpp"

namespace chorus::coordinator {

struct CataloguePublication {
  dataset::Catalogue catalogue;
  protocol::CatalogueHeader header;
  protocol::Signed document;           // the header
  std::shared_ptr<const Bytes> bytes;  // Catalogue::encode()
};

[[nodiscard]] CataloguePublication publish_catalogue(dataset::Catalogue catalogue, const Digest& job,
                                                     const crypto::SigningKey& key);

}  // namespace chorus::coordinator
