// What a worker process is given of the population, as text over a pipe: lines of tab-separated fields.
//   device  <index>  <device id>  <credentials folder>
//   t       <item>   <value>      <when>                  a training rating of the device above
//   h       <item>   <value>      <when>                  a held-out one
//   end                                                   the slice is complete
// Values; stateless.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"

namespace chorus::sim {

struct SliceRating {
  std::string item;
  double value = 0;
  std::int64_t when = 0;
  friend bool operator==(const SliceRating&, const SliceRating&) = default;
};

struct SliceDevice {
  std::uint32_t index = 0;  // in the population
  std::string id;
  std::filesystem::path credentials;
  std::vector<SliceRating> training;
  std::vector<SliceRating> held_out;
  friend bool operator==(const SliceDevice&, const SliceDevice&) = default;
};

void append(std::string& out, const SliceDevice& device);
void append_end(std::string& out);

// Reads a slice from a descriptor (blocking) up to its `end`; ten million lines are the most.
// Errors: malformed ("slice:17"), closed (the stream ended before the slice), io.
[[nodiscard]] Result<std::vector<SliceDevice>> read_slice(int fd);

}  // namespace chorus::sim
