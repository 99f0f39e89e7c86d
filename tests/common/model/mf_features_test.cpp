// What a catalogue says of items in the items' prior means.
#include "common/dataset/seeded_generator.hpp"
#include "common/model/item_features.hpp"
#include "tests/common/model/mf_fixture.hpp"

namespace chorus::model::testing_mf {
namespace {

// Items of two genres, and people who like one of them; nobody has met the last eight items.
class FeaturesTest : public MfTest {
 protected:
  static constexpr std::uint32_t kUnmet = 8;

  FeaturesTest() {
    training_.clear();
    held_out_.clear();
    dataset::SeededGenerator random(3, 0);
    for (std::uint32_t u = 0; u < 200; ++u) {
      std::vector<Observation> mine;
      for (std::uint32_t i = 0; i < kItems - kUnmet; ++i) {
        if (random.unit() < 0.5) continue;
        const double rating = (likes(u, i) ? 4 : 2) + 2 * random.unit() - 1;
        mine.push_back({.item = i, .value = static_cast<float>(std::round(rating))});
      }
      training_.push_back(std::move(mine));
      held_out_.emplace_back();
    }
    contract_.minimum = 1;
    contract_.maximum = 5;
    contract_.step = 1;
  }
  static bool likes(std::uint32_t user, std::uint32_t item) { return user % 2 == item % 2; }

  // told: of which item an item's genre is.
  std::unique_ptr<Model> model_with(const std::function<std::uint32_t(std::uint32_t)>& told, Settings more = {}) const {
    std::vector<dataset::CatalogueItem> items;
    for (std::uint32_t i = 0; i < kItems; ++i) {
      items.push_back({.id = std::to_string(i + 1),
                       .title = "Item",
                       .genres = {told(i) % 2 == 0 ? "Comedy" : "Horror"},
                       .year = 1990});
    }
    Settings settings = {{"update", "vb"}, {"rank", "3"}, {"twin_rank", "3"}, {"features", "on"}};
    for (const auto& [name, value] : more) settings.insert_or_assign(name, value);
    const auto catalogue = std::make_shared<const dataset::Catalogue>(dataset::Catalogue::create(items).value());
    return make_model("mf", settings,
                      {.items = kItems, .contract = contract_, .max_contributors = 512, .catalogue = catalogue})
        .value();
  }
  // How much more people are said to like unmet items of their genre than others. In ratings.
  double told_apart(const Model& model) const {
    const ServerState state = trained(model, 10);
    double sum = 0;
    for (std::uint32_t u = 0; u < 40; ++u) {
      const PrivateState mine = model.solve(state.shared, data(u));
      for (std::uint32_t i = kItems - kUnmet; i < kItems; ++i) {
        sum += (likes(u, i) ? 1 : -1) * model.score(state.shared, mine, i);
      }
    }
    return 2 * sum / (40 * kUnmet);
  }
};

TEST_F(FeaturesTest, TellUnmetItemsApart) {
  const double gain = told_apart(*model_with([](std::uint32_t i) { return i; }));
  EXPECT_GT(gain, 1) << "of a true difference of two";
}

TEST_F(FeaturesTest, OfTheWrongItemsTellNothing) {
  // Half of each genre is told to be the other.
  const double gain = told_apart(*model_with([](std::uint32_t i) { return i / 2; }));
  EXPECT_LT(std::abs(gain), 0.3);
  const double off = told_apart(*model_with([](std::uint32_t i) { return i; }, {{"features", "off"}}));
  EXPECT_LT(std::abs(off), 0.1);
}

TEST_F(FeaturesTest, ACatalogueThatSaysNothingChangesNoItemThatPeopleMet) {
  const auto with = make_model("mf", {{"update", "vb"}, {"features", "on"}},
                               {.items = kItems, .contract = contract_, .max_contributors = 512})
                        .value();
  const auto without =
      make_model("mf", {{"update", "vb"}}, {.items = kItems, .contract = contract_, .max_contributors = 512}).value();
  const ServerState a = trained(*with, 5);
  const ServerState b = trained(*without, 5);
  const std::size_t d = a.shared.tensors[0].columns;
  for (std::size_t k = 0; k < (kItems - kUnmet) * d; ++k) ASSERT_NEAR(factors(a)[k], factors(b)[k], 1e-4);
}

TEST_F(FeaturesTest, AskNothingMoreOfDevices) {
  const auto with = model_with([](std::uint32_t i) { return i; });
  const auto without = model_with([](std::uint32_t i) { return i; }, {{"features", "off"}});
  for (const auto purpose : {Purpose::survey, Purpose::train, Purpose::measure}) {
    EXPECT_EQ(with->layout(purpose, 0).dimension(), without->layout(purpose, 0).dimension());
  }
  // A device has no catalogue behind its model; the shared tensors are the same ones.
  const auto device =
      make_model("mf", with->settings(), {.items = kItems, .contract = contract_, .max_contributors = 512}).value();
  EXPECT_TRUE(device->check_shared(trained(*with, 3).shared).has_value());
}

TEST_F(FeaturesTest, NeedTheTwinAndAWellFormedMap) {
  EXPECT_FALSE(make_model("mf", {{"features", "on"}}, model_->shape()).has_value());
  EXPECT_FALSE(make_model("mf", {{"update", "vb"}, {"twin", "off"}, {"features", "on"}}, model_->shape()).has_value());
  EXPECT_FALSE(make_model("mf", {{"update", "vb"}, {"features", "yes"}}, model_->shape()).has_value());
  const auto model = model_with([](std::uint32_t i) { return i; });
  ServerState state = trained(*model, 3);
  state.shared.find("feature_map")->values[0] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(model->check_shared(state.shared).has_value());
}

}  // namespace
}  // namespace chorus::model::testing_mf
