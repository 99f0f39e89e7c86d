// Catalogues that grow while a job runs.
#include "coordinator/federation/federation.hpp"

#include "tests/coordinator/town.hpp"

namespace chorus::coordinator {
namespace {

using namespace test;

JobStart start_of(std::uint64_t rounds) {
  return new_job(make_job(rounds), make_items(20), make_key()).value();
}

TEST(Federation, AGrowingCatalogueGivesAVersionBetweenTwoRounds) {
  Town town(make_settings(), start_of(3));
  town.add(1).manner = Manner::is_silent;
  town.connect(1, 5);
  town.advance(5s);
  ASSERT_TRUE(town.federation().collecting());
  const auto before = town.federation().version().state;
  town.catalogue(make_items(25));
  EXPECT_TRUE(town.federation().collecting());  // not in a round's middle
  EXPECT_EQ(town.federation().publisher().catalogue().header.items, 20U);
  town.device(1).manner = Manner::delivers;
  town.advance(30s);
  EXPECT_EQ(town.federation().publisher().catalogue().header.items, 25U);
  EXPECT_EQ(town.federation().publisher().catalogue().header.version, 2U);
  const auto grow = std::get<TraceGrow>(parse_trace_line(town.store.trace[1]).value());
  EXPECT_EQ(grow.items, 25U);
  EXPECT_EQ(grow.from, ModelVersion(1));
  EXPECT_EQ(grow.to, ModelVersion(2));
  // It goes on to the end with the longer model.
  town.advance(1min);
  EXPECT_TRUE(town.federation().finished());
  EXPECT_EQ(town.federation().version().header.training_rounds, 3U);
  EXPECT_EQ(town.federation().version().header.catalogue, town.federation().publisher().catalogue().header.digest);
}

TEST(Federation, AFinishedJobGrowsToo) {
  Town town(make_settings(), start_of(1));
  town.connect(1, 5);
  town.advance(5s);
  ASSERT_TRUE(town.federation().finished());
  town.catalogue(make_items(21));
  EXPECT_TRUE(town.federation().finished());
  EXPECT_EQ(town.federation().publisher().catalogue().header.items, 21U);
  EXPECT_EQ(town.device(1).held->version, ModelVersion(3));
}

TEST(Federation, ACatalogueThatLostOrChangedItemsIsRefusedAndTheJobGoesOn) {
  Town town(make_settings(), start_of(1));
  auto changed = make_items(20);
  changed[3].title = "another";
  for (const auto& items : {make_items(19), changed, std::vector<dataset::CatalogueItem>{}}) town.catalogue(items);
  EXPECT_EQ(town.logged<CatalogueRefused>().size(), 3U);
  EXPECT_NE(town.logged<CatalogueRefused>()[0].reason.sentence().find("i19"), std::string::npos);
  EXPECT_NE(town.logged<CatalogueRefused>()[1].reason.sentence().find("i3"), std::string::npos);
  town.catalogue(make_items(20));  // nothing new
  EXPECT_EQ(town.logged<CatalogueRefused>().size(), 3U);
  EXPECT_TRUE(town.store.trace.empty());
  town.connect(1, 5);
  town.advance(5s);
  EXPECT_TRUE(town.federation().finished());
}

}  // namespace
}  // namespace chorus::coordinator
