// One cohort's secure sum, the real members and the real coordinator's half in one process, beside a floor: the
// additions, key-stream bytes, agreements, signatures and verifications that the protocol cannot do without, each at
// the rate that this machine has in the same run.
#include <algorithm>
#include <cmath>
#include <ctime>
#include <numeric>

#include <CLI/CLI.hpp>
#include <sys/resource.h>

#include "common/crypto/key_exchange.hpp"
#include "common/crypto/key_stream.hpp"
#include "common/privacy/private_encoding.hpp"
#include "common/ring/packing.hpp"
#include "simulations/world/secure_cohort.hpp"
#include "tests/bench/bench_report.hpp"

namespace chorus::bench {
namespace {

constexpr WallTime kEnrolled{std::chrono::seconds{1'700'000'000}};
constexpr WallTime kToday{std::chrono::seconds{1'710'000'000}};
constexpr WallTime kExpiry{std::chrono::seconds{1'720'000'000}};

struct Options {
  std::uint32_t clients = 100;
  std::uint32_t dimension = 100'000;
  int bits = 24;
  double dropout = 0.1;
  double gamma = 0.05;
  double delta = 0.15;
  double noise = 0;  // σ of a device, in ring units; 0: none
  bool sweep = false;
};

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

plan::Ratio ratio(double share) {
  return {static_cast<std::uint32_t>(std::lround(share * 1000)), 1000};
}

// The CPU time of every member and of the coordinator: everything else waits while one of them works.
class Meter final : public sim::CohortMeter {
 public:
  explicit Meter(std::uint32_t members) : member(members, 0) {}
  void begin_member(std::uint32_t) override { start_ = cpu_seconds(); }
  void end_member(std::uint32_t m) override { member[m] += cpu_seconds() - start_; }
  void begin_coordinator(bool) override { start_ = cpu_seconds(); }
  void end_coordinator(bool recovering) override { (recovering ? recovery : coordinator) += cpu_seconds() - start_; }

  std::vector<double> member;
  double coordinator = 0;
  double recovery = 0;

 private:
  double start_ = 0;
};

// Seconds of CPU for one operation, the best of some batches.
template <typename Operation>
double cost_of(int count, Operation&& operation) {
  double best = 1e300;
  for (int batch = 0; batch < 5; ++batch) {
    const double start = cpu_seconds();
    for (int i = 0; i < count; ++i) operation();
    best = std::min(best, (cpu_seconds() - start) / count);
  }
  return best;
}

struct Rates {
  double agree = 0;  // seconds each
  double sign = 0;
  double verify = 0;
  double stream_byte = 0;  // seconds a byte
  double add_lane = 0;     // seconds a lane added to another
};

Rates measure_rates(crypto::RandomSource& random) {
  Rates rates;
  const auto key = crypto::SigningKey::generate(random);
  const Bytes message(100, 1);
  const auto signature = key.sign("CSA/1/bench", message);
  rates.sign = cost_of(200, [&] { static_cast<void>(key.sign("CSA/1/bench", message)); });
  rates.verify = cost_of(200, [&] {
    if (!crypto::verify(key.public_key(), "CSA/1/bench", message, signature)) std::abort();
  });
  const auto one = crypto::ExchangeSecret::generate(random);
  const auto other = crypto::ExchangeSecret::generate(random);
  const crypto::Exchange exchange(one.secret());
  rates.agree = cost_of(200, [&] {
    if (!exchange.agree(other.public_key())) std::abort();
  });
  std::vector<std::uint8_t> block(std::size_t{16} * 1024);
  const auto seed = random.secret<32>();
  crypto::KeyStream stream(seed, 0, 0);
  rates.stream_byte = cost_of(2000, [&] { stream.next(block); }) / static_cast<double>(block.size());
  // As wide as the compiler's vectors are without flags for a newer processor.
  using Vector = std::uint32_t __attribute__((vector_size(16)));
  std::vector<Vector> from(1024, Vector{1, 2, 3, 4});
  std::vector<Vector> to(1024, Vector{2, 3, 4, 5});
  rates.add_lane = cost_of(20'000,
                           [&] {
                             for (std::size_t i = 0; i < to.size(); i += 4) {
                               to[i] += from[i];
                               to[i + 1] += from[i + 1];
                               to[i + 2] += from[i + 2];
                               to[i + 3] += from[i + 3];
                             }
                             asm volatile("" : : "r"(to.data()) : "memory");
                           }) /
                   (4.0 * static_cast<double>(to.size()));
  return rates;
}

struct Operations {
  double streams = 0;  // whole masks
  double adds = 0;     // whole vectors
  double agreements = 0;
  double signatures = 0;
  double verifications = 0;
};

double floor_of(const Operations& operations, const Rates& rates, const Options& options) {
  const double lane_bytes = options.bits == 16 ? 2 : 4;
  const double d = options.dimension;
  return operations.streams * d * lane_bytes * rates.stream_byte + operations.adds * d * rates.add_lane +
         operations.agreements * rates.agree + operations.signatures * rates.sign +
         operations.verifications * rates.verify;
}

nlohmann::ordered_json to_json(const Operations& operations) {
  return {{"mask_streams", operations.streams},
          {"vector_adds", operations.adds},
          {"agreements", operations.agreements},
          {"signatures", operations.signatures},
          {"verifications", operations.verifications}};
}

// What a device pays to hide an update with noise, over what the same encoding costs it without: clipped and rounded at
// random, a sample for every coordinate, packed again.
double noise_seconds(const Options& options, crypto::RandomSource& random) {
  plan::TensorLayout rows{.name = "rows",
                          .rows = options.dimension,
                          .columns = 1,
                          .per_item = true,
                          .limbs = 1,
                          .scale_log2 = 8,
                          .clip = 1};
  const auto layout = plan::UpdateLayout::create({rows}, options.bits, options.clients);
  if (!layout) throw std::runtime_error(layout.error().to_string());
  // A user who rated 165 items, as the mean of the larger film ratings.
  ring::Contribution update;
  const std::uint32_t touched = std::min(165U, options.dimension);
  update.reset(*layout, touched);
  for (std::uint32_t i = 0; i < touched; ++i) {
    update.items[i] = i * (options.dimension / touched);
    update.rows[i] = 0.05 * std::cos(i);
  }
  const plan::ClipGroup whole{.tensors = 1, .norm = 256};
  const auto encoding = privacy::PrivateEncoding::create(*layout, std::span(&whole, 1), touched, options.noise);
  if (!encoding) throw std::runtime_error(encoding.error().to_string());
  privacy::PrivateCounts counts;
  const double noisy = cost_of(5, [&] {
    if (!encoding->encode(update, random, counts)) std::abort();
  });
  ring::EncodeCounts plain;
  const double without = cost_of(5, [&] {
    if (!ring::encode(*layout, update, plain)) std::abort();
  });
  return noisy - without;
}

plan::UpdateLayout layout_of(const Options& options) {
  plan::TensorLayout rows{.name = "rows",
                          .rows = 1,
                          .columns = options.dimension,
                          .per_item = false,
                          .limbs = 1,
                          .scale_log2 = 2,
                          .clip = 8};
  auto layout = plan::UpdateLayout::create({rows}, options.bits, options.clients);
  if (!layout) throw std::runtime_error(layout.error().to_string());
  return std::move(*layout);
}

struct Session {
  sim::CohortOutcome outcome;
  Meter meter;
  bool exact = false;
};

Session run(const Options& options, const sim::EnrolledDevices& devices, crypto::RandomSource& random,
            secagg::VerifiedStatements& members_know, secagg::VerifiedStatements& coordinator_knows) {
  const plan::UpdateLayout layout = layout_of(options);
  const auto lost = static_cast<std::uint32_t>(options.dropout * options.clients);
  std::vector<Bytes> plain;
  sim::CohortRun run{.terms = {.h0 = random.array<32>(),
                               .layout = layout,
                               .bounds = {.least_members = options.clients,
                                          .most_members = options.clients,
                                          .corrupt = ratio(options.gamma),
                                          .dropout = ratio(options.delta)}},
                     .devices = std::vector<std::uint32_t>(options.clients),
                     .updates = {},
                     .silence = std::vector<sim::Silence>(options.clients, sim::Silence::never),
                     .today = kToday};
  std::iota(run.devices.begin(), run.devices.end(), 0U);
  for (std::uint32_t m = 0; m < options.clients; ++m) {
    crypto::ZeroizingBytes update(layout.packed_size());
    random.fill(update);
    plain.emplace_back(update.begin(), update.end());
    run.updates.push_back(std::move(update));
  }
  // Dropouts after Shares and before the masked update, spread over the roster.
  for (std::uint32_t k = 0; k < lost; ++k) run.silence[k * options.clients / lost] = sim::Silence::before_masked;
  Session session{.outcome = {.sum = ring::CohortSum(layout)}, .meter = Meter(options.clients)};
  run.meter = &session.meter;
  run.threads = std::thread::hardware_concurrency();
  run.members_know = &members_know;
  run.coordinator_knows = &coordinator_knows;
  auto outcome = sim::run_cohort(devices, std::move(run), random);
  if (!outcome) throw std::runtime_error(outcome.error().to_string());
  session.outcome = std::move(*outcome);
  ring::CohortSum expected(layout);
  for (const std::uint32_t survivor : session.outcome.survivors) {
    if (!expected.add(plain[survivor])) throw std::runtime_error("an update cannot be added");
  }
  session.exact = std::ranges::equal(expected.coordinates(), session.outcome.sum.coordinates());
  return session;
}

nlohmann::ordered_json measure(const Options& options, const Rates& rates, crypto::RandomSource& random) {
  const sim::EnrolledDevices devices(options.clients, kEnrolled, kExpiry, random);
  const double n = options.clients;
  const double lost = std::floor(options.dropout * n);
  const double survivors = n - lost;
  secagg::VerifiedStatements members_know;
  secagg::VerifiedStatements coordinator_knows;
  // The first session is cold: the first member to see the roster verifies every statement.
  const Session cold = run(options, devices, random, members_know, coordinator_knows);
  const Session warm = run(options, devices, random, members_know, coordinator_knows);

  double client = 0;
  double up = 0;
  for (const std::uint32_t m : warm.outcome.survivors) {
    client += warm.meter.member[m] / survivors;
    up += static_cast<double>(warm.outcome.bytes_up[m]) / survivors;
  }
  const double client_cold = *std::ranges::max_element(cold.meter.member);
  const auto parameters =
      secagg::derive_parameters(options.clients, ratio(options.gamma), ratio(options.delta)).value();
  const Operations client_work{.streams = n,  // all members dealt
                               .adds = n,
                               .agreements = 2 * (n - 1) + 2,
                               .signatures = 5,
                               .verifications = n - 1 + parameters.quorum};
  const Operations coordinator_work{.streams = survivors + lost * survivors,
                                    .adds = survivors + survivors + lost * survivors,
                                    .agreements = lost * survivors,
                                    .signatures = 0,
                                    .verifications = 2 * n + survivors + parameters.quorum + parameters.threshold};
  const double client_floor = floor_of(client_work, rates, options);
  const double coordinator_floor = floor_of(coordinator_work, rates, options);
  const double coordinator = warm.meter.coordinator + warm.meter.recovery;
  const double noise = options.noise > 0 ? noise_seconds(options, random) : 0;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const double dense = static_cast<double>(options.dimension) * options.bits / 8;
  return {{"clients", options.clients},
          {"dimension", options.dimension},
          {"bits", options.bits},
          {"dropped", lost},
          {"client_cpu_s", client},
          {"client_cold_cpu_s", client_cold},
          {"noise_sigma", options.noise},
          {"noise_cpu_s", noise},
          {"noise_overhead", noise / client},
          {"client_bytes_up", up},
          {"upload_ratio", up / dense},
          {"coordinator_cpu_s", coordinator},
          {"recovery_cpu_s", warm.meter.recovery},
          {"client_floor_s", client_floor},
          {"coordinator_floor_s", coordinator_floor},
          {"client_ratio_to_floor", client / client_floor},
          {"coordinator_ratio_to_floor", coordinator / coordinator_floor},
          {"client_floor", to_json(client_work)},
          {"coordinator_floor", to_json(coordinator_work)},
          {"peak_rss_bytes", static_cast<std::uint64_t>(usage.ru_maxrss) * 1024},
          {"sum_exact", cold.exact && warm.exact}};
}

void print_row(const nlohmann::ordered_json& row) {
  fmt::print(stderr, "{:>7} {:>10} {:>12.4f} {:>10.4f} {:>8.2f} {:>14.4f} {:>10.4f} {:>8.2f} {:>8.3f}\n",
             row["clients"].get<int>(), row["dimension"].get<int>(), row["client_cpu_s"].get<double>(),
             row["client_floor_s"].get<double>(), row["client_ratio_to_floor"].get<double>(),
             row["coordinator_cpu_s"].get<double>(), row["coordinator_floor_s"].get<double>(),
             row["coordinator_ratio_to_floor"].get<double>(), row["upload_ratio"].get<double>());
}

int main_of(int argc, char** argv) {
  Options options;
  CLI::App app{"A cohort's secure sum, its cost beside what the protocol cannot avoid."};
  app.add_option("--clients", options.clients, "Members of the cohort")->check(CLI::Range(8, 512));
  app.add_option("--dimension", options.dimension, "Coordinates of an update")->check(CLI::Range(1, 20'000'000));
  app.add_option("--bits", options.bits, "Bits a coordinate")->check(CLI::IsMember({16, 24, 32}));
  app.add_option("--dropout", options.dropout, "Share lost between shares and upload")->check(CLI::Range(0.0, 0.33));
  app.add_option("--gamma", options.gamma, "Corrupt share that the sum withstands")->check(CLI::Range(0.0, 0.33));
  app.add_option("--delta", options.delta, "Dropout share that the sum survives")->check(CLI::Range(0.0, 0.33));
  app.add_option("--noise", options.noise, "Standard deviation of a device's noise, in ring units; 0: none")
      ->check(CLI::Range(0.0, 1048576.0));
  app.add_flag("--sweep", options.sweep, "76, 128, 256 and 512 members, as a table");
  CLI11_PARSE(app, argc, argv);
  const auto random = crypto::make_system_random();
  const Rates rates = measure_rates(*random);
  const auto header = [] {
    fmt::print(stderr, "{:>7} {:>10} {:>12} {:>10} {:>8} {:>14} {:>10} {:>8} {:>8}\n", "members", "dimension",
               "client CPU s", "floor s", "ratio", "coord. CPU s", "floor s", "ratio", "upload");
  };
  auto json = report("secagg-session", std::thread::hardware_concurrency());
  json["rates"] = {{"agree_s", rates.agree},
                   {"sign_s", rates.sign},
                   {"verify_s", rates.verify},
                   {"stream_bytes_per_s", 1 / rates.stream_byte},
                   {"lane_adds_per_s", 1 / rates.add_lane}};
  header();
  if (!options.sweep) {
    json.update(measure(options, rates, *random));
    print_row(json);
  } else {
    // Cost in n (design: secure aggregation, section 5): a client's is linear, the coordinator's quadratic through the
    // dropouts.
    json["sweep"] = nlohmann::json::array();
    for (const std::uint32_t members : {76U, 128U, 256U, 512U}) {
      Options one = options;
      one.clients = members;
      json["sweep"].push_back(measure(one, rates, *random));
      print_row(json["sweep"].back());
    }
  }
  print(json);
  return 0;
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  try {
    return chorus::bench::main_of(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bench: {}\n", error.what());
    return 1;
  }
}
