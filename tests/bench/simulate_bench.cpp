// A round of a whole population in one process, beside the linear algebra that no exact local solve can do without, as
// Eigen does it: every user's normal equations and their Cholesky factorisation.
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <Eigen/Dense>
#include <fmt/format.h>

#include "common/dataset/planted.hpp"
#include "common/dataset/reader.hpp"
#include "simulations/world/parallel.hpp"
#include "simulations/world/population.hpp"
#include "simulations/world/train_settings.hpp"
#include "simulations/world/training.hpp"
#include "tests/bench/bench_report.hpp"

namespace chorus::bench {
namespace {

struct Work {
  std::filesystem::path ratings;
  int repeats = 15;
};

// Everything here runs in one thread and is timed by the processor time of that thread, which what else the machine
// does lengthens least.
double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}
constexpr unsigned kThreads = 1;

struct Data {
  std::string name;
  dataset::RatingTable ratings;
  dataset::DataContract contract;
};

// MovieLens-1M where there is a copy; else generated ratings of its size.
Result<Data> find_data(const Work& work) {
  std::filesystem::path path = work.ratings;
  const char* const sets = std::getenv("CHORUS_DATA");
  if (path.empty() && sets != nullptr && std::filesystem::exists(std::filesystem::path(sets) / "ml-1m")) {
    path = std::filesystem::path(sets) / "ml-1m";
  }
  if (path.empty()) {
    dataset::PlantedOptions options;
    options.users = 6'040;
    options.items = 3'706;
    options.ratings_per_user = 166;
    options.step = 1;
    CHORUS_TRY(const auto planted, dataset::PlantedPopulation::create(options));
    return Data{.name = "generated", .ratings = planted.table(), .contract = planted.contract()};
  }
  dataset::ReadOptions options;
  options.descriptions = false;
  CHORUS_TRY(auto set, dataset::read_ratings(path, options));
  const dataset::DataContract contract = set.contract();
  return Data{.name = path.filename().string(), .ratings = std::move(set.ratings), .contract = contract};
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Seconds of the work alone on every user of a round.
struct Floor {
  double normal_equations = 0;
  double factorisations = 0;
  [[nodiscard]] double total() const { return normal_equations + factorisations; }
};

class EigenSolves {
 public:
  EigenSolves(const evaluation::UserData& users) : users_(users) {}

  Floor measure(const model::Tensor& factors) {
    const auto d = static_cast<Eigen::Index>(factors.columns);
    normals_.resize(users_.size() * factors.columns * factors.columns);
    Floor floor;
    double start = thread_seconds();
    sim::for_each_chunk(users_.size(), kThreads, [&](const sim::Chunk& chunk) {
      // Column r: [1; q_i] of rating r.
      Eigen::MatrixXd y;
      for (std::size_t user = chunk.first; user < chunk.last; ++user) {
        const auto ratings = users_[static_cast<std::uint32_t>(user)].training;
        const auto n = static_cast<Eigen::Index>(ratings.size());
        y.resize(d, n);
        for (Eigen::Index r = 0; r < n; ++r) {
          const std::size_t item = ratings[static_cast<std::size_t>(r)].item;
          y.col(r) =
              Eigen::Map<const Eigen::VectorXf>(factors.values.data() + item * factors.columns, d).cast<double>();
          y(0, r) = 1;
        }
        auto normal = normal_of(user, d);
        normal.setIdentity();
        normal.selfadjointView<Eigen::Lower>().rankUpdate(y);
      }
    });
    floor.normal_equations = thread_seconds() - start;
    start = thread_seconds();
    sim::for_each_chunk(users_.size(), kThreads, [&](const sim::Chunk& chunk) {
      Eigen::VectorXd x(d);
      for (std::size_t user = chunk.first; user < chunk.last; ++user) {
        auto normal = normal_of(user, d);
        Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> factorised(normal);
        x.setOnes();
        factorised.solveInPlace(x);
        normal(0, 0) = x[0];  // so that the compiler keeps it
      }
    });
    floor.factorisations = thread_seconds() - start;
    return floor;
  }

 private:
  Eigen::Map<Eigen::MatrixXd> normal_of(std::size_t user, Eigen::Index d) {
    return {normals_.data() + user * static_cast<std::size_t>(d * d), d, d};
  }

  const evaluation::UserData& users_;
  std::vector<double> normals_;
};

// One training, a round at a time.
class Rounds {
 public:
  static Result<Rounds> create(const model::Model& model, const sim::Population& population, sim::Aggregation how) {
    Rounds rounds(model, population, how);
    CHORUS_TRY_DO(rounds.training_.round(plan::Purpose::survey, rounds.everybody_));
    return rounds;
  }

  Result<double> seconds_of_next() {
    const double start = thread_seconds();
    CHORUS_TRY_DO(training_.round(plan::Purpose::train, everybody_));
    return thread_seconds() - start;
  }
  [[nodiscard]] const model::Tensor& factors() const { return training_.state().shared.tensors.front(); }

 private:
  Rounds(const model::Model& model, const sim::Population& population, sim::Aggregation how)
      : training_(model, population.data(), how, kThreads), everybody_(population.size()) {
    std::iota(everybody_.begin(), everybody_.end(), 0U);
  }

  sim::Training training_;
  std::vector<std::uint32_t> everybody_;
};

Status measure(const Work& work) {
  CHORUS_TRY(const Data data, find_data(work));
  CHORUS_TRY(const auto settings, sim::TrainSettings::create("mf", {}, "plain", 1));
  CHORUS_TRY(const auto model,
             settings.make_model(static_cast<std::uint32_t>(data.ratings.item_count()), data.contract, 1));
  const sim::Population population(data.ratings);
  std::fprintf(stderr, "simulate: %s, %u users, %zu ratings, one thread\n", data.name.c_str(), population.size(),
               data.ratings.size());
  CHORUS_TRY(Rounds floating, Rounds::create(*model, population, sim::Aggregation::floating));
  CHORUS_TRY(Rounds plain, Rounds::create(*model, population, sim::Aggregation::plain));
  EigenSolves solves(population.data());

  // In turns, and ratios of neighbours: a machine's speed changes from one second to the next.
  std::vector<double> round_s;
  std::vector<double> plain_s;
  std::vector<double> normal_s;
  std::vector<double> factorise_s;
  std::vector<double> to_floor;
  std::vector<double> overhead;
  for (int i = 0; i < work.repeats; ++i) {
    const Floor floor = solves.measure(floating.factors());
    CHORUS_TRY(const double float_here, floating.seconds_of_next());
    CHORUS_TRY(const double plain_here, plain.seconds_of_next());
    round_s.push_back(float_here);
    plain_s.push_back(plain_here);
    normal_s.push_back(floor.normal_equations);
    factorise_s.push_back(floor.factorisations);
    to_floor.push_back(float_here / floor.total());
    overhead.push_back(plain_here / float_here);
    std::fprintf(stderr, "simulate: float %.4f s, plain %.4f s, solves alone %.4f s\n", float_here, plain_here,
                 floor.total());
  }

  const auto users = static_cast<double>(population.size());
  const auto ratings = static_cast<double>(data.ratings.size());
  auto json = report("simulate", kThreads);
  json["data"] = data.name;
  json["users"] = population.size();
  json["ratings"] = data.ratings.size();
  json["round_s"] = median(round_s);
  json["plain_round_s"] = median(plain_s);
  json["ratings_per_s"] = ratings / median(round_s);
  json["solve_floor_s"] = median(normal_s) + median(factorise_s);
  json["floor_normal_equation_rows_per_s"] = ratings / median(normal_s);
  json["floor_factorisations_per_s"] = users / median(factorise_s);
  json["ratio_to_floor"] = median(to_floor);
  json["fixed_point_overhead"] = median(overhead);
  print(json);
  return {};
}

}  // namespace
}  // namespace chorus::bench

int main(int argc, char** argv) {
  using namespace chorus::bench;
  CLI::App app("a round of a whole population, beside its linear algebra alone");
  Work work;
  app.add_option("--ratings", work.ratings, "a ratings file or a data set's folder; default: CHORUS_DATA/ml-1m");
  app.add_option("--repeats", work.repeats, "the median of so many rounds")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const chorus::Status status = measure(work);
  if (status) return 0;
  std::fprintf(stderr, "bench_simulate: %s\n", status.error().to_string().c_str());
  return 1;
}
