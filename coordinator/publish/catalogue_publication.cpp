#include "coordinator/publish/catalogue_publication.hpp"

#include "common/crypto/hash.hpp"

namespace chorus::coordinator {

CataloguePublication publish_catalogue(dataset::Catalogue catalogue, const Digest& job, const crypto::SigningKey& key) {
  CataloguePublication publication;
  publication.bytes = std::make_shared<const Bytes>(catalogue.encode());
  publication.header = {.job = job,
                        .version = catalogue.version(),
                        .items = static_cast<std::uint32_t>(catalogue.size()),
                        .size = publication.bytes->size(),
                        .digest = crypto::sha256(*publication.bytes)};
  publication.document = protocol::sign_document(protocol::kCatalogueLabel, publication.header.encode(), key);
  publication.catalogue = std::move(catalogue);
  return publication;
}

}  // namespace chorus::coordinator
