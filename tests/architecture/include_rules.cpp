#include "tests/architecture/include_rules.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <optional>
#include <string_view>

namespace chorus::architecture {
namespace {

// ---- the tables -------------------------------------------------------------------------------------------

// common/ from the bottom: a folder includes itself and what stands on a lower row, not its neighbours.
struct Layer {
  std::string_view folder;
  int row;
};
constexpr std::array kLayers{
    Layer{"base", 0},                                                                                             //
    Layer{"log", 1},        Layer{"crypto", 1},   Layer{"plan", 1},    Layer{"dataset", 1}, Layer{"metrics", 1},  //
    Layer{"ring", 2},       Layer{"identity", 2},                                                                 //
    Layer{"model", 3},      Layer{"secagg", 3},   Layer{"privacy", 3},                                            //
    Layer{"evaluation", 4}, Layer{"protocol", 4},                                                                 //
    Layer{"wire", 5},                                                                                             //
    Layer{"net", 6},
};

// The top folders, and which others each may include. tests/ may include everything.
struct Top {
  std::string_view folder;
  std::string_view allowed;
};
constexpr std::array kTops{
    Top{"common", "common"},
    Top{"client", "client common"},
    Top{"coordinator", "coordinator common"},
    Top{"certs", "certs common"},
    Top{"simulations", "simulations client coordinator certs common"},
    Top{"tests", "tests simulations client coordinator certs common"},
};

// Places are prefixes of a path; one that begins with '/' is a folder anywhere on it.
template <std::size_t N>
using Places = std::array<std::string_view, N>;

// Beside an io/ folder itself.
constexpr Places<8> kMayIncludeIo{"/app/",      "/io/",         "client/api/",        "simulations/fleet/",
                                  "tests/e2e/", "tests/bench/", "tests/regressions/", "tests/client/api/"};
// Tests of io that lie one folder higher than what they test.
constexpr Places<2> kTestsOfIo{"tests/certs/", "tests/simulations/"};

struct Library {
  std::string_view name;
  std::string_view include_prefix;  // of what stands between <>
  std::string_view token;           // in code, or empty
  std::string_view places;          // separated by spaces
};
constexpr std::array kLibraries{
    Library{"OpenSSL", "openssl/", "",
            "common/crypto/ common/identity/ common/net/ tests/common/crypto/ tests/common/identity/ "
            "tests/common/net/ tests/bench/"},
    Library{"Asio", "asio", "asio::",
            "/io/ common/net/ simulations/fleet/ tests/common/net/ tests/client/api/ tests/simulations/ tests/bench/ "
            "tests/regressions/ tests/e2e/"},
    Library{"Cereal", "cereal/", "cereal::", "common/wire/ tests/common/wire/"},
};

// A clock is read and randomness drawn here; tests may, since they measure and search too.
constexpr Places<6> kOutside{"/io/", "/app/", "client/api/", "certs/", "simulations/fleet/", "tests/"};
constexpr Places<9> kOutsideTokens{"::now(",        "random_device", "rand(",
                                   "srand(",        "time(nullptr)", "clock_gettime(",
                                   "gettimeofday(", "getrandom(",    "make_system_random("};
// The door itself.
constexpr Places<2> kRandomDoor{"common/crypto/random_source.hpp", "common/crypto/random_source.cpp"};

// Who may call `.expose()`, and so reads a secret's bytes. Each is a reason to look twice at a change.
constexpr Places<16> kMayExpose{
    // the primitives
    "common/crypto/aead.cpp",
    "common/crypto/hkdf.cpp",
    "common/crypto/key_exchange.cpp",
    "common/crypto/key_stream.cpp",
    "common/crypto/prg.cpp",
    "common/crypto/random_source.hpp",
    "common/crypto/signature.cpp",
    // private keys to and from their files
    "common/identity/private_key_pem.cpp",
    "common/identity/x509_values.cpp",
    // shares of seeds and keys, their commitments and the messages that carry them, sealed
    "common/secagg/commitment.cpp",
    "common/secagg/messages.cpp",
    "common/secagg/shamir.cpp",
    "common/secagg/transcript.cpp",
    // an invitation's token, in the text that a person passes on and in the request that brings it
    "common/protocol/enrolment.cpp",
    // a member opens the shares dealt to it; the coordinator holds a recovered key against its public one
    "client/round/sum_member_machine.hpp",
    "coordinator/round/sum_recovery.cpp",
};

constexpr Places<7> kDrawers{"util", "utils", "helper", "helpers", "misc", "utility", "utilities"};

// Names and sizes, in lower case, compared with the text in lower case.
constexpr Places<14> kDataSetWords{"movielens", "ml-100k", "ml_100k", "ml-1m", "ml_1m", "ml-latest", "movietweetings",
                                   "lastfm",    "last.fm", "netflix", "943",   "1682",  "1,682",     "100836"};

// ---- small questions ---------------------------------------------------------------------------------------

bool is_at(std::string_view path, std::string_view place) {
  if (place.front() == '/') return in_folder(path, place.substr(1, place.size() - 2));
  return path.starts_with(place);
}

template <typename Range>
bool is_at_any(std::string_view path, const Range& places) {
  return std::any_of(places.begin(), places.end(), [&](std::string_view place) { return is_at(path, place); });
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) found.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

std::string_view top_of(std::string_view path) {
  return path.substr(0, std::min(path.find('/'), path.size()));
}

// "common/model/mf/mf.hpp" -> "model", if it lies in a folder of common/
std::string_view layer_of(std::string_view path) {
  constexpr std::string_view kCommon = "common/";
  if (!path.starts_with(kCommon)) return {};
  path.remove_prefix(kCommon.size());
  const std::size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::optional<int> row_of(std::string_view layer) {
  for (const Layer& entry : kLayers) {
    if (entry.folder == layer) return entry.row;
  }
  return std::nullopt;
}

// The public surface is included as its users do: "chorus/client.hpp", from client/include.
std::string resolved(const std::string& include) {
  return include.starts_with("chorus/") ? "client/include/" + include : include;
}

std::string at(const SourceFile& file, int line, const std::string& sentence) {
  return file.path + ":" + std::to_string(line) + ": " + sentence;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.';
}

// A run of digits inside a longer number, or a name inside a longer word, is not the word.
bool stands_alone(std::string_view text, std::size_t position, std::size_t length) {
  const bool open_left = position == 0 || !is_word_character(text[position - 1]);
  const bool open_right = position + length >= text.size() || !is_word_character(text[position + length]);
  return open_left && open_right;
}

void append(Violations& all, Violations more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

// ---- the rules ---------------------------------------------------------------------------------------------

Violations check_includes_resolve(const SourceFile& file, const std::vector<SourceFile>& tree) {
  Violations found;
  for (const Include& include : includes_of(file.text)) {
    if (!include.quoted) continue;
    const std::string path = resolved(include.name);
    const bool exists =
        std::any_of(tree.begin(), tree.end(), [&](const SourceFile& other) { return other.path == path; });
    if (!exists) {
      found.push_back(at(file, include.line, "\"" + include.name + "\" is no file seen from the repository's root"));
    }
  }
  return found;
}

Violations check_layers(const SourceFile& file) {
  Violations found;
  const auto top =
      std::find_if(kTops.begin(), kTops.end(), [&](const Top& t) { return t.folder == top_of(file.path); });
  if (top == kTops.end()) return {file.path + ":1: C++ lies in one of the six top folders"};
  const std::vector<std::string_view> allowed = words(top->allowed);

  const std::string_view own_layer = layer_of(file.path);
  const std::optional<int> own_row = row_of(own_layer);
  if (top->folder == "common" && !own_row) return {file.path + ":1: its folder is not in the table of layers"};

  for (const Include& include : includes_of(file.text)) {
    if (!include.quoted) continue;
    const std::string path = resolved(include.name);
    if (std::find(allowed.begin(), allowed.end(), top_of(path)) == allowed.end()) {
      found.push_back(at(file, include.line, std::string(top->folder) + "/ may not include \"" + include.name + "\""));
    }
    if (!own_row || top_of(path) != "common") continue;
    const std::string_view layer = layer_of(path);
    const std::optional<int> row = row_of(layer);
    if (layer != own_layer && (!row || *row >= *own_row)) {
      found.push_back(at(file, include.line,
                         "common/" + std::string(own_layer) + " stands below or beside \"" + include.name + "\""));
    }
  }
  return found;
}

Violations check_io_is_included_by_drivers_only(const SourceFile& file) {
  Violations found;
  if (is_at_any(file.path, kMayIncludeIo) || is_at_any(file.path, kTestsOfIo)) return found;
  for (const Include& include : includes_of(file.text)) {
    if (include.quoted && in_folder(include.name, "io")) {
      found.push_back(at(file, include.line, "a pure file may not include \"" + include.name + "\""));
    }
  }
  return found;
}

Violations check_libraries(const SourceFile& file) {
  Violations found;
  const std::string code = code_of(file.text);
  for (const Library& library : kLibraries) {
    if (is_at_any(file.path, words(library.places))) continue;
    const std::string sentence = std::string(library.name) + " is not known here";
    for (const Include& include : includes_of(file.text)) {
      if (!include.quoted && include.name.starts_with(library.include_prefix)) {
        found.push_back(at(file, include.line, sentence));
      }
    }
    if (library.token.empty()) continue;
    for (const int line : lines_with(code, library.token)) found.push_back(at(file, line, sentence));
  }
  return found;
}

Violations check_clocks_and_randomness(const SourceFile& file) {
  Violations found;
  if (is_at_any(file.path, kOutside) || is_at_any(file.path, kRandomDoor)) return found;
  const std::string code = code_of(file.text);
  for (const std::string_view token : kOutsideTokens) {
    for (const int line : lines_with(code, token)) {
      found.push_back(at(file, line, "a pure file may not call " + std::string(token) + "; take it as a parameter"));
    }
  }
  return found;
}

Violations check_secrets_are_exposed_where_listed(const SourceFile& file) {
  Violations found;
  if (file.path.starts_with("tests/") || is_at_any(file.path, kMayExpose)) return found;
  const std::string code = code_of(file.text);
  for (const std::string_view call : {".expose()", "->expose()"}) {
    for (const int line : lines_with(code, call)) {
      found.push_back(at(file, line, "exposes a secret and is not on the list (tests/architecture/include_rules.cpp)"));
    }
  }
  return found;
}

Violations check_names(const SourceFile& file) {
  Violations found;
  std::string name = lower(file.path);
  std::replace_if(name.begin(), name.end(), [](char c) { return c == '/' || c == '_' || c == '-' || c == '.'; }, ' ');
  for (const std::string_view word : words(name)) {
    if (std::find(kDrawers.begin(), kDrawers.end(), word) != kDrawers.end()) {
      found.push_back(file.path + ":1: '" + std::string(word) + "' says nothing; name what is inside");
    }
  }
  if (file.path.ends_with(".hpp") && file.text.find("\n#pragma once\n") == std::string::npos) {
    found.push_back(file.path + ":1: a header says #pragma once");
  }
  return found;
}

Violations check_length(const SourceFile& file) {
  const auto lines = std::count(file.text.begin(), file.text.end(), '\n');
  const int limit = in_folder(file.path, "app") && file.path.ends_with(".cpp") ? 300 : 500;
  if (lines <= limit) return {};
  return {at(file, static_cast<int>(lines), "longer than " + std::to_string(limit) + " lines; split it")};
}

Violations check_no_data_set_in_common(const SourceFile& file) {
  Violations found;
  if (!file.path.starts_with("common/") || file.path.starts_with("common/dataset/")) return found;
  const std::string text = lower(file.text);
  for (const std::string_view word : kDataSetWords) {
    for (std::size_t i = text.find(word); i != std::string::npos; i = text.find(word, i + 1)) {
      if (!stands_alone(text, i, word.size())) continue;
      const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i), '\n');
      found.push_back(at(file, static_cast<int>(line), "names a data set: '" + std::string(word) + "'"));
    }
  }
  return found;
}

Violations check_no_machine_paths(const SourceFile& file) {
  Violations found;
  // In two pieces, or this file would break its own rule.
  for (const std::string& path :
       {std::string("/wo") + "rk/", std::string("/tmp/te") + "am", std::string("/ro") + "ot/"}) {
    for (std::size_t i = file.text.find(path); i != std::string::npos; i = file.text.find(path, i + 1)) {
      // "build/" + path is a relative path's middle.
      const char before = i == 0 ? ' ' : file.text[i - 1];
      if (is_word_character(before) || before == '_' || before == '-' || before == '}' || before == '/') continue;
      const auto line = 1 + std::count(file.text.begin(), file.text.begin() + static_cast<std::ptrdiff_t>(i), '\n');
      found.push_back(at(file, static_cast<int>(line), "names a path of one machine: '" + path + "'"));
    }
  }
  return found;
}

Violations check_everything(const std::vector<SourceFile>& tree) {
  Violations found;
  for (const SourceFile& file : tree) {
    append(found, check_no_machine_paths(file));
    if (!is_cpp(file.path)) continue;
    append(found, check_includes_resolve(file, tree));
    append(found, check_layers(file));
    append(found, check_io_is_included_by_drivers_only(file));
    append(found, check_libraries(file));
    append(found, check_clocks_and_randomness(file));
    append(found, check_secrets_are_exposed_where_listed(file));
    append(found, check_names(file));
    append(found, check_length(file));
    append(found, check_no_data_set_in_common(file));
  }
  return found;
}

}  // namespace chorus::architecture
