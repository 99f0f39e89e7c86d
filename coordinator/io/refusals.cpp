#include "coordinator/io/refusals.hpp"

#include "common/log/log.hpp"

namespace chorus::coordinator {

void Refusals::add(const Error& reason, std::string_view address, Moment now) {
  ++total_;
  ++by_reason_[reason.code()];
  if (now >= window_ + 1s) {
    window_ = now;
    lines_ = 0;
  }
  if (lines_ >= kLinesPerSecond) {
    ++left_out_;
    return;
  }
  ++lines_;
  // Fields: the peer's network address and what was wrong with its connection or message; no device is named.
  log::warning("peer refused", {{"address", address},
                                {"reason", to_string(reason.code())},
                                {"sentence", reason.sentence()},
                                {"not_logged_before", left_out_}});
  left_out_ = 0;
}

}  // namespace chorus::coordinator
