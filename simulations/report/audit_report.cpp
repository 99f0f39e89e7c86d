#include "simulations/report/audit_report.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace chorus::sim {
namespace {

using audit::Bar;
using audit::Control;
using audit::Finding;
using audit::Verdict;
using Json = nlohmann::ordered_json;

std::string_view word_for(const Finding& finding) {
  if (!std::ranges::all_of(finding.controls, &Control::holds)) return "BROKEN";
  switch (finding.verdict) {
    case Verdict::held:
      return "held";
    case Verdict::exceeded:
      return "EXCEEDED";
    case Verdict::skipped:
      break;
  }
  return "skipped";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string to_table(const audit::AuditReport& report) {
  std::string text = fmt::format(
      "{} people of a cohort were attacked by somebody who knows {} others and all published models; {} items; "
      "ε = {}, δ = {} where noise is on\n\n",
      report.people, report.others, report.items, report.epsilon, report.delta);
  for (const Finding& finding : report.findings) {
    text += fmt::format("{}  {:<9} {}\n", finding.id, word_for(finding), finding.attack);
    for (const Control& control : finding.controls) {
      text += fmt::format("    control   {}: {:.4f} (needs {}){}\n", control.what, control.value, control.needs,
                          control.holds ? "" : "  FAILED");
    }
    text += fmt::format("    result    {}\n", finding.result);
    if (!finding.bar.empty()) text += fmt::format("    bar       {}\n", finding.bar);
  }
  return text;
}

std::string to_json(const audit::AuditReport& report, const std::string& data, std::uint64_t seed, double seconds) {
  Json attacks = Json::array();
  for (const Finding& finding : report.findings) {
    Json controls = Json::array();
    for (const Control& control : finding.controls) {
      controls.push_back(
          {{"what", control.what}, {"value", control.value}, {"needs", control.needs}, {"holds", control.holds}});
    }
    Json figures = Json::object();
    for (const auto& [name, value] : finding.figures) figures[name] = value;
    attacks.push_back({{"id", finding.id},
                       {"attack", finding.attack},
                       {"verdict", word_for(finding)},
                       {"controls", std::move(controls)},
                       {"result", finding.result},
                       {"bar", finding.bar},
                       {"figures", std::move(figures)}});
  }
  const Json json = {{"data", data},
                     {"seed", seed},
                     {"people", report.people},
                     {"others", report.others},
                     {"items", report.items},
                     {"epsilon", report.epsilon},
                     {"delta", report.delta},
                     {"attacks", std::move(attacks)},
                     {"failure", audit::failure(report).value_or("")},
                     {"seconds", seconds}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_svg(const audit::AuditReport& report) {
  constexpr int kLabels = 240;
  constexpr int kWidth = 480;  // of AUC 0.4 … 1
  constexpr int kRow = 34;
  constexpr int kTop = 56;
  constexpr double kLeast = 0.4;
  const auto x_of = [&](double auc) {
    return kLabels + kWidth * (std::clamp(auc, kLeast, 1.0) - kLeast) / (1 - kLeast);
  };
  std::vector<Bar> bars;
  for (const Finding& finding : report.findings) bars.insert(bars.end(), finding.bars.begin(), finding.bars.end());
  const int height = kTop + kRow * static_cast<int>(bars.size()) + 44;
  const int bottom = height - 36;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
      "<text x=\"12\" y=\"22\" font-size=\"15\">What attacks gain: AUC</text>\n"
      "<rect x=\"12\" y=\"33\" width=\"12\" height=\"12\" fill=\"#b3412f\"/><text x=\"30\" y=\"44\">the attack</text>\n"
      "<rect x=\"122\" y=\"33\" width=\"12\" height=\"12\" fill=\"#9aa5b1\"/><text x=\"140\" y=\"44\">popularity "
      "alone</text>\n",
      kLabels + kWidth + 70, height);
  for (const double auc : {0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}) {
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\" stroke=\"{3}\"/><text x=\"{0:.1f}\" y=\"{4}\" "
        "text-anchor=\"middle\">{5:.1f}</text>\n",
        x_of(auc), kTop, bottom, auc == 0.5 ? "#222222" : "#e3e6ea", bottom + 18, auc);
  }
  int y = kTop + 4;
  for (const Bar& bar : bars) {
    const auto draw = [&](double auc, int top, int thick, std::string_view colour) {
      const double from = std::min(x_of(auc), x_of(0.5));
      const double to = std::max(x_of(auc), x_of(0.5));
      svg += fmt::format("<rect x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\" fill=\"{}\"/>\n", from, top,
                         std::max(to - from, 2.0), thick, colour);
    };
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n", kLabels - 10, y + 17,
                       escaped(bar.label));
    draw(bar.attack, y, bar.popularity ? 14 : 22, "#b3412f");
    if (bar.popularity) draw(*bar.popularity, y + 15, 8, "#9aa5b1");
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\">{:.3f}</text>\n", std::max(x_of(bar.attack), x_of(0.5)) + 6, y + 13,
                       bar.attack);
    y += kRow;
  }
  return svg + "</svg>\n";
}

std::string to_html(const audit::AuditReport& report, const std::string& data) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Chorus: attacks on a training</title>\n"
      "<style>body{{font:15px/1.5 sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1d232a;"
      "background:#fff}}table{{border-collapse:collapse;width:100%}}td,th{{text-align:left;vertical-align:top;"
      "padding:.4rem .6rem;border-bottom:1px solid #d5dae0}}.bad{{color:#a3200d;font-weight:bold}}"
      "svg{{max-width:100%;height:auto}}</style>\n<h1>Attacks on a training</h1>\n"
      "<p>{}: {} people of a cohort were attacked by somebody who knows {} others and all published models; {} items; "
      "ε = {}, δ = {} where noise is on. Every attack has a positive control: the same attack where nothing defends. "
      "Where that fails, what is said of the defence means nothing.</p>\n",
      escaped(data), report.people, report.others, report.items, report.epsilon, report.delta);
  html += "<table>\n<tr><th>Attack<th>Verdict<th>Control<th>Result<th>Bar\n";
  for (const Finding& finding : report.findings) {
    std::string controls;
    for (const Control& control : finding.controls) {
      controls += fmt::format("<div{}>{}: {:.4f} (needs {})</div>", control.holds ? "" : " class=\"bad\"",
                              escaped(control.what), control.value, escaped(control.needs));
    }
    const std::string_view word = word_for(finding);
    html += fmt::format("<tr><td><b>{}</b> {}<td{}>{}<td>{}<td>{}<td>{}\n", finding.id, escaped(finding.attack),
                        word == "held" || word == "skipped" ? "" : " class=\"bad\"", word, controls,
                        escaped(finding.result), escaped(finding.bar));
  }
  return html + "</table>\n" + to_svg(report) + "</html>\n";
}

}  // namespace chorus::sim
