// The table sampler of the discrete Gaussian beside the exact reference, on one thread.
#include <algorithm>
#include <cmath>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/privacy/discrete_gaussian.hpp"
#include "common/privacy/reference_gaussian.hpp"
#include "tests/bench/bench_report.hpp"

namespace chorus::bench {
namespace {

struct Work {
  std::size_t samples = 1 << 22;  // a repeat
  int repeats = 5;
};

// The fastest of some repeats, for each candidate alike.
template <typename Function>
double fastest(int repeats, Function&& function) {
  double best = 1e300;
  for (int i = 0; i < repeats; ++i) {
    const auto start = Clock::now();
    function();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

// Samples a second, added to lanes as a device adds them to its update: key stream, tables and wiping included.
double table_rate(const privacy::DiscreteGaussian& sampler, const Work& work, crypto::RandomSource& random) {
  std::vector<std::uint32_t> lanes(work.samples);
  return static_cast<double>(work.samples) / fastest(work.repeats, [&] { sampler.add_to(lanes, random); });
}

double reference_rate(double sigma, const Work& work, crypto::RandomSource& random) {
  auto sampler = privacy::ReferenceGaussian::create(sigma, random);
  const std::size_t samples = std::max<std::size_t>(work.samples / 32, 1);
  std::int64_t sum = 0;
  const double seconds = fastest(work.repeats, [&] {
    for (std::size_t i = 0; i < samples; ++i) sum += sampler->sample();
  });
  std::fprintf(stderr, "noise: the reference's samples at sigma %g sum to %lld\n", sigma, static_cast<long long>(sum));
  return static_cast<double>(samples) / seconds;
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  using namespace chorus;
  using namespace chorus::bench;
  CLI::App app("the constant-time table sampler of the discrete Gaussian beside the exact reference");
  Work work;
  app.add_option("--samples", work.samples, "a repeat; the reference draws a thirty-second of it")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--repeats", work.repeats, "the fastest of so many runs")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::fprintf(stderr, "noise: sigma 4 and 50, %zu samples, one thread\n", work.samples);
  const auto random = crypto::make_system_random();
  const auto start = Clock::now();
  const auto narrow = privacy::DiscreteGaussian::create(4);
  const auto wide = privacy::DiscreteGaussian::create(50);
  const double seconds_to_make = seconds_since(start);
  const auto widest = privacy::DiscreteGaussian::create(1000);
  auto json = report("noise", 1);
  json["samples_per_s"] = table_rate(*narrow, work, *random);
  json["sigma50_samples_per_s"] = table_rate(*wide, work, *random);
  json["sigma1000_samples_per_s"] = table_rate(*widest, work, *random);
  json["reference_samples_per_s"] = reference_rate(4, work, *random);
  json["sigma50_reference_samples_per_s"] = reference_rate(50, work, *random);
  json["statistical_distance_log2"] = std::log2(std::max(narrow->statistical_distance(), wide->statistical_distance()));
  json["tables_s"] = seconds_to_make;
  json["avx2"] = privacy::noise_kernel() != privacy::baseline_noise_kernel();
  print(json);
  return 0;
}
