// Which half of a preactivation the program keeps: the only one of a sample that a dense block of K makes.
#pragma once

#include "arguments.h"

namespace odernn {

// `keeps` of the program.
void check_keeps(const Arguments& arguments);

// The stage, and the row of K that the half begins with; of a program that keeps one.
struct KeptHalf {
  int64_t stage, row;
};
KeptHalf kept_half(const Arguments& arguments);

}  // namespace odernn
