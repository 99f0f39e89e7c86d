// What an attack found: one row of the audit's table. Values.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace chorus::sim::audit {

// A positive control: the same attack where nothing defends. If it does not succeed, the audit is broken, and what it
// says of the defence means nothing.
struct Control {
  std::string what;
  double value = 0;
  std::string needs;  // "1", "at least 0.9"
  bool holds = false;
};

enum class Verdict {
  held,      // within the bar
  exceeded,  // the attack gained more than the bar allows
  skipped,   // it could not be run; `result` says why
};

// An attack's AUC beside what popularity alone gives; for the plot.
struct Bar {
  std::string label;
  double attack = 0.5;
  std::optional<double> popularity;
};

struct Finding {
  std::string id;  // "A2"
  std::string attack;
  std::vector<Control> controls;
  std::string result;
  std::string bar;
  Verdict verdict = Verdict::held;
  std::vector<std::pair<std::string, double>> figures;
  std::vector<Bar> bars;
};

}  // namespace chorus::sim::audit
