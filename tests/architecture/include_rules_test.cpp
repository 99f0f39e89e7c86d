// The repository keeps its own rules, and each rule can fail.
#include "tests/architecture/include_rules.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace chorus::architecture {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

SourceFile including(const std::string& path, const std::string& name) {
  return {path, "#pragma once\n#include \"" + name + "\"\n"};
}

TEST(Repository, KeepsEveryRuleOfTheHouse) {
  const std::vector<SourceFile> tree = read_tree(CHORUS_SOURCE_DIR);
  ASSERT_GT(tree.size(), 50U) << "the source tree was not read";
  const Violations found = check_everything(tree);
  std::string text;
  for (const std::string& violation : found) text += violation + "\n";
  EXPECT_THAT(found, IsEmpty()) << text;
}

TEST(IncludeRule, AnIncludeIsWrittenFromTheRoot) {
  const std::vector<SourceFile> tree{{"common/base/id.hpp", ""}, {"client/include/chorus/client.hpp", ""}};
  EXPECT_THAT(check_includes_resolve(including("common/base/a.cpp", "common/base/id.hpp"), tree), IsEmpty());
  EXPECT_THAT(check_includes_resolve(including("client/api/a.cpp", "chorus/client.hpp"), tree), IsEmpty());
  EXPECT_THAT(check_includes_resolve(including("common/base/a.cpp", "id.hpp"), tree),
              ElementsAre(HasSubstr("common/base/a.cpp:2:")));
  EXPECT_THAT(check_includes_resolve(including("common/base/a.cpp", "../base/id.hpp"), tree), SizeIs(1));
}

TEST(LayerRule, ALowerLayerIsAllowedAndANeighbourOrAHigherOneIsNot) {
  EXPECT_THAT(check_layers(including("common/wire/a.cpp", "common/base/id.hpp")), IsEmpty());
  EXPECT_THAT(check_layers(including("common/model/mf/a.cpp", "common/model/model.hpp")), IsEmpty());
  EXPECT_THAT(check_layers(including("common/base/a.cpp", "common/crypto/hash.hpp")), SizeIs(1));
  EXPECT_THAT(check_layers(including("common/model/a.cpp", "common/privacy/clip.hpp")), SizeIs(1));
  EXPECT_THAT(check_layers(including("common/protocol/a.cpp", "common/evaluation/user_data.hpp")), SizeIs(1));
  EXPECT_THAT(check_layers(including("common/plan/a.cpp", "common/net/tls_channel.hpp")), SizeIs(1));
  EXPECT_THAT(check_layers(including("common/drawer/a.cpp", "common/base/id.hpp")), SizeIs(1));
}

TEST(LayerRule, ClientAndCoordinatorNeverIncludeEachOther) {
  EXPECT_THAT(check_layers(including("client/round/a.cpp", "common/base/id.hpp")), IsEmpty());
  EXPECT_THAT(check_layers(including("client/round/a.cpp", "coordinator/round/round.hpp")), SizeIs(1));
  EXPECT_THAT(check_layers(including("coordinator/round/a.cpp", "client/round/participant.hpp")), SizeIs(1));
  EXPECT_THAT(check_layers(including("coordinator/round/a.cpp", "chorus/client.hpp")), SizeIs(1));
}

TEST(LayerRule, OnlyTestsIncludeTestsAndNoDaemonIncludesTheSimulation) {
  EXPECT_THAT(check_layers(including("tests/client/a.cpp", "simulations/support/seeded_random.hpp")), IsEmpty());
  EXPECT_THAT(check_layers(including("simulations/world/a.cpp", "coordinator/round/round.hpp")), IsEmpty());
  EXPECT_THAT(check_layers(including("simulations/world/a.cpp", "tests/common/a.hpp")), SizeIs(1));
  EXPECT_THAT(check_layers(including("client/app/a.cpp", "simulations/support/seeded_random.hpp")), SizeIs(1));
  EXPECT_THAT(check_layers(including("common/base/a.cpp", "certs/authority/issue.hpp")), SizeIs(1));
  EXPECT_THAT(check_layers(including("elsewhere/a.cpp", "common/base/id.hpp")), SizeIs(1));
}

TEST(IoRule, OnlyDriversIncludeIo) {
  for (const std::string path : {"client/app/main.cpp", "client/api/client.cpp", "client/io/b.cpp", "tests/e2e/a.cpp",
                                 "simulations/fleet/a.cpp", "tests/client/io/a_test.cpp"}) {
    EXPECT_THAT(check_io_is_included_by_drivers_only(including(path, "client/io/agent.hpp")), IsEmpty()) << path;
  }
  for (const std::string path : {"client/round/a.cpp", "simulations/world/a.cpp", "tests/client/round_test.cpp"}) {
    EXPECT_THAT(check_io_is_included_by_drivers_only(including(path, "client/io/agent.hpp")), SizeIs(1)) << path;
  }
}

TEST(LibraryRule, OpenSslAsioAndCerealAreKnownWhereTheTableSays) {
  const auto check = [](const std::string& path, const std::string& text) { return check_libraries({path, text}); };
  EXPECT_THAT(check("common/crypto/a.cpp", "#include <openssl/evp.h>\n"), IsEmpty());
  EXPECT_THAT(check("client/round/a.cpp", "#include <openssl/evp.h>\n"), SizeIs(1));
  EXPECT_THAT(check("common/net/a.cpp", "#include <asio/awaitable.hpp>\nasio::awaitable<void> f();\n"), IsEmpty());
  EXPECT_THAT(check("coordinator/io/a.cpp", "#include <asio.hpp>\n"), IsEmpty());
  EXPECT_THAT(check("coordinator/round/a.cpp", "#include <asio.hpp>\nasio::io_context io;\n"),
              ElementsAre(HasSubstr(":1: Asio"), HasSubstr(":2: Asio")));
  EXPECT_THAT(check("common/wire/a.cpp", "#include <cereal/cereal.hpp>\n"), IsEmpty());
  EXPECT_THAT(check("common/protocol/a.cpp", "#include <cereal/cereal.hpp>\n"), SizeIs(1));
}

TEST(ClockRule, PureFilesReadNoClockAndDrawNoRandomness) {
  const auto check = [](const std::string& path, const std::string& text) {
    return check_clocks_and_randomness({path, text});
  };
  EXPECT_THAT(check("client/round/a.cpp", "auto t = std::chrono::steady_clock::now();\n"), SizeIs(1));
  EXPECT_THAT(check("common/model/a.cpp", "std::random_device device;\n"), SizeIs(1));
  EXPECT_THAT(check("common/model/a.cpp", "int x = rand();\n"), SizeIs(1));
  EXPECT_THAT(check("coordinator/round/a.cpp", "auto r = crypto::make_system_random();\n"), SizeIs(1));
  EXPECT_THAT(check("common/model/a.cpp", "int x = operand(3); // unlike rand()\n"), IsEmpty());
  EXPECT_THAT(check("client/io/a.cpp", "auto t = std::chrono::steady_clock::now();\n"), IsEmpty());
  EXPECT_THAT(check("client/api/a.cpp", "auto r = crypto::make_system_random();\n"), IsEmpty());
}

TEST(SecretRule, OnlyListedFilesExposeASecret) {
  const auto check = [](const std::string& path, const std::string& text) {
    return check_secrets_are_exposed_where_listed({path, text});
  };
  EXPECT_THAT(check("coordinator/round/a.cpp", "f(seed.expose());\n"), ElementsAre(HasSubstr("a.cpp:1:")));
  EXPECT_THAT(check("coordinator/round/a.cpp", "f(seed->expose());\n"), SizeIs(1));
  EXPECT_THAT(check("common/crypto/hkdf.cpp", "f(seed.expose());\n"), IsEmpty());
  EXPECT_THAT(check("coordinator/round/a.cpp", "// never calls seed.expose()\n"), IsEmpty());
}

TEST(NameRule, DrawersAreRefusedAndHeadersGuarded) {
  EXPECT_THAT(check_names({"common/base/string_util.cpp", ""}), SizeIs(1));
  EXPECT_THAT(check_names({"common/helpers/a.cpp", ""}), SizeIs(1));
  EXPECT_THAT(check_names({"common/base/misc.cpp", ""}), SizeIs(1));
  EXPECT_THAT(check_names({"common/base/utilisation.cpp", ""}), IsEmpty());
  EXPECT_THAT(check_names({"common/base/a.hpp", "// what it is\n#pragma once\n"}), IsEmpty());
  EXPECT_THAT(check_names({"common/base/a.hpp", "// what it is\n"}), SizeIs(1));
}

TEST(LengthRule, AnAppHasThreeHundredLinesAndAnyFileFiveHundred) {
  EXPECT_THAT(check_length({"client/app/main.cpp", std::string(300, '\n')}), IsEmpty());
  EXPECT_THAT(check_length({"client/app/main.cpp", std::string(301, '\n')}), SizeIs(1));
  EXPECT_THAT(check_length({"client/round/a.cpp", std::string(500, '\n')}), IsEmpty());
  EXPECT_THAT(check_length({"client/round/a.cpp", std::string(501, '\n')}), SizeIs(1));
}

TEST(DataSetRule, CommonKnowsNoDataSetOutsideItsReaders) {
  const std::string text = "// as measured on MovieLens\nconstexpr int kUsers = 943;\n";
  EXPECT_THAT(check_no_data_set_in_common({"common/model/a.cpp", text}), SizeIs(2));
  EXPECT_THAT(check_no_data_set_in_common({"common/dataset/a.cpp", text}), IsEmpty());
  EXPECT_THAT(check_no_data_set_in_common({"simulations/world/a.cpp", text}), IsEmpty());
  EXPECT_THAT(check_no_data_set_in_common({"common/model/a.cpp", "double x = 0.943; int y = 19431;\n"}), IsEmpty());
}

TEST(MachinePathRule, NoFileNamesThePlaceItWasWrittenIn) {
  const std::string folder = std::string("/wo") + "rk/main";
  EXPECT_THAT(check_no_machine_paths({"README.md", "see\ncd " + folder + "\n"}),
              ElementsAre(HasSubstr("README.md:2:")));
  EXPECT_THAT(check_no_machine_paths({"README.md", "build" + folder}), IsEmpty());
}

TEST(CodeOf, CommentsAndLiteralsAreBlankedAndLinesStay) {
  EXPECT_EQ(code_of("a(\"b()\"); // c()\nd"), "a(     );       \nd");
  EXPECT_EQ(code_of("/* x\ny */z"), "    \n    z");
  EXPECT_EQ(code_of("R\"(q\")\" + 1'000'000"), "R       + 1'000'000");
  EXPECT_EQ(code_of("f('\"'); g(\"\\\"\")"), "f(   ); g(    )");
}

}  // namespace
}  // namespace chorus::architecture
