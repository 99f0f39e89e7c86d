#include "simulations/audit/side_channels.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "common/base/check.hpp"
#include "simulations/audit/statistics.hpp"

namespace chorus::sim::audit {

Finding attack_side_channels(const MaskedSession& session, std::span<const double> rated) {
  CHORUS_ENSURE(rated.size() == session.sent.size(), "one number a member");
  // Each message of its kind weighs the same, whoever sends it.
  bool same = true;
  std::uint64_t upload = 0;
  for (std::size_t kind = 0; kind < kSentKinds; ++kind) {
    std::uint64_t weight = 0;
    for (const SentBytes& sent : session.sent) {
      if (sent[kind] == 0) continue;  // not asked, once enough had answered
      if (weight == 0) weight = sent[kind];
      same = same && sent[kind] == weight;
    }
    if (kind == static_cast<std::size_t>(Sent::masked)) upload = weight;
  }
  const double after = rank_correlation(session.seconds_after_delivery, rated);
  const double solving = rank_correlation(session.seconds_solving, rated);
  const std::vector<double> sparse(session.bytes_not_zero.begin(), session.bytes_not_zero.end());
  const double sparse_size = rank_correlation(sparse, rated);
  // Four standard errors of Spearman's ρ where nothing depends on anything.
  const double bar = 4 / std::sqrt(static_cast<double>(rated.size() - 1));

  Finding finding;
  finding.id = "A6";
  finding.attack = "sizes and times: how many items a member rated";
  finding.controls = {{.what = "rank correlation of the size, if an upload left out its zeros",
                       .value = sparse_size,
                       .needs = "at least 0.9",
                       .holds = sparse_size >= 0.9},
                      {.what = "rank correlation of the time of the solve, which is not seen",
                       .value = solving,
                       .needs = fmt::format("above {:.2f}: the clock sees it", bar),
                       .holds = solving > bar}};
  finding.result =
      fmt::format("{}, the upload {} bytes; rank correlation of the time after the delivery {:+.3f}",
                  same ? "messages of a kind weigh the same" : "messages of a kind DIFFER in size", upload, after);
  finding.bar = fmt::format("the same bytes; correlation within ± {:.3f}", bar);
  finding.verdict = same && std::abs(after) <= bar ? Verdict::held : Verdict::exceeded;
  finding.figures = {{"same_bytes", same ? 1.0 : 0.0},
                     {"upload_bytes", static_cast<double>(upload)},
                     {"sparse_size_correlation", sparse_size},
                     {"time_correlation", after},
                     {"solve_time_correlation", solving}};
  return finding;
}

}  // namespace chorus::sim::audit
