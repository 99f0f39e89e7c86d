// Where the enrolment authority reads the time of day; everything else takes it as a parameter.
#pragma once

#include "common/base/time.hpp"

namespace chorus::certs {

[[nodiscard]] WallTime wall_clock();

}  // namespace chorus::certs
