// A whole app in C++: imports a ratings file, takes part in one round, prints what to watch next.
//   recommend STORE CREDENTIALS COORDINATOR RATINGS
#include <cstdio>
#include <string>

#include <chorus/client.hpp>

namespace {

int complain(const chorus::ClientError& error) {
  std::fprintf(stderr, "%s %s\n", error.where.c_str(), error.sentence.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: %s STORE CREDENTIALS COORDINATOR RATINGS\n", argv[0]);
    return 2;
  }
  auto client = chorus::Client::open({.store = argv[1], .credentials = argv[2]});
  if (!client) return complain(client.error());

  const auto imported = client->import_ratings(argv[4]);
  if (!imported) return complain(imported.error());
  std::printf("%zu ratings\n", imported->ratings);

  chorus::SyncOptions options;
  options.coordinators = {argv[3]};
  options.patience = std::chrono::minutes(5);
  options.without_noise = true;  // the user was asked
  options.least_identity_age = std::chrono::seconds(0);
  const auto synced = client->sync(
      options, [](const chorus::SyncProgress& progress) { std::fprintf(stderr, "%s\n", progress.sentence.c_str()); });
  if (!synced) return complain(synced.error());

  const auto best = client->recommend(10);
  if (!best) return complain(best.error());
  for (const auto& item : best->items) {
    std::printf("%.2f  %s  %s\n", item.score, item.title.c_str(), item.why.c_str());
  }
  return 0;
}
