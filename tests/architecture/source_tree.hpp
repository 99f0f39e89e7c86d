// The repository's files as values, and the little of C++ that the rules must understand.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace chorus::architecture {

struct SourceFile {
  std::string path;  // relative to the repository's root, with '/'
  std::string text;
};

// Every file of the repository that is not built, fetched or git's own. Ends the test program if the root is missing.
[[nodiscard]] std::vector<SourceFile> read_tree(const std::string& root);

// .cpp, .hpp or .h
[[nodiscard]] bool is_cpp(std::string_view path);
// Whether a folder of that name lies anywhere on the path.
[[nodiscard]] bool in_folder(std::string_view path, std::string_view folder);
// "common/net/tls_channel.hpp" -> "common/net"; "dev" -> ""
[[nodiscard]] std::string_view folder_of(std::string_view path);

struct Include {
  std::string name;     // between the quotes or brackets
  bool quoted = false;  // "name" rather than <name>
  int line = 0;
};
[[nodiscard]] std::vector<Include> includes_of(std::string_view text);

// The text with comments and the contents of string and character literals blanked out; lines stay where they are.
[[nodiscard]] std::string code_of(std::string_view text);

// The lines, from 1, on which `token` stands and is not the end of a longer name.
[[nodiscard]] std::vector<int> lines_with(std::string_view code, std::string_view token);

}  // namespace chorus::architecture
