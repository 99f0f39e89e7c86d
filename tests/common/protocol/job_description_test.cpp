#include "common/protocol/job_description.hpp"

#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "common/crypto/hash.hpp"
#include "common/protocol/documents.hpp"
#include "common/protocol/messages.hpp"

namespace chorus::protocol {
namespace {

JobDescription sample_job() {
  return {.name = "films-2024",
          .family = "mf",
          .settings = {{"lambda", "0.05"}, {"rank", "15"}, {"server.rate", "1"}},
          .contract = {},
          .max_contributors = 512,
          .round_goal = 40};
}

plan::UpdateLayout layout_of(std::uint32_t rows, std::uint32_t columns) {
  auto layout = plan::UpdateLayout::create({{.name = "gradient",
                                             .rows = rows,
                                             .columns = columns,
                                             .per_item = true,
                                             .limbs = 1,
                                             .scale_log2 = 4,
                                             .clip = 8}},
                                           24, 512);
  EXPECT_TRUE(layout.has_value()) << layout.error().to_string();
  return std::move(layout).value();
}

TEST(JobDescriptions, HaveOneEncoding) {
  const JobDescription job = sample_job();
  const Bytes bytes = job.encode();
  const auto decoded = JobDescription::decode(bytes);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().to_string();
  EXPECT_EQ(*decoded, job);
  EXPECT_EQ(decoded->encode(), bytes);
}

TEST(JobDescriptions, EveryTruncationIsRefused) {
  const Bytes bytes = sample_job().encode();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto decoded = JobDescription::decode(ByteView(bytes).first(size));
    ASSERT_FALSE(decoded.has_value()) << size;
    EXPECT_EQ(decoded.error().code(), ErrorCode::malformed) << size << ": " << decoded.error().to_string();
  }
}

TEST(JobDescriptions, TrailingBytesAreRefused) {
  Bytes bytes = sample_job().encode();
  bytes.push_back(0);
  EXPECT_EQ(JobDescription::decode(bytes).error().code(), ErrorCode::malformed);
}

TEST(JobDescriptions, ALaterVersionIsNamedAsSuch) {
  Bytes bytes = sample_job().encode();
  bytes[4 + kJobLabel.size()] = 2;
  EXPECT_EQ(JobDescription::decode(bytes).error().code(), ErrorCode::unsupported_version);
}

TEST(JobDescriptions, SettingsOutOfOrderOrTwiceAreRefused) {
  for (const bool twice : {false, true}) {
    ByteWriter writer;
    writer.string(kJobLabel);
    writer.u16(1);
    writer.string("films");
    writer.string("mf");
    writer.u32(2);
    writer.string("rank");
    writer.string("15");
    writer.string(twice ? "rank" : "lambda");
    writer.string("15");
    dataset::DataContract{}.encode(writer);
    writer.u32(512);
    writer.u64(0);
    EXPECT_EQ(JobDescription::decode(writer.view()).error().code(), ErrorCode::malformed) << twice;
  }
}

TEST(JobDescriptions, NameWhatIsWrongWithThem) {
  struct Case {
    std::string_view where;
    std::function<void(JobDescription&)> break_it;
  };
  const std::vector<Case> cases = {
      {"name", [](JobDescription& job) { job.name = ""; }},
      {"name", [](JobDescription& job) { job.name = "Films"; }},
      {"name", [](JobDescription& job) { job.name = std::string(kMaxJobName + 1, 'a'); }},
      {"family", [](JobDescription& job) { job.family = "m f"; }},
      {"settings", [](JobDescription& job) { job.settings["Rank"] = "1"; }},
      {"settings", [](JobDescription& job) { job.settings[""] = "1"; }},
      {"settings.rank", [](JobDescription& job) { job.settings["rank"] = "1\n"; }},
      {"settings.rank", [](JobDescription& job) { job.settings["rank"] = std::string(kMaxSettingValue + 1, '1'); }},
      {"settings",
       [](JobDescription& job) {
         for (std::size_t i = 0; i <= kMaxSettings; ++i) job.settings["s" + std::to_string(i)] = "1";
       }},
      {"max_contributors", [](JobDescription& job) { job.max_contributors = 0; }},
  };
  ASSERT_TRUE(sample_job().validate().has_value());
  for (const Case& c : cases) {
    JobDescription job = sample_job();
    c.break_it(job);
    const Status status = job.validate();
    ASSERT_FALSE(status.has_value()) << c.where;
    EXPECT_EQ(status.error().code(), ErrorCode::invalid_argument);
    EXPECT_EQ(status.error().where(), c.where);
  }
  JobDescription job = sample_job();
  job.contract.minimum = 9;
  ASSERT_FALSE(job.validate().has_value());
  EXPECT_TRUE(job.validate().error().where().starts_with("contract"));
}

TEST(JobDescriptions, TheLargestFitsIntoADocument) {
  JobDescription job = sample_job();
  job.name = std::string(kMaxJobName, 'a');
  job.family = std::string(kMaxFamilyName, 'f');
  job.settings.clear();
  for (std::size_t i = 0; i < kMaxSettings; ++i) {
    std::string name = std::to_string(i);
    name.resize(kMaxSettingName, 'x');
    job.settings[name] = std::string(kMaxSettingValue, 'v');
  }
  EXPECT_LE(job.encode().size(), kMaxDocument);
  EXPECT_EQ(JobDescription::decode(job.encode()), job);
}

TEST(JobDescriptions, TheIdIsTheHashOfTheEncodingAndChangesWithEveryField) {
  const JobDescription job = sample_job();
  EXPECT_EQ(job.id(), crypto::sha256(job.encode()));
  const std::vector<std::function<void(JobDescription&)>> changes = {
      [](JobDescription& j) { j.name = "films"; },          [](JobDescription& j) { j.family = "twin"; },
      [](JobDescription& j) { j.settings["rank"] = "16"; }, [](JobDescription& j) { j.settings["seed"] = "1"; },
      [](JobDescription& j) { j.contract.maximum = 10; },   [](JobDescription& j) { j.max_contributors = 511; },
      [](JobDescription& j) { j.round_goal = 41; },
  };
  std::set<Digest> ids{job.id()};
  for (const auto& change : changes) {
    JobDescription other = job;
    change(other);
    ids.insert(other.id());
  }
  EXPECT_EQ(ids.size(), changes.size() + 1);
}

TEST(JobDescriptions, MakeTheModelThatTheyDescribe) {
  JobDescription job = sample_job();
  job.settings = {{"rank", "7"}};
  job.contract.step = 0.5F;
  const auto model = job.make_model(12);
  ASSERT_TRUE(model.has_value()) << model.error().to_string();
  EXPECT_EQ((*model)->family(), "mf");
  EXPECT_EQ((*model)->settings().at("rank"), "7");
  EXPECT_EQ((*model)->shape().items, 12U);
  EXPECT_EQ((*model)->shape().contract, job.contract);
  EXPECT_EQ((*model)->shape().max_contributors, job.max_contributors);

  job.family = "no_such_family";
  EXPECT_EQ(job.make_model(12).error().code(), ErrorCode::invalid_argument);
}

TEST(ModelIds, ChangeWithEachIngredientAndWithNothingElse) {
  const JobDescription job = sample_job();
  const plan::UpdateLayout layout = layout_of(10, 4);
  const Digest catalogue{1};
  const Digest tensors{2};
  const Digest id = model_id(job, 1, layout, catalogue, tensors);
  std::set<Digest> ids{id};

  JobDescription changed = job;
  changed.family = "twin";
  ids.insert(model_id(changed, 1, layout, catalogue, tensors));
  changed = job;
  changed.settings["rank"] = "16";
  ids.insert(model_id(changed, 1, layout, catalogue, tensors));
  changed = job;
  changed.contract.step = 0.5F;
  ids.insert(model_id(changed, 1, layout, catalogue, tensors));
  ids.insert(model_id(job, 2, layout, catalogue, tensors));
  ids.insert(model_id(job, 1, layout_of(10, 5), catalogue, tensors));
  ids.insert(model_id(job, 1, layout, tensors, tensors));
  ids.insert(model_id(job, 1, layout, catalogue, catalogue));
  EXPECT_EQ(ids.size(), 8U);

  // The goal and the job's name are not part of what the model computes.
  changed = job;
  changed.round_goal = 1;
  changed.name = "other";
  EXPECT_EQ(model_id(changed, 1, layout, catalogue, tensors), id);
}

TEST(ModelIds, BoundariesBetweenIngredientsCount) {
  const plan::UpdateLayout layout = layout_of(10, 4);
  JobDescription a = sample_job();
  a.settings = {{"a", "bc"}};
  JobDescription b = sample_job();
  b.settings = {{"ab", "c"}};
  EXPECT_NE(model_id(a, 1, layout, {}, {}), model_id(b, 1, layout, {}, {}));
}

}  // namespace
}  // namespace chorus::protocol
