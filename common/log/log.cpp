// spdlog stops here: it has the lock, the clock and standard error.
#include "common/log/log.hpp"

#include <array>
#include <atomic>
#include <cmath>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "common/log/line.hpp"

namespace chorus::log {
namespace {

constexpr std::array<std::pair<std::string_view, Level>, 5> kLevels{{{"debug", Level::debug},
                                                                     {"info", Level::info},
                                                                     {"warning", Level::warning},
                                                                     {"error", Level::error},
                                                                     {"off", Level::off}}};

// UTC with milliseconds, as in 2025-01-31T12:00:00.123Z; %l is the level, %v the line's own part.
const char* pattern_of(Format format) {
  return format == Format::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
}

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
    case Level::off:
      break;
  }
  return spdlog::level::off;
}

std::unique_ptr<spdlog::formatter> make_formatter(Format format) {
  return std::make_unique<spdlog::pattern_formatter>(pattern_of(format), spdlog::pattern_time_type::utc);
}

struct Door {
  Door() : logger("chorus", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    logger.set_formatter(make_formatter(Format::text));
    logger.set_level(spdlog::level::info);
  }

  spdlog::logger logger;
  std::atomic<Format> format = Format::text;
};

// Never destroyed: a line written while the process ends still has its door.
Door& door() {
  static Door& instance = *new Door;
  return instance;
}

}  // namespace

Field::Field(std::string_view name, std::string_view value) : name_(name), text_(value) {}

Field::Field(std::string_view name, bool value) : name_(name), text_(value ? "true" : "false"), literal_(true) {}

// JSON has no infinities and no NaN: they are written as strings.
Field::Field(std::string_view name, double value)
    : name_(name), text_(fmt::format("{}", value)), literal_(std::isfinite(value)) {}

void configure(Level level, Format format) {
  Door& it = door();
  it.format = format;
  it.logger.set_formatter(make_formatter(format));
  set_level(level);
}

void set_level(Level level) {
  door().logger.set_level(spdlog_level(level));
}

bool parse_level(std::string_view text, Level& level) {
  for (const auto& [name, value] : kLevels) {
    if (name == text) {
      level = value;
      return true;
    }
  }
  return false;
}

void write(Level level, std::string_view event, Fields fields) {
  Door& it = door();
  const spdlog::level::level_enum severity = spdlog_level(level);
  if (level == Level::off || !it.logger.should_log(severity)) return;
  const std::string line = it.format == Format::json ? json_members(event, fields) : text_line(event, fields);
  it.logger.log(severity, spdlog::string_view_t(line));
}

}  // namespace chorus::log
