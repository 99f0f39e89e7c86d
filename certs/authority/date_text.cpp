#include "certs/authority/date_text.hpp"

#include <charconv>
#include <chrono>

#include <fmt/format.h>

namespace chorus::certs {

std::string date_text(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

Result<WallTime> parse_date(std::string_view text) {
  const auto number = [text](std::size_t position, std::size_t size) {
    unsigned value = 0;
    const char* const begin = text.data() + position;
    const auto [end, error] = std::from_chars(begin, begin + size, value);
    return error == std::errc{} && end == begin + size ? static_cast<int>(value) : -1;
  };
  if (text.size() == 20) {
    const std::chrono::year_month_day date{std::chrono::year(number(0, 4)),
                                           std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                           std::chrono::day(static_cast<unsigned>(number(8, 2)))};
    const int hour = number(11, 2);
    const int minute = number(14, 2);
    const int second = number(17, 2);
    const bool in_range = number(0, 4) >= 0 && date.ok() && hour >= 0 && hour < 24 && minute >= 0 && minute < 60 &&
                          second >= 0 && second < 60;
    if (in_range) {
      const WallTime time = WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
                            std::chrono::minutes(minute) + std::chrono::seconds(second);
      // The separators are whatever the one spelling has.
      if (date_text(time) == text) return time;
    }
  }
  return fail(ErrorCode::malformed, "expected a date such as 2024-01-31T12:00:00Z");
}

}  // namespace chorus::certs
