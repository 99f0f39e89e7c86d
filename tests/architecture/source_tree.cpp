#include "tests/architecture/source_tree.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/base/check.hpp"

namespace chorus::architecture {
namespace {

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Folders at the top that hold no source: what .gitignore says, and git itself.
bool is_foreign(const std::string& name) {
  return name == "build" || name == "data" || name == ".git" || name == ".cache";
}

int line_at(std::string_view text, std::size_t position) {
  return 1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
}

// Where the literal or comment that begins at `start` ends (one past it); `start` itself if none begins there.
std::size_t end_of_blank(std::string_view text, std::size_t start) {
  const auto past = [&](std::string_view closing, std::size_t from) {
    const std::size_t found = text.find(closing, from);
    return found == std::string_view::npos ? text.size() : found + closing.size();
  };
  const char c = text[start];
  const char before = start == 0 ? '\n' : text[start - 1];
  if (text.substr(start, 2) == "//") return std::min(text.find('\n', start), text.size());
  if (text.substr(start, 2) == "/*") return past("*/", start + 2);
  if (c == '"' && before == 'R') {
    const std::size_t open = text.find('(', start);
    if (open == std::string_view::npos) return text.size();
    return past(")" + std::string(text.substr(start + 1, open - start - 1)) + "\"", open);
  }
  // An apostrophe after a digit or a letter separates digits.
  if (c == '"' || (c == '\'' && !is_name_character(before))) {
    std::size_t i = start + 1;
    while (i < text.size() && text[i] != c && text[i] != '\n') i += text[i] == '\\' ? 2 : 1;
    return std::min(i + 1, text.size());
  }
  return start;
}

}  // namespace

std::vector<SourceFile> read_tree(const std::string& root) {
  namespace fs = std::filesystem;
  CHORUS_ENSURE(fs::is_directory(root), "the source tree that the test was built from is still there");
  std::vector<SourceFile> files;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator(); ++it) {
    if (it.depth() == 0 && it->is_directory() && is_foreign(it->path().filename().string())) {
      it.disable_recursion_pending();
    }
    if (!it->is_regular_file()) continue;
    std::ifstream stream(it->path(), std::ios::binary);
    files.push_back({fs::relative(it->path(), root).generic_string(),
                     std::string(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>())});
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

bool is_cpp(std::string_view path) {
  return path.ends_with(".cpp") || path.ends_with(".hpp") || path.ends_with(".h");
}

bool in_folder(std::string_view path, std::string_view folder) {
  const std::string inner = "/" + std::string(folder) + "/";
  return path.starts_with(inner.substr(1)) || path.find(inner) != std::string_view::npos;
}

std::string_view folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

std::vector<Include> includes_of(std::string_view text) {
  constexpr std::string_view kDirective = "#include";
  std::vector<Include> includes;
  int line = 0;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view row = text.substr(start, end - start);
    start = end + 1;
    ++line;
    if (!row.starts_with(kDirective)) continue;
    const std::size_t open = row.find_first_of("\"<");
    if (open == std::string_view::npos) continue;
    const bool quoted = row[open] == '"';
    const std::size_t close = row.find(quoted ? '"' : '>', open + 1);
    if (close == std::string_view::npos) continue;
    includes.push_back({std::string(row.substr(open + 1, close - open - 1)), quoted, line});
  }
  return includes;
}

std::string code_of(std::string_view text) {
  std::string code(text);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = end_of_blank(text, i);
    if (end == i) {
      ++i;
      continue;
    }
    for (; i < end; ++i) {
      if (code[i] != '\n') code[i] = ' ';
    }
  }
  return code;
}

std::vector<int> lines_with(std::string_view code, std::string_view token) {
  std::vector<int> lines;
  for (std::size_t at = code.find(token); at != std::string_view::npos; at = code.find(token, at + 1)) {
    const bool continues = is_name_character(token.front()) && at > 0 && is_name_character(code[at - 1]);
    if (!continues) lines.push_back(line_at(code, at));
  }
  return lines;
}

}  // namespace chorus::architecture
