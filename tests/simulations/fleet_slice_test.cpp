// What a fleet's parent and its workers tell each other survives the pipe, and nothing else is taken for it.
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "simulations/fleet/process.hpp"
#include "simulations/fleet/slice.hpp"
#include "simulations/fleet/worker_event.hpp"

namespace chorus::sim {
namespace {

Result<std::vector<SliceDevice>> through_a_pipe(const std::string& text) {
  int ends[2];
  if (::pipe(ends) != 0) return fail(ErrorCode::io, "pipe");
  std::thread writer([&, fd = ends[1]] {
    std::size_t done = 0;
    while (done < text.size()) {
      const ssize_t written = ::write(fd, text.data() + done, text.size() - done);
      if (written <= 0) break;
      done += static_cast<std::size_t>(written);
    }
    ::close(fd);
  });
  auto devices = read_slice(ends[0]);
  ::close(ends[0]);
  writer.join();
  return devices;
}

TEST(Slice, DevicesAndTheirRatingsSurviveThePipe) {
  std::vector<SliceDevice> devices(2);
  devices[0] = {.index = 7, .id = "ab12", .credentials = "/some where/ab12", .training = {}, .held_out = {}};
  for (int i = 0; i < 20'000; ++i) devices[0].training.push_back({"item " + std::to_string(i), 0.1 * i, 1'000 + i});
  devices[0].held_out.push_back({"x", 4.5, -3});
  devices[1] = {.index = 8, .id = "cd", .credentials = "relative", .training = {{"t", 1, 0}}, .held_out = {}};
  std::string text;
  for (const auto& device : devices) append(text, device);
  append_end(text);
  const auto read = through_a_pipe(text);
  ASSERT_TRUE(read.has_value()) << read.error().to_string();
  EXPECT_EQ(*read, devices);
}

TEST(Slice, AStreamThatEndsTooSoonIsClosedNotAShorterSlice) {
  const auto read = through_a_pipe("device\t0\tab\t/x\nt\ta\t1\t0\n");
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code(), ErrorCode::closed);
}

TEST(Slice, ABadLineIsNamed) {
  for (const char* line : {"t\ta\t1\t0\n", "device\tx\tab\t/x\n", "device\t0\tab\t/x\nt\ta\t1\n",
                           "device\t0\tab\t/x\nt\ta\t1\t0\textra\n", "device\t0\tab\t/x\nz\ta\t1\t0\n"}) {
    const auto read = through_a_pipe(std::string(line) + "end\n");
    ASSERT_FALSE(read.has_value()) << line;
    EXPECT_EQ(read.error().code(), ErrorCode::malformed);
    EXPECT_TRUE(read.error().where().starts_with("slice:")) << read.error().where();
  }
}

TEST(WorkerEvent, EveryKindSurvivesItsLine) {
  using Kind = WorkerEvent::Kind;
  for (const Kind kind : {Kind::imported, Kind::welcomed, Kind::round, Kind::trouble, Kind::ended, Kind::step}) {
    WorkerEvent event{.kind = kind};
    if (kind == Kind::imported) event.count = 118;
    if (kind != Kind::imported) event.device = 942;
    if (kind == Kind::round || kind == Kind::step) event.round = 3;
    if (kind == Kind::step) {
      event.cohort = 2;
      event.text = "shares";
    }
    if (kind == Kind::round || kind == Kind::ended) {
      event.version = 9;
      event.bytes_up = std::uint64_t{1} << 40;
      event.bytes_down = 17;
    }
    if (kind == Kind::ended) {
      event.finished = event.explained = true;
      event.recommendations = 10;
    }
    if (kind == Kind::trouble) {
      event.text = "unreachable";
      event.sentence = "a \"quoted\"\nsentence";
    }
    const std::string line = encode(event);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const auto read = decode_worker_event(line);
    ASSERT_TRUE(read.has_value()) << read.error().to_string();
    EXPECT_EQ(*read, event);
  }
}

TEST(WorkerEvent, WhatIsNoEventIsMalformed) {
  for (const char* line : {"", "{", "[]", R"({"event":"unheard"})", R"({"event":"round","device":"x"})"}) {
    EXPECT_EQ(decode_worker_event(line).error().code(), ErrorCode::malformed) << line;
  }
}

}  // namespace
}  // namespace chorus::sim
