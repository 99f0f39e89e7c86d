#include "simulations/fleet/demo_rounds.hpp"

#include <fmt/format.h>

namespace chorus::sim {
namespace {

// The quality of a version is summed in a round that starts from it.
std::optional<double> rmse_of(std::span<const coordinator::TraceRound> trace, ModelVersion version) {
  for (const coordinator::TraceRound& round : trace) {
    if (round.from == version && round.quality && round.quality->held_out_ratings > 0) {
      return round.quality->held_out_rmse;
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<DemoRound> demo_rounds(std::span<const coordinator::TraceRound> trace,
                                   const std::map<std::uint64_t, RoundRecord>& told) {
  std::vector<DemoRound> rows;
  double before = 0;
  for (const coordinator::TraceRound& round : trace) {
    DemoRound row;
    row.number = round.round.value();
    row.purpose = round.purpose;
    for (const coordinator::TraceCohort& cohort : round.cohorts) row.devices += cohort.survivors.size();
    // A measuring round makes no version.
    if (round.purpose != plan::Purpose::measure) row.rmse = rmse_of(trace, round.to);
    if (const auto found = told.find(row.number); found != told.end()) {
      const RoundRecord& record = found->second;
      const std::uint64_t tellers = record.devices();
      if (tellers > 0) {
        row.bytes_up = record.bytes_up / tellers;
        row.bytes_down = record.bytes_down / tellers;
      }
      row.seconds = record.last_seconds - before;
      before = record.last_seconds;
    }
    rows.push_back(row);
  }
  return rows;
}

std::string progress_text(std::span<const coordinator::TraceRound> trace, std::uint32_t rounds, double seconds) {
  const coordinator::TraceRound& last = trace.back();
  std::size_t trained = 0;
  for (const coordinator::TraceRound& round : trace) trained += round.purpose == plan::Purpose::train ? 1 : 0;
  if (last.purpose == plan::Purpose::survey) return fmt::format("survey: done, {:.1f} s", seconds);
  const bool measured = last.quality && last.quality->held_out_ratings > 0;
  const std::string rmse =
      measured ? fmt::format(", held-out RMSE {:.4f}", last.quality->held_out_rmse) : std::string();
  if (last.purpose == plan::Purpose::measure) {
    return fmt::format("measuring: done, {:.1f} s{} after round {}", seconds, rmse, trained);
  }
  const std::string of_round = measured && trained > 1 ? fmt::format(" after round {}", trained - 1) : std::string();
  return fmt::format("training: {} of {} rounds, {:.1f} s{}", trained, rounds, seconds,
                     of_round.empty() ? std::string() : rmse + of_round);
}

std::string bytes_text(std::uint64_t bytes) {
  const auto size = static_cast<double>(bytes);
  if (bytes < 1'000) return fmt::format("{} B", bytes);
  if (bytes < 1'000'000) return fmt::format("{:.1f} kB", size / 1e3);
  return fmt::format("{:.2f} MB", size / 1e6);
}

std::string round_table(std::span<const DemoRound> rounds, double baseline) {
  std::string text = fmt::format("{:>9}  {:>8}  {:>14}  {:>11}  {:>13}  {:>8}\n", "round", "devices", "held-out RMSE",
                                 "up a device", "down a device", "seconds");
  text += fmt::format("{:>9}  {:>8}  {:>14.4f}\n", "the mean", "", baseline);
  std::uint64_t training = 0;
  for (const DemoRound& round : rounds) {
    const bool trains = round.purpose == plan::Purpose::train;
    const std::string name = trains ? std::to_string(++training) : std::string(plan::to_string(round.purpose));
    const std::string rmse = round.rmse ? fmt::format("{:.4f}", *round.rmse) : std::string();
    text += fmt::format("{:>9}  {:>8}  {:>14}  {:>11}  {:>13}  {:>8.2f}\n", name, round.devices, rmse,
                        bytes_text(round.bytes_up), bytes_text(round.bytes_down), round.seconds);
  }
  text +=
      "\nHeld-out RMSE: the error on ratings that no device trained on, of the model that the round made; 'the mean'\n"
      "predicts the average rating for everything. The survey finds how high people rate on the whole, before their\n"
      "taste is trained; the measuring round changes nothing.\n";
  return text;
}

}  // namespace chorus::sim
