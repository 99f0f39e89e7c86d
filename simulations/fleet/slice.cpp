#include "simulations/fleet/slice.hpp"

#include <array>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>
#include <unistd.h>

namespace chorus::sim {
namespace {

constexpr std::size_t kMaxSliceBytes = std::size_t{1} << 30;

void append_ratings(std::string& out, char kind, const std::vector<SliceRating>& ratings) {
  for (const SliceRating& rating : ratings) {
    fmt::format_to(std::back_inserter(out), "{}\t{}\t{}\t{}\n", kind, rating.item, rating.value, rating.when);
  }
}

// The next field of a line, which loses it.
std::string_view take_field(std::string_view& line) {
  const std::size_t tab = line.find('\t');
  const std::string_view field = line.substr(0, tab);
  line.remove_prefix(tab == std::string_view::npos ? line.size() : tab + 1);
  return field;
}

template <typename T>
bool read_number(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

Result<std::string> read_until_end(int fd) {
  std::string text;
  std::array<char, 64 * 1024> chunk;
  while (!text.ends_with("\nend\n") && text != "end\n") {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorCode::io, "the slice cannot be read", "slice");
    if (got == 0) return fail(ErrorCode::closed, "the stream ended before the slice did", "slice");
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > kMaxSliceBytes) return fail(ErrorCode::too_large, "the slice has more than 1 GiB", "slice");
  }
  return text;
}

// One line into `devices`; false: it is none of the forms above.
bool take_line(std::string_view line, std::vector<SliceDevice>& devices) {
  const std::string_view kind = take_field(line);
  if (kind == "device") {
    SliceDevice device;
    if (!read_number(take_field(line), device.index)) return false;
    device.id = take_field(line);
    device.credentials = std::filesystem::path(take_field(line));
    devices.push_back(std::move(device));
    return line.empty();
  }
  if ((kind != "t" && kind != "h") || devices.empty()) return false;
  SliceRating rating;
  rating.item = take_field(line);
  if (!read_number(take_field(line), rating.value) || !read_number(take_field(line), rating.when)) return false;
  SliceDevice& device = devices.back();
  (kind == "t" ? device.training : device.held_out).push_back(std::move(rating));
  return line.empty();
}

}  // namespace

void append(std::string& out, const SliceDevice& device) {
  fmt::format_to(std::back_inserter(out), "device\t{}\t{}\t{}\n", device.index, device.id, device.credentials.string());
  append_ratings(out, 't', device.training);
  append_ratings(out, 'h', device.held_out);
}

void append_end(std::string& out) {
  out += "end\n";
}

Result<std::vector<SliceDevice>> read_slice(int fd) {
  CHORUS_TRY(const std::string text, read_until_end(fd));
  std::vector<SliceDevice> devices;
  std::string_view rest = text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (line == "end") break;
    if (!take_line(line, devices)) {
      return fail(ErrorCode::malformed, "expected a device or one of its ratings", fmt::format("slice:{}", number));
    }
  }
  return devices;
}

}  // namespace chorus::sim
