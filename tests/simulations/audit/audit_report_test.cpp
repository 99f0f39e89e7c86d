// The scene that is attacked, and what is said of the attacks.
#include "simulations/report/audit_report.hpp"

#include "tests/simulations/audit/audit_fixture.hpp"

namespace chorus::sim::audit {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Scene, RefusesEventsAndPopulationsTooSmallForTwoCohorts) {
  AuditInput events = planted_input();
  events.contract.feedback = dataset::Feedback::events;
  EXPECT_THAT(Scene::create(std::move(events), {}).error().to_string(), HasSubstr("events"));
  EXPECT_THAT(Scene::create(planted_input(100), {}).error().to_string(), HasSubstr("there are 100"));
}

TEST(Scene, DrawsTwoGroupsThatShareNobodyByItsSeed) {
  const Scene one = Scene::create(planted_input(), {.seed = 1}).value();
  const Scene two = Scene::create(planted_input(), {.seed = 2}).value();
  std::vector<std::uint32_t> everybody(one.cohort().begin(), one.cohort().end());
  everybody.insert(everybody.end(), one.others().begin(), one.others().end());
  std::ranges::sort(everybody);
  EXPECT_EQ(std::ranges::adjacent_find(everybody), everybody.end());
  EXPECT_EQ(everybody.size(), 200U);
  EXPECT_FALSE(std::ranges::equal(one.cohort(), two.cohort()));
}

class AuditReports : public ::testing::Test {
 protected:
  AuditReports() {
    Finding finding;
    finding.id = "A9";
    finding.attack = "an attack on <everybody>";
    finding.controls = {{.what = "the control", .value = 1, .needs = "1", .holds = true}};
    finding.result = "nothing & nobody";
    finding.bar = "at most nothing";
    finding.figures = {{"auc", 0.5}};
    finding.bars = {{.label = "A9 <bar>", .attack = 0.75, .popularity = 0.5}};
    report_.findings = {finding};
  }
  AuditReport report_{.people = 100, .others = 101, .items = 7, .epsilon = 5, .delta = 1e-6, .findings = {}};
};

TEST_F(AuditReports, SayWhatHeldAndNothingFailed) {
  EXPECT_EQ(failure(report_), std::nullopt);
  EXPECT_THAT(to_table(report_), HasSubstr("A9  held"));
  EXPECT_THAT(to_json(report_, "people", 1, 2.5), HasSubstr(R"("figures":{"auc":0.5})"));
  EXPECT_THAT(to_json(report_, "people", 1, 2.5), HasSubstr(R"("failure":"")"));
}

TEST_F(AuditReports, CallTheAuditBrokenWhereAControlFailsWhateverTheResult) {
  report_.findings[0].controls[0].holds = false;
  report_.findings[0].verdict = Verdict::exceeded;
  EXPECT_THAT(failure(report_).value(), HasSubstr("the audit is broken"));
  EXPECT_THAT(to_table(report_), HasSubstr("A9  BROKEN"));
  EXPECT_THAT(to_table(report_), HasSubstr("FAILED"));
}

TEST_F(AuditReports, FailWhereAnAttackGainedMoreThanItsBar) {
  report_.findings[0].verdict = Verdict::exceeded;
  EXPECT_THAT(failure(report_).value(), HasSubstr("A9 exceeded its bar"));
  EXPECT_THAT(to_html(report_, "people"), HasSubstr("class=\"bad\">EXCEEDED"));
}

TEST_F(AuditReports, MakeAPageOfItsOwnWithTheTableAndThePlot) {
  const std::string page = to_html(report_, "<data>");
  EXPECT_THAT(page, HasSubstr("an attack on &lt;everybody&gt;"));
  EXPECT_THAT(page, HasSubstr("nothing &amp; nobody"));
  EXPECT_THAT(page, HasSubstr("A9 &lt;bar&gt;"));
  EXPECT_THAT(page, HasSubstr("<svg "));
  EXPECT_THAT(page, HasSubstr("&lt;data&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("src=")));
}

}  // namespace
}  // namespace chorus::sim::audit
